"""Storing a message in one statement, where its session is idle."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from chatflow.workflows import services, workflow
from chatflow.workflows.bells import get_bell
from chatflow.workflows.bells.base import readable
from chatflow.workflows.cluster.rings import JOB, Rings
from chatflow.workflows.exceptions import AlreadyQueued, IdempotencyConflict
from chatflow.workflows.models import Job, Message, Session, State
from chatflow.workflows.services import starts
from chatflow.workflows.store import new_jobs
from tests.workflows.chat import NET, Chat, at_once, claimed, until_a_lock_is_waited_for
from tests.workflows.faults import make_refusal

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("unkept"),
]


@pytest.fixture
def general(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which jobs were stored in the general way: in a transaction of several statements."""
    stored: list[str] = []
    insert = new_jobs.insert

    def record(job: Job, session: Session) -> None:
        stored.append(job.text)
        insert(job, session)

    monkeypatch.setattr(starts, "insert", record)
    return stored


def row(job: Job) -> dict[str, object]:
    """Return a job's row, but for the columns that differ between any two jobs."""
    found = Job.objects.filter(pk=job.pk).values().get()
    own = ("id", "public_id", "session_id", "turn", "available_at", "created_at", "updated_at")
    return {name: value for name, value in found.items() if name not in (*own, "lease_until")}


def test_it_works(chat: Chat, general: list[str]) -> None:
    job = chat.send("hello", options={"actions": False, "é": ["\\ '"]})
    stored = Job.objects.get(pk=job.pk)

    assert general == []
    assert (stored.text, stored.options) == ("hello", {"actions": False, "é": ["\\ '"]})
    assert (stored.state, stored.attempt, stored.lease_until) == (State.QUEUED, 0, None)
    # The caller's job is as the row in the database.
    for name in ("session_id", "created_at", "available_at", "updated_at", "public_id", "queue"):
        assert getattr(stored, name) == getattr(job, name), name
    assert job.session == Session.objects.get()
    message = Message.objects.get()
    assert (message.role, message.content, message.job, message.remembered) == (
        "user",
        "hello",
        job,
        True,
    )
    job.text = "changed"
    job.save(update_fields=["text"])
    assert Job.objects.get().text == "changed"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_both_ways_store_the_same(chat: Chat, alice: User, general: list[str], mode: str) -> None:
    fields = {"mode": mode, "options": {"memory": True}, "input": {"a": 1}}
    short = services.start(alice, "one", session_key="s", **fields).job  # type: ignore[arg-type]
    long = services.start(
        alice,
        "one",
        session_key="t",
        before_commit=lambda job: None,
        **fields,  # type: ignore[arg-type]
    ).job

    assert general == ["one"]
    assert row(short) == row(long)
    assert (short.turn, long.turn) == ((-1, -1) if mode == "sync" else (0, 1))
    assert (short.lease_until is None) == (long.lease_until is None) == (mode == "async")
    first, second = Message.objects.order_by("id").values()
    for name in ("role", "content", "actions", "sources", "remembered"):
        assert first[name] == second[name]


def test_without_memory_no_message(chat: Chat) -> None:
    chat.send("hello", options={"memory": False})

    assert not Message.objects.exists()


def test_a_session_that_is_busy(chat: Chat, general: list[str]) -> None:
    first, second = chat.send("one"), chat.send("two")
    claimed()
    third = chat.send("three")

    assert general == ["two", "three"]
    assert [job.waited for job in (first, second, third)] == [False, True, True]


def test_a_session_with_an_open_question(chat: Chat, general: list[str]) -> None:
    workflow("asker")(lambda ctx: f"Hello {ctx.ask('Name?')}")
    chat.say(workflow="asker")

    assert chat.say("Alice").response == "Hello Alice"
    assert general == ["Alice"]


def test_a_session_that_is_idle_again(chat: Chat, general: list[str]) -> None:
    chat.say("one")
    session = Session.objects.get()
    chat.say("two")

    assert general == []
    assert Session.objects.get().pk == session.pk
    assert Session.objects.get().updated_at > session.updated_at


def test_the_same_key_of_another_user(chat: Chat, bob: User, general: list[str]) -> None:
    chat.send("one")
    Chat(bob, chat.key).send("two")

    assert general == []
    assert Session.objects.count() == 2


def test_many_at_the_same_moment(chat: Chat) -> None:
    """However they meet: the first finds an idle session, and the others know that they wait."""
    chat.say("zero")

    jobs = at_once(6, lambda number: chat.send("hello"))
    assert sorted(job.waited for job in jobs) == [False] + 5 * [True]
    assert min(job.pk for job in jobs) == next(job.pk for job in jobs if not job.waited)


