"""The envelope, whatever goes wrong and wherever."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client

from chatflow.access.sessions import SessionStore
from chatflow.answers.errors import Refused, problem
from chatflow.wire.problems import Problem
from tests.workflows.faults import GONE, make_locked, make_outage, make_refusal

ENVELOPE = {"success", "error", "code"}
# What a browser says that opens a page.
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


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

    monkeypatch.setattr("chatflow.workflows.services.start", bug)
    answer = as_alice.post("/ai-demo/chat/send", {"message": "hello"}, "application/json")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.content.decode()


# The database is out.


def make_interface_error() -> InterfaceError:
    error = InterfaceError("the connection is closed")
    error.__cause__ = psycopg.InterfaceError("the connection is closed")
    return error


@pytest.fixture(
    params=[
        make_outage,
        pytest.param(make_interface_error, marks=pytest.mark.postgresql),
        *(
            pytest.param(partial(make_refusal, state), marks=pytest.mark.postgresql, id=state)
            for state in ("25006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P03")
        ),
        *(
            pytest.param(partial(make_locked, code), marks=pytest.mark.sqlite, id=str(code))
            for code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
        ),
    ]
)
def database_out(request: Any) -> AbstractContextManager[None]:
    """Return a block in which every query fails."""

    def refuse(*args: Any) -> None:
        raise request.param()

    return connection.execute_wrapper(refuse)


@pytest.mark.parametrize("error", [OperationalError, ProgrammingError])
def test_a_query_of_ours_that_is_wrong_is_a_bug(as_alice: Client, error: type[Exception]) -> None:
    """Nothing promises the client that it will be better soon."""

    def refuse(*args: Any) -> None:
        raise error("no such column")

    with connection.execute_wrapper(refuse):
        answer = as_alice.get("/ai-demo/workflow/jobs")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


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
        for path in ("/ai-demo/chat/", "/admin/", "/accounts/tokens/"):
            page = client.get(path, headers={"accept": BROWSER, "accept-language": "de"})
            assert (page.status_code, page["Retry-After"]) == (503, "5")
            assert page["Content-Type"] == "text/html; charset=utf-8"
            assert "Im Augenblick nicht" in page.content.decode()
        # The API speaks JSON whoever asks.
        check_out(client.get("/ai-demo/workflow/jobs", headers={"accept": BROWSER}))


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


def test_it_is_logged_in_one_line(
    as_alice: Client, anonymous: Client, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    """As it fails for everybody, and nothing is wrong in the code."""
    as_cookie = Client(raise_request_exception=False)
    as_cookie.force_login(alice)
    # With uvicorn, Django's logger hands on what it has.
    for client, path in (
        (as_alice, "/ai-demo/workflow/jobs"),
        (as_cookie, "/ai-demo/chat/"),
        (as_cookie, "/accounts/tokens/"),
    ):
        caplog.clear()
        with connection.execute_wrapper(outage):
            check_out(client.get(path))
        assert [each.levelname for each in caplog.records] == ["WARNING"]
        assert caplog.messages == [f"{path} is answered 503: {GONE}"]
        assert caplog.records[0].exc_info is None
    caplog.clear()
    assert anonymous.get("/", headers={"host": "evil.example"}).status_code == 400
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("WARNING", None)]
    assert "'evil.example'" in caplog.text
    caplog.clear()
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert as_cookie.get("/admin/auth/user/").status_code == 403
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("WARNING", None)]
    assert caplog.messages == ["Forbidden (Permission denied): /admin/auth/user/"]


def test_the_traceback_is_there_where_it_is_asked_for(
    as_alice: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "chatflow.errors")
    with connection.execute_wrapper(outage):
        as_alice.get("/ai-demo/workflow/jobs")
    assert "Traceback" in caplog.text


def test_a_bug_is_logged_as_one(
    as_alice: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("A fault.")

    monkeypatch.setattr("chatflow.workflows.services.start", bug)
    as_alice.post("/ai-demo/chat/send", {"message": "hello"}, "application/json")
    assert [each.levelname for each in caplog.records if each.exc_info] == ["ERROR"]


def outage(*args: Any) -> None:
    raise make_outage()


def check_out(answer: Any) -> None:
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json()["code"] == "unavailable"
    assert answer.json()["success"] is False


# It can be read, but not written.


@contextmanager
def read_only() -> Iterator[None]:
    """Let every write fail as on a standby that isn't promoted yet, or with a read-only file."""

    def refuse(execute: Any, sql: str, *args: Any) -> Any:
        if sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE")):
            if connection.vendor == "postgresql":
                raise make_refusal("25006")
            raise make_locked(sqlite3.SQLITE_READONLY)
        return execute(sql, *args)

    with connection.execute_wrapper(refuse):
        yield


def test_reading_goes_on(as_alice: Client) -> None:
    with read_only():
        assert as_alice.get("/ai-demo/workflow/jobs").status_code == 200


def test_signing_in(alice: User, anonymous: Client) -> None:
    alice.set_password("secret")
    alice.save()
    with read_only():
        answer = anonymous.post("/accounts/login/", {"username": "alice", "password": "secret"})
    check_out(answer)
    assert answer.json()["error"] == "The database takes no writes just now. Please try again."


def test_the_error_says_what_is_wrong(as_alice: Client) -> None:
    body = {"message": "hello", "async": True}
    with read_only():
        answer = as_alice.post("/ai-demo/chat/send", body, "application/json")
        check_out(answer)
        assert "takes no writes just now" in answer.json()["error"]
    with connection.execute_wrapper(outage):
        assert "can't be reached" in as_alice.get("/ai-demo/workflow/jobs").json()["error"]


@pytest.mark.parametrize("path", ["/ai-demo/chat/", "/admin/", "/healthz"])
def test_a_session_that_can_not_be_saved(admin_client: Client, settings: Any, path: str) -> None:
    """Django would say that it was deleted, with 400."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    admin_client.raise_request_exception = False
    with read_only():
        check_out(admin_client.get(path))


def test_a_session_that_was_deleted(admin_client: Client) -> None:
    """That stays what it is."""
    store = SessionStore(admin_client.session.session_key)
    store.load()
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        store.save()


def test_an_endpoint_may_word_an_error_by_itself() -> None:
    found = Problem(status=404, code="model_not_found", error="No.", errors={"model": ["No."]})
    assert problem(Refused(found)) is found
