"""GET chat/sessions, and PATCH chat/session/{id}."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.access.limits import search_slot
from chatflow.workflows import services
from chatflow.workflows.models import Message, Session

pytestmark = pytest.mark.django_db

URL = "/ai-demo/chat/sessions"


def send(user: User, key: str, text: str = "hello there") -> None:
    services.start(user, text, session_key=key, workflow="echo")


def keys(client: Client, query: str = "") -> list[str]:
    return [row["session_id"] for row in client.get(URL + query).json()["sessions"]]


def patch(client: Client, key: str, **body: Any) -> Any:
    return client.patch(f"/ai-demo/chat/session/{key}", body, "application/json")


def test_it_works(as_alice: Client, alice: User) -> None:
    send(alice, "a", "What  is\nan event stream, and " + "how is it read " * 8)
    answer = as_alice.get(URL).json()
    assert answer["success"] is True
    assert answer["next"] is None
    (row,) = answer["sessions"]
    assert row["title"].startswith("What is an event stream, and how is it read")
    assert row["title"].endswith("…")
    assert len(row["title"]) <= 80
    assert row["active_job"]["state"] == "queued"
    assert row["last_job_id"] == row["active_job"]["job_id"]
    assert (row["pinned"], row["unread"], row["awaiting"]) == (False, False, None)
    assert "excerpt" not in row


def test_pages_and_pins(as_alice: Client, alice: User) -> None:
    for name in "abcde":
        send(alice, name)
    assert patch(as_alice, "b", pinned=True).json()["pinned"] is True
    found, cursor = [], ""
    while True:
        page = as_alice.get(f"{URL}?limit=2{cursor}").json()
        found += [row["session_id"] for row in page["sessions"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == ["b", "e", "d", "c", "a"]


def test_titles_and_reading(as_alice: Client, alice: User) -> None:
    send(alice, "a")
    Session.objects.update(unread=True)
    before = Session.objects.get().changed
    assert patch(as_alice, "a", title="My own", read=True).json()["title"] == "My own"
    row = Session.objects.get()
    assert (row.unread, row.title) == (False, "My own")
    # All of a test is one transaction, which on PostgreSQL has one number.
    assert row.changed >= before
    assert patch(as_alice, "a", title="").json()["title"] == "hello there"


@pytest.mark.parametrize("body", [{"title": "x" * 121}, {"pinned": "perhaps"}, {"read": False}])
def test_bad_changes(as_alice: Client, alice: User, body: dict[str, Any]) -> None:
    send(alice, "a")
    assert patch(as_alice, "a", **body).status_code == 400


def test_what_a_search_finds_comes_in_pages(as_alice: Client, alice: User) -> None:
    for name in "abcde":
        send(alice, name, "zebra" if name != "d" else "horse")
    patch(as_alice, "a", pinned=True)
    page = as_alice.get(f"{URL}?q=zebra&limit=2").json()
    assert [row["session_id"] for row in page["sessions"]] == ["a", "e"]
    page = as_alice.get(f"{URL}?q=zebra&limit=2&cursor={page['next']}").json()
    assert [row["session_id"] for row in page["sessions"]] == ["c", "b"]
    assert page["next"] is None


def test_one_search_at_a_time(as_alice: Client, as_bob: Client, alice: User) -> None:
    send(alice, "a", "zebra")
    with search_slot(alice):
        answer = as_alice.get(f"{URL}?q=zebra")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer["Retry-After"]
        assert keys(as_alice) == ["a"]
        assert keys(as_bob, "?q=zebra") == []
    assert keys(as_alice, "?q=zebra") == ["a"]


@pytest.mark.parametrize("query", ["?limit=0", "?cursor=x", "?cursor=2-1-1"])
def test_bad_queries(as_alice: Client, query: str) -> None:
    assert as_alice.get(URL + query).status_code == 400


def test_it_is_the_owners(as_alice: Client, as_bob: Client, alice: User) -> None:
    send(alice, "a", "secret words")
    assert keys(as_bob) == keys(as_bob, "?q=secret") == []
    assert patch(as_bob, "a", title="Mine").status_code == 404


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Where is my INVOICE for March?", "march invoice"),
        ("Wo ist die Straße nach Köln", "STRASSE köln"),
        ("我想查询发票的状态", "发票"),
        ("パスワードを忘れました", "ﾊﾟｽﾜｰﾄﾞ"),
        ("Где мой счёт", "СЧЁТ"),
    ],
)
def test_search_in_any_language(as_alice: Client, alice: User, text: str, query: str) -> None:
    send(alice, "a", text)
    send(alice, "b", "something else")
    (row,) = as_alice.get(URL, {"q": query}).json()["sessions"]
    assert row["session_id"] == "a"
    assert row["excerpt"] in text


def test_search_finds_titles_and_answers(as_alice: Client, alice: User) -> None:
    send(alice, "a")
    send(alice, "b")
    patch(as_alice, "a", title="Holidays")
    session = Session.objects.get(key="b")
    Message.objects.create(session=session, role="assistant", content="x " * 200 + "a zebra " * 50)
    assert keys(as_alice, "?q=holiday") == ["a"]
    (row,) = as_alice.get(f"{URL}?q=zebra").json()["sessions"]
    assert "zebra" in row["excerpt"]