def test_who_waited_for_the_session_sees_what_happened_to_it(
    chat: Chat, general: list[str]
) -> None:
    """The statement began before the other transaction was committed, and can't see its job."""
    chat.say("zero")
    started: list[Job] = []

    def send() -> None:
        started.append(chat.send("two"))
        connection.close()

    thread = threading.Thread(target=send)
    with transaction.atomic():
        first = chat.send("one")
        thread.start()
        until_a_lock_is_waited_for()
    thread.join(NET)

    assert (first.waited, started[0].waited) == (False, True)
    assert general == ["two"]


def test_an_idempotency_key_that_is_taken(chat: Chat, alice: User) -> None:
    def send(body: str) -> services.Started:
        return services.start(alice, "hello", session_key="s", idempotency_key="k", body_hash=body)

    first = send("a")
    chat_of_other = Chat(alice, "other")
    assert send("a").job == first.job
    assert send("a").replayed
    with pytest.raises(IdempotencyConflict):
        send("b")
    assert chat_of_other.send("hello")
    assert Job.objects.count() == 2


def test_a_unique_key_that_is_taken(chat: Chat, alice: User) -> None:
    workflow("once", unique_key=lambda user, text: text)(lambda ctx: "done")
    chat.send("same", workflow="once")
    with pytest.raises(AlreadyQueued):
        Chat(alice, "other").send("same", workflow="once")

    # Nothing of it is left, not even its session.
    assert (Job.objects.count(), Message.objects.count(), Session.objects.count()) == (1, 1, 1)


def test_a_callers_transaction(chat: Chat, alice: User) -> None:
    workflow("once", unique_key=lambda user, text: text)(lambda ctx: "done")
    with transaction.atomic():
        chat.send("same", workflow="once")
        with pytest.raises(AlreadyQueued):
            Chat(alice, "other").send("same", workflow="once")
        Chat(alice, "third").send("more", workflow="once")

    assert Job.objects.count() == 2


def test_each_of_a_transaction_rings(chat: Chat, alice: User) -> None:
    """For equal rings PostgreSQL would ring once, and one worker would wake."""
    rings = Rings()
    subscription = get_bell().listen(("async_jobs",), rings.on_ring)
    # The first ring, to check everything.
    rings.take()
    try:
        with transaction.atomic():
            for key in ("one", "two", "three"):
                Chat(alice, key).send("hello")
        heard = b""
        while len(heard) < 3:
            assert readable([rings.fd], NET)
            heard += rings.take()
    finally:
        subscription.close()
        rings.close()

    assert heard == 3 * JOB


def test_the_unique_key_of_a_workflow_that_an_answer_is_not_for(chat: Chat, alice: User) -> None:
    def fail(user: User, text: str) -> str:
        raise ZeroDivisionError

    workflow("touchy", triggers=["touchy"], unique_key=fail)(lambda ctx: "done")
    workflow("asker")(lambda ctx: f"Hello {ctx.ask('Name?')}")
    chat.say(workflow="asker")

    assert chat.say("touchy").response == "Hello touchy"
    with pytest.raises(ZeroDivisionError):
        chat.send("touchy")


def test_a_word_that_cancels_takes_nothing_from_the_workflow_that_was_named(
    chat: Chat, alice: User
) -> None:
    workflow("once", unique_key=lambda user, text: "k", queue="slow")(lambda ctx: "done")
    chat.send("hello")
    job = chat.send("cancel", workflow="once")

    assert (job.workflow, job.unique_key, job.queue) == ("chat", None, "default")


# While others are in the way.


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("committed", [False, True])
def test_a_conflict_is_tried_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, busy: bool, committed: bool
) -> None:
    """A ring that was refused behind the commit stores no second message."""
    if busy:
        chat.send("earlier")
    name = "_store" if busy else "_store_at_once"
    store, errors = getattr(starts, name), [make_refusal("40P01"), make_refusal("55P03")]

    def flaky(*args: Any) -> Any:
        if errors and committed and not busy:
            store(*args)
        if errors:
            raise errors.pop()
        return store(*args)

    monkeypatch.setattr(starts, name, flaky)
    job = chat.send("hello")

    assert Job.objects.get(text="hello").public_id == job.public_id
    assert Message.objects.filter(content="hello").count() == 1


def test_a_conflict_in_a_transaction_leaves_nothing_behind(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try that was undone decides nothing for the next one."""
    workflow("ask")(lambda ctx: str(ctx.ask("Name?")))
    chat.say(workflow="ask")
    remember, errors = starts._remember, [make_refusal("40001")]

    def flaky(job: Job) -> None:
        remember(job)
        if errors:
            raise errors.pop()

    monkeypatch.setattr(starts, "_remember", flaky)
    job = chat.send("Ada")

    assert job.root is not None
    assert Message.objects.filter(content="Ada").count() == 1


def test_a_conflict_that_stays_is_raised(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise make_refusal("40P01")

    monkeypatch.setattr(starts, "_store_at_once", refuse)
    with pytest.raises(OperationalError):
        chat.send("hello")
    assert not Job.objects.exists()
