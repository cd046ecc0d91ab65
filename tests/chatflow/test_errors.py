"""The envelope, whatever goes wrong and wherever."""

from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

ENVELOPE = {"success", "error", "code"}


@pytest.mark.parametrize("path", ["", "nothing", "chat/send/", "workflow/status/"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("debug", [False, True])
def test_unknown_paths(path: str, method: str, debug: bool, settings: Any) -> None:
    settings.DEBUG = debug
    answer = getattr(Client(enforce_csrf_checks=True), method)(f"/ai-demo/{path}")
    assert answer.status_code == 404
    assert set(answer.json()) == ENVELOPE
    assert answer.json()["code"] == "not_found"


def test_elsewhere_people_get_a_page(anonymous: Client) -> None:
    answer = anonymous.get("/nothing")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_what_django_refuses_before_any_view(anonymous: Client) -> None:
    answer = anonymous.get("/ai-demo/workflow/jobs", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert set(answer.json()) == ENVELOPE


def test_a_page_that_is_posted_to(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post("/ai-demo/chat/")
    assert answer.status_code in (403, 405)
    assert set(answer.json()) == ENVELOPE


def test_a_body_that_is_too_large(as_alice: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = as_alice.post("/ai-demo/chat/send", b"x" * 101, content_type="application/json")
    assert answer.status_code in (400, 413)
    assert set(answer.json()) == ENVELOPE


def test_too_many_parameters(as_alice: Client) -> None:
    query = "&".join(f"a{number}=1" for number in range(1100))
    answer = as_alice.get(f"/ai-demo/workflow/jobs?{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == ENVELOPE


def test_a_bug_gives_nothing_away(as_alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("workflows.services.start", bug)
    answer = as_alice.post("/ai-demo/chat/send", {"message": "hello"}, "application/json")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.content.decode()


# The database is out.


@pytest.fixture(params=[OperationalError, InterfaceError])
def database_out(request: Any) -> AbstractContextManager[None]:
    """Return a block in which every query fails."""

    def refuse(*args: Any) -> None:
        raise request.param("connection refused")

    return connection.execute_wrapper(refuse)


def test_with_a_token(as_alice: Client, database_out: AbstractContextManager[None]) -> None:
    with database_out:
        check_out(as_alice.post("/ai-demo/chat/send", {"message": "hello"}, "application/json"))
        check_out(as_alice.get("/ai-demo/workflow/status/workflow_x"))
        check_out(as_alice.get("/ai-demo/workflow/jobs"))


@pytest.mark.parametrize("debug", [False, True])
def test_with_a_cookie(
    alice: User, database_out: AbstractContextManager[None], settings: Any, debug: bool
) -> None:
    settings.DEBUG = debug
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    with database_out:
        for path in ("/ai-demo/workflow/jobs", "/ai-demo/chat/", "/admin/"):
            check_out(client.get(path))


@pytest.mark.parametrize("debug", [False, True])
def test_in_a_middleware(
    alice: User, database_out: AbstractContextManager[None], settings: Any, debug: bool
) -> None:
    settings.DEBUG = debug
    # Then the session is looked up and saved after the view.
    settings.SESSION_SAVE_EVERY_REQUEST = True
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    with database_out:
        check_out(client.get("/healthz"))


def check_out(answer: Any) -> None:
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json()["code"] == "unavailable"
    assert answer.json()["success"] is False
