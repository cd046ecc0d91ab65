"""How a run ends: by its answer, by an error, by an interruption."""

import asyncio
import logging
import sqlite3
import time
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from chatflow.conf import conf
from chatflow.workflows import Context, WorkflowError, services, workflow
from chatflow.workflows.exceptions import Cancelled, DeadlineExceeded, ShuttingDown
from chatflow.workflows.models import Job, State
from chatflow.workflows.running import runner
from chatflow.workflows.running.watchdog import get_watchdog
from chatflow.workflows.store import lifecycle
from tests.configure import configure
from tests.workflows.chat import (
    Chat,
    assert_log_is_sound,
    at_once,
    claim,
    claimed,
    events,
    lose_worker,
    run_waiting,
    saved,
    streamed,
    types,
)
from tests.workflows.faults import make_outage, make_passing, make_refusal, make_sqlite_error

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


# Answers.


def test_it_works(chat: Chat) -> None:
    job = chat.begin(lambda ctx: f"You said {ctx.message}", "hello")

    assert (job.state, job.response, job.actions, job.sources) == (
        State.COMPLETED,
        "You said hello",
        [],
        [],
    )
    assert [(event.type, event.message) for event in events(job)] == [
        ("started", "Starting..."),
        ("completed", "Completed"),
    ]


@pytest.mark.parametrize(("answer", "response"), [(None, ""), ("", ""), ("a\0\ud800", "a\ufffd?")])
def test_answers(chat: Chat, answer: Any, response: str) -> None:
    job = chat.begin(lambda ctx: answer)

    assert (job.state, job.response) == (State.COMPLETED, response)


def test_a_string_answers_even_where_words_were_streamed(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        ctx.write("Thinking")
        return "The answer"

    job = chat.begin(work)

    assert (job.response, streamed(job)) == ("The answer", "Thinking")


@pytest.mark.parametrize("answer", [1, True, {"text": "hi"}, ["hi"], b"hi", object()])
def test_an_answer_of_a_wrong_type(chat: Chat, answer: Any) -> None:
    job = chat.begin(lambda ctx: answer)

    assert (job.state, job.code, job.error) == (State.FAILED, "workflow_failed", runner.FAILED)
    assert "A workflow returns ctx.reply" in job.traceback


@pytest.mark.parametrize(
    "reply",
    [
        {"text": 5},
        {"text": None},
        {"text": "ok", "sources": [{"day": date(2026, 1, 1)}]},
        {"text": "ok", "sources": [object()]},
    ],
)
def test_a_reply_that_cannot_be_stored(chat: Chat, reply: dict[str, Any]) -> None:
    job = chat.begin(lambda ctx: ctx.reply(**reply))

    assert (job.state, job.code, job.error) == (State.FAILED, "workflow_failed", runner.FAILED)
    assert_log_is_sound(job)


def test_choices_that_cannot_be_stored(chat: Chat) -> None:
    job = chat.begin(lambda ctx: ctx.choose("Which?", [(Decimal(1), "One")]))

    assert (job.state, job.code) == (State.FAILED, "workflow_failed")
    assert "Decimal is not JSON serializable" in job.traceback


# Errors.


def test_an_exception(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    def work(ctx: Context) -> str:
        raise ValueError("the password is hunter2")

    job = chat.begin(work)

    assert (job.state, job.code, job.error) == (
        State.FAILED,
        "workflow_failed",
        "The workflow failed. The error has been logged.",
    )
    # The row and the log have it all, the client has nothing of it.
    assert "ValueError: the password is hunter2" in job.traceback
    assert "hunter2" in caplog.text
    assert not any("hunter2" in str((event.data, event.message)) for event in events(job))
    assert_log_is_sound(job)


def test_a_workflow_error_is_shown(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        raise WorkflowError("The customer is blocked.", code="blocked")

    job = chat.begin(work)

    assert (job.state, job.code, job.error) == (State.FAILED, "blocked", "The customer is blocked.")
    assert events(job)[-1].data == {"error": "The customer is blocked.", "code": "blocked"}
    assert "WorkflowError" in job.traceback


def test_a_workflow_error_without_words(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        raise WorkflowError

    job = chat.begin(work)

    assert (job.code, job.error) == ("workflow_failed", "The workflow failed.")


def test_a_workflow_error_is_not_tried_again(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        raise WorkflowError("No.")

    assert chat.begin(work, tries=5).attempt == 1


class Odd(Exception):
    code = 404

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [Odd(), ExceptionGroup("several", [ValueError("a")]), ValueError("\0\ud800"), StopIteration()],
)
def test_odd_exceptions(chat: Chat, error: Exception) -> None:
    def work(ctx: Context) -> str:
        raise error

    job = chat.begin(work)

    assert (job.state, job.code, job.error) == (State.FAILED, "workflow_failed", runner.FAILED)
    assert type(error).__name__ in job.traceback


def test_a_code_that_does_not_fit(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        raise WorkflowError("x" * 10_000, code="c" * 100)

    job = chat.begin(work)

    assert (job.state, job.code) == (State.FAILED, "c" * 50)


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()]
)
def test_what_would_end_the_worker_fails_the_job(chat: Chat, error: BaseException) -> None:
    def work(ctx: Context) -> str:
        raise error

    job = chat.begin(work)

    assert (job.state, job.code, job.error) == (State.FAILED, "workflow_failed", runner.FAILED)
    assert f"The workflow raised {type(error).__name__}." in job.traceback


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), ValueError("no")])
def test_errors_of_an_async_workflow(chat: Chat, error: BaseException) -> None:
    async def work(ctx: Context) -> str:
        await ctx.aprogress(10, "Soon")
        raise error

    job = chat.begin(work)

    assert (job.state, job.error) == (State.FAILED, runner.FAILED)
    assert type(error).__name__ in job.traceback
    assert types(job) == ["started", "progress", "failed"]


