"""When a request asks whether its database connection is alive."""

from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import connection

from chatflow import connections

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def request() -> list[str]:
    """Make a request with one query; return all that the database was asked."""
    request_started.send(None)
    asked: list[str] = []
    is_usable = connection.is_usable

    def asked_whether() -> bool:
        asked.append("alive?")
        return bool(is_usable())

    connection.is_usable = asked_whether  # type: ignore[method-assign]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            asked.append("query")
    finally:
        del connection.is_usable
    request_finished.send(None)
    return asked


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    connection.close()
    connection.health_check_enabled = True  # type: ignore[attr-defined]
    yield
    connection.close()


def test_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    request()
    assert request() == ["query"]

    monkeypatch.setattr(connections, "FRESH", 0.0)
    request()
    assert request() == ["alive?", "query"]


def test_one_that_died_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FRESH", 0.0)
    request()
    assert connection.connection is not None
    connection.connection.close()

    assert request() == ["alive?", "query"]
