"""When a request asks whether its database connection is alive."""

from collections.abc import Iterator

import pytest
from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponse

from chatflow import middleware

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def request() -> list[str]:
    """Make a request with one query; return all that the database was asked."""
    asked: list[str] = []
    is_usable = connection.is_usable

    def asked_whether() -> bool:
        asked.append("alive?")
        return bool(is_usable())

    def view(request: HttpRequest) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            asked.append("query")
        return HttpResponse()

    # As Django does at the beginning of each request.
    close_old_connections()
    connection.is_usable = asked_whether  # type: ignore[method-assign]
    try:
        middleware.trusted_connection(view)(HttpRequest())
    finally:
        del connection.is_usable
    return asked


@pytest.fixture(autouse=True)
def _new_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # However slow the machine is.
    monkeypatch.setattr(middleware, "FRESH", 60.0)
    connection.close()
    connection.trusted_until = 0.0  # type: ignore[attr-defined]
    yield
    connection.close()
    connection.trusted_until = 0.0  # type: ignore[attr-defined]


def test_it_works() -> None:
    request()

    assert request() == ["query"]


def test_after_a_while_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "FRESH", 0.0)
    request()

    assert request() == ["alive?", "query"]


def test_one_that_died_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "FRESH", 0.0)
    request()
    assert connection.connection is not None
    connection.connection.close()

    assert request() == ["alive?", "query"]