def test_an_unknown_workflow(chat: Chat) -> None:
    """It was there when the message was sent: another release runs the cluster."""
    job = chat.send()
    Job.objects.update(workflow="gone")
    run_waiting()
    job.refresh_from_db()

    assert (job.state, job.code) == (State.FAILED, "unknown_workflow")
    assert job.error == "There is no workflow called 'gone'."
    assert_log_is_sound(job)


# Tries.


def failing(times: int) -> Any:
    """Return a workflow that raises so many times, and the steps that it ran."""
    ran: list[int] = []

    def work(ctx: Context) -> str:
        ctx.step("Once", ran.append, 1)
        if ctx.job.failures < times:
            raise ValueError(f"failure {ctx.job.failures + 1}")
        return f"done, {len(ran)} step"

    return work


def test_tries(chat: Chat) -> None:
    job = chat.begin(failing(2), tries=3)

    assert (job.state, job.response) == (State.COMPLETED, "done, 1 step")
    assert (job.attempt, job.failures, job.lost) == (3, 2, 0)
    assert [event.message for event in events(job) if event.type == "started"] == [
        "Starting...",
        "Resuming...",
        "Resuming...",
    ]
    assert_log_is_sound(job)


def test_tries_run_out(chat: Chat) -> None:
    job = chat.begin(failing(2), tries=2)

    assert (job.state, job.attempt) == (State.FAILED, 2)
    assert "failure 2" in job.traceback


def test_lost_workers_are_no_tries(chat: Chat) -> None:
    workflow("w", tries=2)(failing(1))
    job = chat.send(workflow="w")
    claimed()
    lose_worker()
    run_waiting()
    job.refresh_from_db()

    assert (job.state, job.attempt, job.failures, job.lost) == (State.COMPLETED, 3, 1, 1)


@pytest.mark.parametrize(
    ("backoff", "delays"), [(60, [60, 60]), ([60, 600], [60, 600]), ((60,), [60, 60]), (0, [0, 0])]
)
def test_backoff(chat: Chat, backoff: Any, delays: list[int]) -> None:
    job = chat.begin(failing(9), tries=3, backoff=backoff)
    for delay in delays:
        if delay:
            assert job.state == State.QUEUED
            assert claim() is None
            wait = (job.available_at - timezone.now()).total_seconds()
            assert wait == pytest.approx(delay, abs=20)
            Job.objects.update(available_at=timezone.now() - timedelta(seconds=1))
        run_waiting()
        job.refresh_from_db()

    assert (job.state, job.failures) == (State.FAILED, 2)


def test_retry_until(chat: Chat) -> None:
    job = chat.begin(failing(9), retry_until=600, backoff=60)
    assert job.state == State.QUEUED
    Job.objects.update(
        created_at=timezone.now() - timedelta(seconds=541),
        available_at=timezone.now() - timedelta(seconds=1),
    )
    run_waiting()
    job.refresh_from_db()

    assert job.state == State.FAILED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("tries", [1, 3])
