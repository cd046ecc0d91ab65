"""A run's words: shown some at a time, soon, in order, and as exactly as if each were an event."""

import threading
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from chatflow.workflows import Context, WorkflowError
from chatflow.workflows.models import Job, State
from chatflow.workflows.running import event_writer
from chatflow.workflows.running.event_writer import EventWriter
from chatflow.workflows.store import events as events_module
from chatflow.workflows.store import lifecycle
from tests.workflows.chat import (
    NET,
    Chat,
    Crashes,
    assert_log_is_sound,
    events,
    resume,
    streamed,
    types,
)
from tests.workflows.faults import make_outage, make_refusal

pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = [f"{number} " for number in range(200)]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let words wait for ever, unless something follows them."""
    monkeypatch.setattr(event_writer, "PACE", NET * 10)


@pytest.fixture
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let words wait for a moment; the workflows' tests in general show each at once."""
    monkeypatch.setattr(event_writer, "PACE", 0.05)


def wait_for(job: Job, text: str) -> None:
    until = time.monotonic() + NET
    while streamed(job) != text:
        assert time.monotonic() < until, streamed(job)
        time.sleep(0.005)


@pytest.mark.usefixtures("slow")
def test_it_works(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        for token in TOKENS:
            ctx.write(token)

    job = chat.begin(work)

    # The first word doesn't wait; the last ones are there before the end.
    assert types(job) == ["started", "delta", "delta", "completed"]
    assert events(job)[1].data == {"delta": TOKENS[0]}
    assert job.response == streamed(job) == "".join(TOKENS)
    assert_log_is_sound(job)


@pytest.mark.usefixtures("slow")
def test_words_come_before_what_follows_them(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        for token in ("a", "b"):
            ctx.write(token)
        ctx.progress(10, "Ten")
        ctx.write("c")
        ctx.step("Think", lambda: ctx.write("d"))
        ctx.write("e")
        ctx.ask("Name?")

    job = chat.begin(work)

    log = [event.data.get("delta", event.type) for event in events(job)]
    assert log == [
        "started", "a", "b", "progress", "c", "step_started", "d", "step_finished", "e",
        "completed",
    ]  # fmt: skip


@pytest.mark.usefixtures("slow")
def test_words_come_before_a_question_that_is_asked_again(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        name = ctx.ask("Name?")
        for token in (name or "", ", ", "well. "):
            ctx.write(token)
        return str(ctx.confirm("Sure?"))

    chat.begin(work)
    first, again = chat.say("Ada"), chat.say("perhaps")

    assert (streamed(first), streamed(again)) == ("Ada, well. ", "")
    assert again.response.endswith("Sure?")
    assert_log_is_sound(first)


@pytest.mark.usefixtures("slow")
def test_words_come_before_a_failure(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        for token in ("a", "b"):
            ctx.write(token)
        raise WorkflowError("No luck.")

    job = chat.begin(work)

    assert (job.state, streamed(job)) == (State.FAILED, "ab")
    assert_log_is_sound(job)


@pytest.mark.usefixtures("slow")
def test_many_words_do_not_wait(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        for token in ("a", "b" * (event_writer.BULK - 1), "c"):
            ctx.write(token)
        assert len(streamed(ctx.job)) == 1 + event_writer.BULK
        for token in ("d", "e"):
            ctx.write(token)

    job = chat.begin(work)

    assert job.state == State.COMPLETED, job.traceback
    deltas = [len(event.data["delta"]) for event in events(job) if event.type == "delta"]
    assert deltas == [1, event_writer.BULK, 2]


@pytest.mark.usefixtures("lively")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_last_words_wait_for_nothing(chat: Chat, kind: str) -> None:
    """A model that stalls has its words shown all the same: by the watchdog."""

    def work(ctx: Context) -> None:
        for token in TOKENS:
            ctx.write(token)
        wait_for(ctx.job, "".join(TOKENS))
        ctx.write("End.")

    async def awork(ctx: Context) -> None:
        for token in TOKENS:
            await ctx.awrite(token)
        await sync_to_async(wait_for)(ctx.job, "".join(TOKENS))
        await ctx.awrite("End.")

    job = chat.begin(work if kind == "sync" else awork)

    assert job.state == State.COMPLETED, job.traceback
    assert job.response == streamed(job) == "".join(TOKENS) + "End."
    assert_log_is_sound(job)


@pytest.mark.usefixtures("slow")
def test_a_crash_while_words_wait(chat: Chat) -> None:
    crashes = Crashes("words", "step")

    def think(ctx: Context) -> None:
        for token in ("c", "d"):
            ctx.write(token)
        crashes.at("step")
        ctx.write("e")

    def work(ctx: Context) -> None:
        for token in ("a", "b"):
            ctx.write(token)
        crashes.at("words")
        ctx.step("Think", think, ctx)
        ctx.write("f")

    job = chat.begin(work)
    resume(job)
    job = resume(job)

    assert job.response == streamed(job) == "abcdef"
    assert_log_is_sound(job)


@pytest.mark.usefixtures("slow")
def test_words_of_an_atomic_step_that_failed_are_forgotten(chat: Chat) -> None:
    tries: list[int] = []

    def think(ctx: Context) -> None:
        tries.append(1)
        for token in ("b", "c"):
            ctx.write(token)
        if len(tries) == 1:
            raise ValueError

    def work(ctx: Context) -> None:
        ctx.write("a")
        ctx.step("Think", think, ctx, atomic=True, retries=1)
        ctx.write("d")

    job = chat.begin(work)

    assert job.response == streamed(job) == "abcd"
    assert_log_is_sound(job)


@pytest.mark.usefixtures("lively")
@pytest.mark.parametrize("committed", [False, True])
def test_an_outage_while_the_watchdog_writes(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """Whether or not the words had arrived, they are there once."""
    append, failed = events_module.append, threading.Event()

    def flaky(*args: Any, **kwargs: Any) -> int:
        if threading.current_thread().name != "watchdog" or failed.is_set():
            return append(*args, **kwargs)
        if committed:
            append(*args, **kwargs)
        failed.set()
        raise make_outage()

    monkeypatch.setattr(events_module, "append", flaky)

    def work(ctx: Context) -> None:
        for token in ("a", "b"):
            ctx.write(token)
        assert failed.wait(NET)
        ctx.write("c")
        wait_for(ctx.job, "abc")
        ctx.progress(50)

    job = chat.begin(work)

    assert job.state == State.COMPLETED, job.traceback
    assert job.response == streamed(job) == "abc"
    assert_log_is_sound(job)


# While others are in the way.


@pytest.mark.postgresql
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("state", ["40P01", "55P03", "57014", "40001"])
def test_a_conflict_costs_no_attempt(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, state: str, atomic: bool, committed: bool
) -> None:
    """Nor is an event there twice, where only its ring was refused, behind the commit."""
    append = events_module.append
    errors: list[Exception] = []

    def flaky(*args: Any, **kwargs: Any) -> int:
        if not errors:
            return append(*args, **kwargs)
        if committed and not atomic:
            append(*args, **kwargs)
        raise errors.pop()

    monkeypatch.setattr(events_module, "append", flaky)
    ran: list[int] = []

    def think(ctx: Context) -> None:
        ran.append(1)
        errors.append(make_refusal(state))
        ctx.progress(50, "Half")

    job = chat.begin(lambda ctx: ctx.step("Think", think, ctx, atomic=atomic) or "done")

    assert (job.state, job.attempt, job.lost, len(ran)) == (State.COMPLETED, 1, 0, 1)
    assert types(job) == ["started", "step_started", "progress", "step_finished", "completed"]
    assert_log_is_sound(job)


@pytest.mark.parametrize("verb", ["ask", "history"])
def test_other_writes_of_the_engine_wait_as_well(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    hold, errors = lifecycle.hold, [make_outage(), make_outage()]

    def flaky(job: Job) -> None:
        if errors:
            raise errors.pop()
        hold(job)

    monkeypatch.setattr(lifecycle, "hold", flaky)

    def work(ctx: Context) -> str:
        if verb == "ask":
            ctx.ask("Name?")
        ctx.history(tokens=1)
        return "done"

    if verb == "history":
        chat.say("What is the weather like? I live in Rome and want to go out in the evening.")
    job = chat.begin(work)

    assert errors == []
    assert (job.state, job.attempt, job.lost) == (State.COMPLETED, 1, 0)


def test_a_database_that_takes_no_writes_is_not_called_without_a_pause(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a standby, which answers all the while."""
    append, errors = events_module.append, [make_outage() for _ in range(4)]
    waits: list[float] = []
    wait = EventWriter._wait_for_database

    def flaky(*args: Any, **kwargs: Any) -> int:
        if errors:
            raise errors.pop()
        return append(*args, **kwargs)

    def count(self: EventWriter, pause: float) -> None:
        waits.append(pause)
        began = time.monotonic()
        wait(self, pause)
        assert time.monotonic() - began >= pause

    monkeypatch.setattr(events_module, "append", flaky)
    monkeypatch.setattr(EventWriter, "_wait_for_database", count)
    job = chat.begin(lambda ctx: ctx.progress(50))

    assert (job.state, job.attempt) == (State.COMPLETED, 1)
    # At once on a new connection, and then slowly.
    assert waits == [0.0] + [event_writer.RECONNECT] * 3


def test_a_wait_ends_with_the_attempt(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> int:
        raise make_outage()

    def work(ctx: Context) -> str:
        with monkeypatch.context() as context:
            context.setattr(events_module, "append", refuse)
            ctx.progress(50)
        return "never"

    job = chat.begin(work, max_execution_time=0.5)

    assert (job.state, job.code) == (State.TIMEOUT, "timeout")


@pytest.mark.postgresql
def test_a_read_in_a_transaction_is_made_again(chat: Chat) -> None:
    """The server takes nothing more in a transaction in which a query has failed."""
    tries: list[int] = []

    def read() -> int:
        tries.append(1)
        with connection.cursor() as cursor:
            if len(tries) == 1:
                cursor.execute("SET LOCAL statement_timeout = '1ms'")
                cursor.execute("SELECT pg_sleep(60)")
            return Job.objects.count()

    def look(ctx: Context) -> int:
        return ctx.record.events.read(read)

    job = chat.begin(lambda ctx: str(ctx.step("Look", look, ctx, atomic=True)))

    assert (job.response, len(tries), job.failures) == ("1", 2, 0)
