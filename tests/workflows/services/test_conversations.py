"""What the list of conversations and the user's stream are told."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import Message, Session
from chatflow.workflows.services import conversations
from chatflow.workflows.services.conversations import Conversation, describe, look, search
from chatflow.workflows.store.changes import CURSOR_KEPT, certain
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unkept")]


@pytest.fixture(autouse=True)
def _flows() -> None:
    workflow("echo")(lambda ctx: f"Echo: {ctx.message}")

    def ask(ctx: Context) -> str:
        return f"Hello {ctx.ask('Who are you?')}"

    workflow("ask")(ask)


def shown(chat: Chat) -> Conversation:
    (found,) = describe([Session.objects.get(user=chat.user, key=chat.key)])
    return found


def test_what_is_shown(chat: Chat) -> None:
    job = chat.say("hello", workflow="echo")
    found = shown(chat)
    assert (found.title, found.active, found.last, found.awaiting) == ("hello", None, job, None)
    running = chat.send("again", workflow="echo")
    waiting = chat.send("and again", workflow="echo")
    assert (shown(chat).active, shown(chat).last) == (running, waiting)


def test_an_open_question_is_shown(chat: Chat) -> None:
    chat.say("hello", workflow="ask")
    assert shown(chat).awaiting == "text"


def test_a_title_is_the_owners_own_or_the_first_words_that_stand(chat: Chat) -> None:
    chat.say("one  two\nthree", workflow="echo")
    chat.say("later", workflow="echo")
    assert shown(chat).title == "one two three"
    Message.objects.filter(content__startswith="one").update(cut=True)
    assert shown(chat).title == "later"
    services.change_session(shown(chat).session, title="Mine")
    assert shown(chat).title == "Mine"
    services.change_session(shown(chat).session, title="")
    assert shown(chat).title == "later"


def test_a_file_names_a_conversation_in_which_nothing_was_said(alice: User) -> None:
    session = services.open_session(alice, "s")
    for name in ("lease.txt", "other.txt"):
        store(name.encode(), "text/plain", owner=alice, session_id=session.pk, name=name)
    assert describe([session])[0].title == "lease.txt"
    Chat(alice, "s").say("What does it cost?", workflow="echo")
    assert describe([session])[0].title == "What does it cost?"


def test_many_cost_as_few_queries_as_one(alice: User) -> None:
    for number in range(5):
        Chat(alice, f"{number}").say("hello", workflow="echo")
    sessions = list(Session.objects.order_by("pk"))
    costs = []
    for rows in (sessions[:1], sessions):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert [each.session for each in describe(rows)] == rows
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_nothing_costs_nothing() -> None:
    assert describe([]) == []


def find(user: User, query: str, most: int = 100) -> dict[int, str]:
    return search(Session.objects.filter(user=user).order_by("-pk"), query, most)


def test_a_search_finds_titles_and_words(chat: Chat, bob: User) -> None:
    chat.say("The invoice for Acme", workflow="echo")
    Chat(bob, "his").say("The invoice for Acme", workflow="echo")
    session = shown(chat).session
    # The latest place counts.
    assert find(chat.user, "acme invoice") == {session.pk: "Echo: The invoice for Acme"}
    assert find(chat.user, "acme letter") == {}
    services.change_session(session, title="My letter")
    assert find(chat.user, "LETTER") == {session.pk: "My letter"}
    Message.objects.update(cut=True)
    assert find(chat.user, "acme") == {}


def test_a_search_stops_after_enough_hits(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first in the list are found, and the words of the others aren't read."""
    monkeypatch.setattr(conversations, "SLICE", 2)
    for key in "abcdefg":
        Chat(alice, key).send("one zebra", workflow="echo")
    keys = list(Session.objects.order_by("-pk").values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as queries:
        assert list(find(alice, "zebra", 3)) == keys[:3]
    assert sum("content" in query["sql"] for query in queries) == 2
    assert list(find(alice, "zebra")) == keys
    assert find(alice, "horse") == {}


def changes(user: User, cursor: int, newer_than: int = 10**9) -> tuple[list[str], list[str], Any]:
    found = look(user.pk, cursor, newer_than)
    return [each.session.key for each in found.changed], [r.key for r in found.deleted], found


def test_a_look_tells_what_is_newer(alice: User, bob: User) -> None:
    Chat(alice, "a").say(workflow="echo")
    cursor = conversations.latest(alice)
    assert changes(alice, cursor)[:2] == ([], [])
    job = Chat(alice, "b").send(workflow="echo")
    Chat(bob, "c").send(workflow="echo")
    changed, deleted, found = changes(alice, cursor)
    assert (changed, deleted, found.jobs) == (["b"], [], [job.pk])
    assert found.upto >= cursor
    services.delete_session(Session.objects.get(key="a"))
    assert changes(alice, found.upto)[:2] == ([], ["a"])


def test_one_that_is_made_again_is_not_deleted(alice: User) -> None:
    Chat(alice, "a").say(workflow="echo")
    cursor = conversations.latest(alice)
    services.delete_session(Session.objects.get())
    Chat(alice, "a").say(workflow="echo")
    assert changes(alice, cursor)[:2] == (["a"], [])


def test_a_job_that_has_ended_is_told_if_it_is_new(alice: User) -> None:
    before = conversations.latest(alice)
    job = Chat(alice, "a").say(workflow="echo")
    assert changes(alice, before, newer_than=job.pk - 1)[2].jobs == [job.pk]
    assert changes(alice, before, newer_than=job.pk)[2].jobs == []


def test_numbers_of_another_server_are_left_out(alice: User) -> None:
    Chat(alice, "a").say(workflow="echo")
    Session.objects.update(changed=certain(alice.pk).below + 10**9)
    assert changes(alice, 0)[0] == []


def test_when_a_cursor_is_too_old(alice: User) -> None:
    number, second = conversations.latest(alice), timedelta(seconds=1)
    assert not conversations.is_too_old(alice, number, CURSOR_KEPT)
    assert conversations.is_too_old(alice, number, CURSOR_KEPT + second)
    assert conversations.is_too_old(alice, certain(alice.pk).below + 10**9, second)


def test_what_is_under_way(alice: User, bob: User) -> None:
    jobs = [Chat(alice, key).send(workflow="echo") for key in "ab"]
    Chat(bob).send(workflow="echo")
    assert conversations.load(conversations.under_way(alice)) == jobs
    services.cancel(jobs[0])
    assert conversations.load(conversations.under_way(alice)) == jobs[1:]


def test_many_changes_come_in_slices(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "SLICE", 2)
    for key in "abcde":
        Chat(alice, key).say(workflow="echo")
    for key in "ca":
        services.delete_session(Session.objects.get(key=key))
    slices: list[tuple[list[str], list[str]]] = []
    end: int | None = 0
    while end is not None:
        changed, deleted, found = changes(alice, end)
        slices.append((changed, deleted))
        end = found.end
    assert [each for each in slices if each != ([], [])] == [
        (["b", "d"], []),
        (["e"], ["c", "a"]),
    ]


def test_a_slice_has_all_that_one_transaction_changed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "SLICE", 2)
    Session.objects.bulk_create(Session(user=alice, key=key, changed=1) for key in "abc")
    Session.objects.create(user=alice, key="d", changed=2)
    changed, _, found = changes(alice, 0)
    assert (sorted(changed), found.end) == (["a", "b", "c"], 1)  # One number, so in any order.
    changed, _, found = changes(alice, 1)
    assert (changed, found.end) == (["d"], None)


def test_jobs_of_a_session_that_changes_during_the_look_are_told(alice: User) -> None:
    """The session is told by the next look; the job may have ended by then."""
    job = Chat(alice, "a").say(workflow="echo")
    Session.objects.update(changed=certain(alice.pk).below + 10**9)
    changed, _, found = changes(alice, 0, newer_than=job.pk - 1)
    assert (changed, found.jobs) == ([], [job.pk])


def test_jobs_of_one_workflow(alice: User) -> None:
    asked, echoed = [Chat(alice, name).send(workflow=name) for name in ("ask", "echo")]
    assert look(alice.pk, 0, 0, "ask").jobs == [asked.pk]
    assert conversations.under_way(alice, "echo") == [echoed.pk]
    assert conversations.load([asked.pk, echoed.pk], "echo") == [echoed]