@pytest.mark.parametrize("state", ["40P01", "57014", "55P03", "53400"])
def test_a_workflows_own_query_that_is_refused_is_its_own_exception(
    chat: Chat, state: str, tries: int
) -> None:
    """A deadlock, for example. What it did before happens as often as its tries say."""
    ran: list[int] = []

    def query() -> None:
        ran.append(1)
        raise make_refusal(state)

    job = chat.begin(lambda ctx: ctx.step("Query", query), tries=tries, backoff=0)

    assert (job.state, job.code, job.lost) == (State.FAILED, "workflow_failed", 0)
    assert (len(ran), job.attempt, job.failures) == (tries, tries, tries - 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite
def test_a_locked_database_is_no_fault_of_the_workflow(chat: Chat) -> None:
    """Nor is a disk that is full for a moment."""
    errors = [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL]

    def work(ctx: Context) -> str:
        if errors:
            raise OperationalError("no") from make_sqlite_error(errors.pop())
        return "done"

    job = chat.begin(work)

    assert (job.state, job.attempt, job.lost, job.failures) == (State.COMPLETED, 3, 0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_query_that_breaks_its_connection_does_not_go_on_for_ever(
    chat: Chat, settings: Any
) -> None:
    """Nobody else's connection breaks: it's no outage."""
    configure(settings, WORKFLOW_TRIES=2)
    ran: list[int] = []

    def idle_too_long() -> None:
        ran.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 20")
            time.sleep(0.2)
            cursor.execute("SELECT 1")

    witness = connect_once_more()
    job = chat.begin(lambda ctx: ctx.step("Idle", idle_too_long, atomic=True))
    run_until_it_ends(job)
    witness.close()

    assert (job.state, job.code) == (State.FAILED, "connection_lost")
    assert (len(ran), job.attempt, job.lost) == (2, 2, 2)
    assert "idle-in-transaction" in job.traceback
    assert_log_is_sound(job)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_connections_that_all_break_are_an_outage(chat: Chat, settings: Any) -> None:
    configure(settings, WORKFLOW_TRIES=1)
    ran: list[int] = []

    def work(ctx: Context) -> str:
        ran.append(1)
        if len(ran) < 4:
            with connect_once_more() as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        return "done"

    witness = connect_once_more()
    job = chat.begin(work)
    witness.close()

    assert (job.state, job.attempt, job.lost) == (State.COMPLETED, 4, 0)


def connect_once_more() -> psycopg.Connection[Any]:
    """Open another connection of this host's, as every process of the engine has some."""
    params = connection.get_connection_params()
    for own in ("cursor_factory", "context", "prepare_threshold", "pool"):
        params.pop(own, None)
    return psycopg.connect(**params, autocommit=True)


def run_until_it_ends(job: Job) -> None:
    while not job.is_finished:
        run_waiting()
        time.sleep(lifecycle.seconds_to_next((), is_async=False) or 0.01)
        job.refresh_from_db()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_can_not_be_routed(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is waited out; a fault of ours fails it at once and clearly."""
    workflow("w")(lambda ctx: "done")
    errors = [make_outage()]

    def reroute(job: Job) -> None:
        if errors:
            raise errors.pop()

    monkeypatch.setattr(runner, "reroute", reroute)
    first = chat.send(workflow="w")
    run_until_it_ends(first)
    errors.append(OperationalError("no such column"))
    second = chat.say(workflow="w")

    assert (first.state, first.attempt, first.lost) == (State.COMPLETED, 2, 0)
    assert (second.state, second.code, second.attempt) == (State.FAILED, "workflow_failed", 1)


@pytest.mark.django_db(transaction=True)
def test_its_lease_is_renewed_while_it_is_routed(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who locks its session may keep it waiting for longer than a lease, also for its end."""
    watched: list[list[tuple[int, int]]] = []
    end = lifecycle.end

    def look(*args: Any, **options: Any) -> Any:
        watched.append([attempt.key for attempt in get_watchdog().attempts()])
        return end(*args, **options)

    monkeypatch.setattr(lifecycle, "end", look)
    job = chat.send()
    Job.objects.filter(pk=job.pk).update(workflow="nope")
    run_waiting()
    job.refresh_from_db()

    assert (job.state, job.code) == (State.FAILED, "unknown_workflow")
    assert watched == [[(job.pk, 1)]]
    assert get_watchdog().attempts() == []


@pytest.mark.django_db(transaction=True)
def test_what_was_cancelled_while_it_was_routed_is_not_begun(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reroute(job: Job) -> None:
        [attempt] = get_watchdog().attempts()
        attempt.stop(Cancelled())

    monkeypatch.setattr(runner, "reroute", reroute)
    began: list[int] = []
    job = chat.begin(lambda ctx: began.append(1))

    assert (job.state, began) == (State.CANCELLED, [])


@pytest.mark.django_db(transaction=True)
def test_an_unknown_fault_in_the_routing_leaves_nothing_watched(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one of the function that makes a workflow's unique keys."""

    def reroute(job: Job) -> None:
        raise ValueError("No key.")

    monkeypatch.setattr(runner, "reroute", reroute)
    job = chat.begin(lambda ctx: "never")

    assert (job.state, job.code) == (State.FAILED, "workflow_failed")
    assert get_watchdog().attempts() == []


@pytest.mark.django_db(transaction=True)
def test_a_hand_over_that_is_tried_again(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in another line all the same, and has no turn there yet."""
    workflow("w")(lambda ctx: "one")
    workflow("other", queue="other")(lambda ctx: "two")
    chat.send(workflow="w")
    told: list[bool] = []
    give_back = lifecycle.give_back

    def flaky(job: Job, *, anew: bool, **options: Any) -> None:
        told.append(anew)
        if len(told) == 1:
            raise make_passing()
        give_back(job, anew=anew, **options)

    monkeypatch.setattr(lifecycle, "give_back", flaky)
    runner._hand_over(claimed(), "other")

    assert told == [True, True]
    assert Job.objects.get().queue == "other"


def test_a_hand_over_whose_unique_key_can_not_be_made(chat: Chat) -> None:
    def make_key(user: Any, text: str) -> str:
        raise ValueError("No key.")

    workflow("w")(lambda ctx: "one")
    workflow("other", unique_key=make_key)(lambda ctx: "two")
    job = chat.send(workflow="w")
    runner._hand_over(claimed(), "other")
    job.refresh_from_db()

    assert (job.state, job.code) == (State.FAILED, "workflow_failed")


# Interruptions.


def test_a_deadline_at_the_next_verb(chat: Chat) -> None:
    """Nothing interrupts a run in a web process; its next verb looks at the clock."""
    seen: list[str] = []

    def work(ctx: Context) -> str:
        ctx.step("First", str)
        ctx.record.attempt.deadline = time.monotonic()
        seen.append("first")
        ctx.step("Second", seen.append, "second")
        return "never"

    job = chat.begin(work, max_execution_time=30)

    assert seen == ["first"]
    assert (job.state, job.code) == (State.TIMEOUT, "timeout")
    assert job.error == "The request ran longer than 30 seconds and was stopped."
    assert list(Job.objects.failures()) == [job]
    assert_log_is_sound(job)


@pytest.mark.parametrize("verb", ["progress", "write", "ask", "ai", "step"])
def test_each_verb_looks_at_the_clock(chat: Chat, verb: str) -> None:
    arguments: dict[str, Any] = {
        "progress": (1,),
        "write": ("x",),
        "ask": ("x",),
        "ai": ("x",),
        "step": ("x", int),
    }

    def work(ctx: Context) -> str:
        ctx.record.attempt.deadline = time.monotonic()
        getattr(ctx, verb)(*arguments[verb])
        return "never"

    job = chat.begin(work)

    assert (job.state, types(job)) == (State.TIMEOUT, ["started", "timeout"])


def test_the_deadline_counts_earlier_attempts(chat: Chat) -> None:
    workflow("w", max_execution_time=30)(lambda ctx: ctx.step("Work", str) or "done")
    job = chat.send(workflow="w")
    Job.objects.filter(pk=job.pk).update(ran_for=31)
    run_waiting()
    job.refresh_from_db()

    assert job.state == State.TIMEOUT


def test_waiting_in_the_queue_does_not_count(chat: Chat) -> None:
    workflow("w", max_execution_time=30)(lambda ctx: ctx.step("Work", str) or "done")
    job = chat.send(workflow="w")
    Job.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(days=1))
    run_waiting()
    job.refresh_from_db()

    assert job.state == State.COMPLETED


def test_an_atomic_step_that_ran_over_its_time_leaves_nothing(chat: Chat) -> None:
    def save(ctx: Context) -> None:
        Group.objects.create(name="g")
        ctx.record.attempt.deadline = time.monotonic()

    def work(ctx: Context) -> str:
        ctx.step("Save", save, ctx, atomic=True)
        return "never"

    job = chat.begin(work)

    assert job.state == State.TIMEOUT
    assert not saved()


def test_except_exception_does_not_swallow_an_interruption(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        ctx.record.attempt.deadline = time.monotonic()
        try:
            ctx.progress(10)
        except Exception:
            return "swallowed"
        return "never"

    assert chat.begin(work).state == State.TIMEOUT


def test_code_that_swallows_everything_is_stopped_at_the_next_verb(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        ctx.record.attempt.deadline = time.monotonic()
        for _ in range(3):
            try:
                ctx.progress(10)
            except BaseException:
                logging.getLogger().debug("swallowed")
        ctx.progress(10)
        return "never"

    assert chat.begin(work).state == State.TIMEOUT


def test_cleaning_up_when_interrupted(chat: Chat) -> None:
    cleaned: list[str] = []

    def work(ctx: Context) -> str:
        try:
            ctx.record.attempt.deadline = time.monotonic()
            ctx.progress(10)
        finally:
            cleaned.append("up")
        return "never"

    assert chat.begin(work).state == State.TIMEOUT
    assert cleaned == ["up"]


def test_an_error_while_cleaning_up_is_an_error(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        try:
            raise DeadlineExceeded
        finally:
            raise ValueError("while cleaning up")

    job = chat.begin(work)

    assert (job.state, job.code) == (State.FAILED, "workflow_failed")


def test_a_worker_that_is_told_to_stop_gives_its_job_back(chat: Chat) -> None:
    stops = iter([ShuttingDown])

    def work(ctx: Context) -> str:
        for stop in stops:
            ctx.record.attempt.stop(stop())
        ctx.step("Work", str)
        return "done"

    job = chat.begin(work)

    assert (job.state, job.attempt) == (State.COMPLETED, 2)
    assert (job.lost, job.failures) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_another_worker_ended_is_left_alone(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        lifecycle.end(Job.objects.get(pk=ctx.job.pk), lifecycle.cancelled("cancelled"))
        return "too late"

    job = chat.begin(work)

    assert (job.state, job.response) == (State.CANCELLED, "")
    assert_log_is_sound(job)


# In a web process.


def test_savepoints_of_the_caller_survive(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        try:
            with transaction.atomic():
                Group.objects.create(name="g")
                raise ValueError
        except ValueError:
            return str(saved())

    assert chat.begin(work).response == "0"


@pytest.mark.django_db(transaction=True)
def test_many_sync_runs_at_once(chat: Chat) -> None:
    workflow("w")(lambda ctx: ctx.step("Work", str, ctx.message))

    def run(number: int) -> str:
        mine = Chat(chat.user, f"s{number}").send(f"m{number}", workflow="w", mode="sync")
        return services.run_inline(mine).response

    assert at_once(4, run) == ["m0", "m1", "m2", "m3"]


def test_the_words_of_a_job_that_is_stopped_stay(chat: Chat) -> None:
    """Those that stand: not those that were taken back."""

    def tell(ctx: Context) -> str:
        ctx.write("Once upon a time")
        ctx.record.take_back(len("Once"))
        raise Cancelled

    job = chat.begin(tell)

    assert (job.state, job.metadata["broken_off"]) == (State.CANCELLED, True)
    assert [row.content for row in job.chat_messages.order_by("pk")] == ["go", "Once"]


def test_a_job_that_fails_without_words_leaves_no_message(chat: Chat) -> None:
    def fail(ctx: Context) -> str:
        raise WorkflowError

    job = chat.begin(fail)

    assert "broken_off" not in job.metadata
    assert job.chat_messages.count() == 1


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_query_about_another_file_does_not_go_on_for_ever(chat: Chat, settings: Any) -> None:
    """It fails as if the database were away; but Chatflow's own file can be written."""
    ran = []

    def attach(ctx: Context) -> None:
        ran.append(1)
        with connection.cursor() as cursor:
            cursor.execute("ATTACH '/nowhere/at/all.db' AS other")

    job = chat.begin(attach)
    while job.state == State.QUEUED:
        Job.objects.filter(pk=job.pk).update(available_at=job.created_at)
        run_waiting()
        job.refresh_from_db()

    assert (job.state, job.code, len(ran)) == (
        State.FAILED,
        "connection_lost",
        conf.WORKFLOW_TRIES,
    )
