"""Start, route, answer, cancel, retry: the verbs that outsiders call."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatflow.workflows import Context, WorkflowError, services, workflow
from chatflow.workflows.exceptions import (
    AlreadyQueued,
    AlreadyRetried,
    IdempotencyConflict,
    JobNotFound,
    NotRetryable,
    SessionBusy,
    UnknownWorkflow,
)
from chatflow.workflows.models import Job, Message, Session, State
from chatflow.workflows.running import runner
from chatflow.workflows.services import starts
from chatflow.workflows.store import lifecycle
from tests.configure import configure
from tests.workflows.chat import (
    ME,
    NET,
    Chat,
    assert_log_is_sound,
    at_once,
    claim,
    claimed,
    events,
    lose_worker,
    rolled_back,
    run_waiting,
    types,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def asker(ctx: Context) -> str:
    """Ask one question."""
    return f"Hello {ctx.ask('Name?')}"


@pytest.fixture(autouse=True)
def _flows() -> None:
    workflow("echo", triggers=["echo", "say again"])(lambda ctx: f"Echo: {ctx.message}")
    workflow("asker", triggers=["ask me"])(asker)


def messages(chat: Chat) -> list[tuple[str, str]]:
    rows = Message.objects.filter(session__user=chat.user, session__key=chat.key).order_by("id")
    return [(row.role, row.content) for row in rows]


# Start.


def test_it_works(chat: Chat) -> None:
    started = services.start(chat.user, "echo this", session_key="s", options={"memory": True})

    job = started.job
    assert (job.state, job.mode, job.workflow, started.replayed) == (
        State.QUEUED,
        "async",
        "echo",
        False,
    )
    assert job.public_id.startswith("workflow_")
    assert len(job.public_id) == 41
    assert (job.progress, job.last_seq, job.attempt) == (0, 0, 0)
    assert timezone.is_aware(job.available_at)

    run_waiting()
    job.refresh_from_db()
    assert (job.state, job.response) == (State.COMPLETED, "Echo: echo this")
    assert messages(chat) == [("user", "echo this"), ("assistant", "Echo: echo this")]


def test_an_unknown_workflow(chat: Chat) -> None:
    with pytest.raises(UnknownWorkflow, match="no workflow called 'nope'"):
        chat.send(workflow="nope")

    assert not Session.objects.exists()


def test_without_memory_nothing_is_kept(chat: Chat) -> None:
    assert chat.say("echo", options={"memory": False}).state == State.COMPLETED
    assert messages(chat) == []


def test_two_users_with_one_session_key_never_meet(chat: Chat, bob: User) -> None:
    other = Chat(bob, chat.key)
    chat.say("ask me")
    other.say("ask me")

    assert other.say("Bob").response == "Hello Bob"
    assert messages(other)[-1] == ("assistant", "Hello Bob")
    # Bob's cancel has left Alice's question alone, and Bob's jobs don't wait for hers.
    other.say("cancel")
    waiting = chat.send("Alice")
    assert other.send("echo")
    run_waiting()
    waiting.refresh_from_db()
    assert waiting.response == "Hello Alice"
    assert Session.objects.count() == 2
    assert ("user", "Bob") not in messages(chat)


@pytest.mark.django_db(transaction=True)
def test_a_start_that_is_rolled_back_leaves_nothing(chat: Chat) -> None:
    with rolled_back():
        chat.send("echo")

    assert (Session.objects.count(), Job.objects.count(), Message.objects.count()) == (0, 0, 0)
    assert claim() is None


def test_a_start_that_fails_in_the_middle_leaves_nothing(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(job: Job) -> None:
        raise ZeroDivisionError

    # In one statement there is no middle.
    monkeypatch.setattr(starts, "store_in_idle_session", lambda job, key: False)
    monkeypatch.setattr(starts, "_remember", fail)
    with pytest.raises(ZeroDivisionError):
        chat.send("echo")

    assert (Job.objects.count(), Message.objects.count()) == (0, 0)


# Route.


@pytest.mark.parametrize(
    ("text", "options", "name"),
    [
        ("Echo, please", {}, "echo"),
        ("would you SAY AGAIN what I said", {}, "echo"),
        ("echoes", {}, "chat"),
        ("reecho", {}, "chat"),
        ("hello", {}, "chat"),
        ("echo", {"actions": False}, "chat"),
    ],
)
def test_route(chat: Chat, text: str, options: dict[str, Any], name: str) -> None:
    assert chat.send(text, options=options).workflow == name


@pytest.mark.parametrize("trigger", ["C++", "#sale", " hello! ", "हिन्दी", "شكرا"])
def test_a_trigger_may_begin_and_end_with_anything(chat: Chat, trigger: str) -> None:
    workflow("special", triggers=[trigger])(lambda ctx: "It is special.")
    word = trigger.strip()
    assert chat.send(f"Something with {word} in it").workflow == "special"
    assert chat.send(word).workflow == "special"
    assert chat.send(f"a{word}a").workflow == "chat"


def test_a_named_workflow_bypasses_routing(chat: Chat) -> None:
    job = chat.send("echo", workflow="asker")

    assert (job.workflow, job.explicit) == ("asker", True)


# The open question.


def test_the_next_message_answers_the_question(chat: Chat) -> None:
    first = chat.say("ask me")
    answer = chat.send("echo")

    assert (answer.workflow, answer.root) == ("asker", first)
    # It is taken: a further message is not an answer to it.
    assert Session.objects.get().open_job is None
    run_waiting()
    answer.refresh_from_db()
    assert answer.response == "Hello echo"


def test_a_named_workflow_closes_the_question(chat: Chat) -> None:
    chat.say("ask me")

    assert chat.say("now", workflow="echo").response == "Echo: now"
    assert chat.say("Ada").workflow == "chat"


@pytest.mark.django_db(transaction=True)
def test_actions_false_leaves_the_question_open(chat: Chat) -> None:
    chat.say("ask me")
    assert chat.say("what is this?", options={"actions": False}).workflow == "chat"

    assert chat.say("Ada").response == "Hello Ada"


def test_a_failed_answer_does_not_leave_the_question_open(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        ctx.ask("Name?")
        raise WorkflowError("No.")

    chat.begin(work)

    assert chat.say("Ada").error == "No."
    assert chat.say("Ada").workflow == "chat"


def test_a_question_is_remembered_even_without_memory(chat: Chat) -> None:
    """Else history would show answers without their questions."""
    chat.say("ask me", options={"memory": False})
    chat.say("Ada", options={"memory": False})

    assert ("assistant", "Name?") in messages(chat)
    assert ("user", "Ada") in messages(chat)


# Words that cancel.


@pytest.mark.parametrize("text", ["cancel", "Never mind.", "STOP!", " quit "])
def test_a_word_cancels_the_open_question(chat: Chat, text: str) -> None:
    chat.say("ask me")
    job = chat.send(text)

    assert (job.state, job.response) == (State.COMPLETED, "Cancelled.")
    assert types(job) == ["completed"]
    assert_log_is_sound(job)
    assert Session.objects.get().open_job is None
    assert messages(chat)[-2:] == [("user", text), ("assistant", "Cancelled.")]
    assert chat.say("Ada").workflow == "chat"


def test_a_word_cancels_what_the_session_does(chat: Chat) -> None:
    running, waiting = chat.send("echo 1"), chat.send("echo 2")
    claimed()
    job = chat.send("cancel")

    assert (job.state, job.response) == (State.COMPLETED, "Cancelled.")
    running.refresh_from_db()
    waiting.refresh_from_db()
    assert (running.state, running.cancel_code) == (State.PROCESSING, "cancelled")
    assert (waiting.state, waiting.code) == (State.CANCELLED, "cancelled")


def test_a_word_that_has_nothing_to_cancel_is_a_message(chat: Chat) -> None:
    assert chat.send("cancel").workflow == "chat"


def test_more_than_a_word_does_not_cancel(chat: Chat) -> None:
    chat.say("ask me")

    assert chat.say("cancel culture").response == "Hello cancel culture"


@pytest.mark.parametrize(
    ("mode", "stored"), [("sync", "sync"), ("async", "async"), ("auto", "sync")]
)
def test_a_word_that_cancels_in_each_mode(chat: Chat, mode: Any, stored: str) -> None:
    chat.say("ask me")
    job = chat.send("cancel", mode=mode)

    assert (job.mode, job.is_finished, job.inline) == (stored, True, False)


# A busy session.


def test_enqueue(chat: Chat) -> None:
    first, second = chat.send("echo 1"), chat.send("echo 2")

    assert claimed().pk == first.pk
    assert claim() is None
    assert not first.waited
    assert second.waited


def test_reject(chat: Chat) -> None:
    chat.send("echo 1")
    with pytest.raises(SessionBusy):
        chat.send("echo 2", on_busy="reject")

    assert Job.objects.count() == Message.objects.count() == 1
    run_waiting()
    assert chat.send("echo 3", on_busy="reject")


def test_interrupt(chat: Chat) -> None:
    running, waiting = chat.send("echo 1"), chat.send("echo 2")
    claimed()
    job = chat.send("echo 3", on_busy="interrupt")

    waiting.refresh_from_db()
    assert (waiting.state, waiting.code) == (State.CANCELLED, "interrupted")
    assert waiting.error == lifecycle.INTERRUPTED
    running.refresh_from_db()
    assert running.cancel_code == "interrupted"
    lifecycle.end(running, lifecycle.cancelled("interrupted"))
    assert claimed().pk == job.pk


def test_a_waiting_message_answers_the_question_of_the_one_before(chat: Chat) -> None:
    """Only when the first has run it is known that the second is its answer."""
    first, second, third = chat.send("ask me"), chat.send("Ada"), chat.send("echo 3")
    assert second.workflow == "chat"
    run_waiting()
    for job in (first, second, third):
        job.refresh_from_db()

    assert (first.response, second.response, third.response) == (
        "Name?",
        "Hello Ada",
        "Echo: echo 3",
    )
    assert (second.workflow, second.root) == ("asker", first)
    assert Session.objects.get().open_job is None


def test_a_waiting_answer_whose_worker_is_lost_stays_an_answer(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies before it has run a line, or even before it was linked to the question."""
    chat.send("ask me")
    second = chat.send("Ada")
    runner.run(claimed(), interruptible=False)
    claimed()
    lose_worker()
    run_waiting()
    second.refresh_from_db()

    assert (second.response, second.attempt) == ("Hello Ada", 2)
    assert Session.objects.get().open_job is None


def test_a_waiting_message_that_named_its_workflow_is_no_answer(chat: Chat) -> None:
    chat.send("ask me")
    second = chat.send("Ada", workflow="echo")
    run_waiting()
    second.refresh_from_db()

    assert second.response == "Echo: Ada"


@pytest.mark.django_db(transaction=True)
def test_a_waiting_plain_chat_is_no_answer(chat: Chat) -> None:
    chat.send("ask me")
    second, third = chat.send("hm?", options={"actions": False}), chat.send("Ada")
    run_waiting()
    second.refresh_from_db()
    third.refresh_from_db()

    assert second.workflow == "chat"
    assert third.response == "Hello Ada"


@pytest.mark.django_db(transaction=True)
def test_two_first_messages_at_once(chat: Chat) -> None:
    """Both make the session, and one of them is first."""
    jobs = at_once(4, lambda number: chat.send(f"echo {number}"))

    assert Session.objects.count() == 1
    assert sorted(job.waited for job in jobs) == [False, True, True, True]
    assert min(job.pk for job in jobs) == next(job.pk for job in jobs if not job.waited)


@pytest.mark.django_db(transaction=True)
def test_one_of_many_is_not_rejected(chat: Chat) -> None:
    results = at_once(4, lambda number: chat.send("echo", on_busy="reject"))

    assert sorted(type(result).__name__ for result in results) == ["Job"] + ["SessionBusy"] * 3
    assert Job.objects.count() == 1


# Idempotency.


def test_the_same_key_and_body_give_the_same_job(chat: Chat) -> None:
    first = services.start(chat.user, "echo", session_key="s", idempotency_key="k", body_hash="h")
    run_waiting()
    again = services.start(chat.user, "echo", session_key="s", idempotency_key="k", body_hash="h")

    assert (again.replayed, again.job.pk, again.job.state) == (
        True,
        first.job.pk,
        State.COMPLETED,
    )
    assert Message.objects.filter(role="user").count() == 1


def test_the_same_key_with_another_body(chat: Chat) -> None:
    chat.send("echo", idempotency_key="k", body_hash="h")
    with pytest.raises(IdempotencyConflict):
        chat.send("echo", idempotency_key="k", body_hash="other")

    assert Job.objects.count() == 1


def test_two_users_may_use_one_key(chat: Chat, bob: User) -> None:
    first = chat.send("echo", idempotency_key="k", body_hash="h")

    assert Chat(bob).send("echo", idempotency_key="k", body_hash="other").pk != first.pk


def test_a_key_is_forgotten_after_a_day(chat: Chat) -> None:
    first = chat.send("echo", idempotency_key="k", body_hash="h")
    made = Job.objects.filter(pk=first.pk)
    made.update(created_at=timezone.now() - timedelta(hours=23, minutes=59))
    assert chat.send("echo", idempotency_key="k", body_hash="h") == first
    made.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))

    second = chat.send("echo", idempotency_key="k", body_hash="other")
    assert second != first
    assert chat.send("echo", idempotency_key="k", body_hash="other") == second


def test_a_first_send_that_was_refused_leaves_the_key_free(chat: Chat) -> None:
    chat.send("echo 1")
    with pytest.raises(SessionBusy):
        chat.send("echo 2", on_busy="reject", idempotency_key="k", body_hash="h")
    run_waiting()

    assert chat.send("echo 2", on_busy="reject", idempotency_key="k", body_hash="other")


def test_the_same_cancel_word_is_replayed(chat: Chat) -> None:
    chat.say("ask me")
    first = chat.send("cancel", idempotency_key="k", body_hash="h")
    chat.say("ask me")

    assert chat.send("cancel", idempotency_key="k", body_hash="h") == first
    assert Session.objects.get().open_job is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("on_busy", ["enqueue", "reject", "interrupt"])
def test_the_same_key_at_once(chat: Chat, on_busy: Any) -> None:
    jobs = at_once(
        6, lambda n: chat.send("echo", idempotency_key="k", body_hash="h", on_busy=on_busy)
    )

    assert len({getattr(job, "pk", job) for job in jobs}) == 1, jobs
    assert Job.objects.get().state == State.QUEUED
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_once_in_different_sessions(chat: Chat) -> None:
    jobs = at_once(
        6, lambda n: Chat(chat.user, f"s{n}").send("echo", idempotency_key="k", body_hash="h")
    )

    assert len({getattr(job, "pk", job) for job in jobs}) == 1, jobs


# Unique jobs.


@pytest.fixture
def unique() -> None:
    workflow("unique", unique_key=lambda user, text: f"{user.pk}:{text}")(lambda ctx: "done")


@pytest.mark.usefixtures("unique")
def test_a_unique_job(chat: Chat) -> None:
    chat.send("a", workflow="unique")
    with pytest.raises(AlreadyQueued):
        Chat(chat.user, "other").send("a", workflow="unique")
    assert chat.send("b", workflow="unique")

    assert not Message.objects.filter(session__key="other").exists()
    run_waiting()
    assert chat.say("a", workflow="unique").state == State.COMPLETED


@pytest.mark.usefixtures("unique")
@pytest.mark.django_db(transaction=True)
def test_unique_jobs_at_once(chat: Chat) -> None:
    results = at_once(4, lambda n: Chat(chat.user, f"s{n}").send("a", workflow="unique"))

    assert sorted(type(result).__name__ for result in results) == ["AlreadyQueued"] * 3 + ["Job"]


# Auto.


def store_finished_runs(chat: Chat, *seconds: float) -> None:
    for ran_for in seconds:
        job = chat.say("echo")
        Job.objects.filter(pk=job.pk).update(ran_for=ran_for)


def test_auto_goes_by_the_hint(chat: Chat) -> None:
    workflow("long", hint="long")(lambda ctx: "done")
    workflow("short", hint="short")(lambda ctx: "done")

    assert chat.send(workflow="long", mode="auto").mode == "async"
    assert chat.send(workflow="short", mode="auto").mode == "sync"


def test_auto_goes_by_the_latest_runs(chat: Chat) -> None:
    assert chat.send("echo", mode="auto", workflow="echo").mode == "sync"
    Job.objects.all().delete()
    store_finished_runs(chat, 4.0, 5.0)
    assert chat.send("echo", mode="auto").mode == "sync"
    Job.objects.filter(state=State.QUEUED).delete()
    store_finished_runs(chat, 100.0)
    assert chat.send("echo", mode="auto").mode == "async"
    Job.objects.filter(state=State.QUEUED).delete()
    store_finished_runs(chat, *[1.0] * starts.RECENT_RUNS)
    assert chat.send("echo", mode="auto").mode == "sync"


# Sync jobs.


def test_run_inline(chat: Chat) -> None:
    job = chat.send("echo", mode="sync")
    assert job.inline
    assert claim() is None

    ended = services.run_inline(job)
    assert (ended.state, ended.response) == (State.COMPLETED, "Echo: echo")
    assert ended.pid == ME.pid


@pytest.mark.django_db(transaction=True)
def test_a_sync_job_that_does_not_get_its_turn_is_withdrawn(chat: Chat) -> None:
    chat.send("echo 1")
    claimed()
    with pytest.raises(SessionBusy):
        services.run_inline(chat.send("echo 2", mode="sync"), wait=0)

    assert Job.objects.count() == 1
    assert messages(chat) == [("user", "echo 1")]


@pytest.mark.django_db(transaction=True)
def test_a_sync_job_waits_for_its_turn(chat: Chat) -> None:
    chat.send("ask me")
    running = claimed()
    job = chat.send("Ada", mode="sync")

    def first(number: int) -> Job | None:
        if number == 0:
            return services.run_inline(job, wait=NET)
        runner.run(running, interruptible=False)
        return None

    assert at_once(2, first)[0].response == "Hello Ada"


def test_a_sync_job_tries_again(chat: Chat) -> None:
    failures = iter([ValueError])

    def work(ctx: Context) -> str:
        for failure in failures:
            raise failure
        return "done"

    workflow("w", tries=2)(work)
    job = services.run_inline(chat.send(workflow="w", mode="sync"))

    assert (job.response, job.attempt) == ("done", 2)


def test_a_sync_job_that_was_cancelled_while_it_waited(chat: Chat) -> None:
    job = chat.send("echo", mode="sync")
    services.cancel(job)

    assert services.run_inline(job).state == State.CANCELLED


def test_queue_connection_sync(chat: Chat, settings: Any) -> None:
    configure(settings, QUEUE_CONNECTION="sync")
    job = chat.send("echo")

    assert (job.mode, job.state, job.response) == ("async", State.COMPLETED, "Echo: echo")


# Queries.


def test_get_job(chat: Chat, bob: User) -> None:
    job = chat.send("echo")

    assert services.get_job(chat.user, job.public_id) == job
    for user, public_id in ((bob, job.public_id), (chat.user, "workflow_0"), (chat.user, "")):
        with pytest.raises(JobNotFound):
            services.get_job(user, public_id)


def test_queue_position(chat: Chat, bob: User) -> None:
    workflow("urgent", priority=5)(lambda ctx: "done")
    workflow("elsewhere", queue="other")(lambda ctx: "done")
    first, second = chat.send("echo"), Chat(bob).send("echo")
    other, urgent = chat.send(workflow="elsewhere"), chat.send(workflow="urgent")
    sync = chat.send("echo", mode="sync")

    positions = [services.queue_position(job) for job in (first, second, other, urgent, sync)]
    assert positions == [2, 3, 1, 1, None]
    running = claimed()
    assert running.pk == first.pk
    assert services.queue_position(running) is None
    assert services.queue_position(second) == 2


def test_queue_positions_of_very_many(chat: Chat) -> None:
    first, second = chat.send("echo"), chat.send("echo")
    keys = range(second.pk, second.pk + 300_000)
    assert services.queue_positions([first.pk, *keys]) == {first.pk: 1, second.pk: 2}


def test_queue_positions_are_read_in_the_order_of_the_index(chat: Chat) -> None:
    """Nothing is sorted."""
    key = chat.send("echo").pk
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        assert services.queue_positions([key]) == {key: 1}
    ((sql, params),) = asked
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(f"EXPLAIN {sql}", params)
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        plan = str(cursor.fetchall())
    assert "job_next_in_queue" in plan
    assert not any(word in plan for word in ("Sort", "TEMP B-TREE FOR ORDER BY"))


# Cancel.


def test_cancel_a_waiting_job(chat: Chat) -> None:
    job = services.cancel(chat.send("echo"))

    assert (job.state, job.code, job.error) == (
        State.CANCELLED,
        "cancelled",
        lifecycle.CANCELLED,
    )
    assert types(job) == ["cancelled"]
    assert events(job)[0].data == {"error": lifecycle.CANCELLED, "code": "cancelled"}
    assert claim() is None
    assert services.cancel(job).finished_at == job.finished_at
    assert_log_is_sound(job)


def test_cancel_a_running_job(chat: Chat) -> None:
    job = chat.send("echo")
    claimed()
    assert services.cancel(job).state == State.PROCESSING
    # The first reason stands.
    services.cancel(job, code="interrupted")
    job.refresh_from_db()

    assert job.cancel_code == "cancelled"


def test_cancel_a_job_that_asked(chat: Chat) -> None:
    job = chat.say("ask me")
    ended = services.cancel(job)

    assert ended.state == State.COMPLETED
    assert Session.objects.get().open_job is None
    assert chat.say("Ada").workflow == "chat"


def test_cancel_an_older_question_leaves_the_present_one(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        return f"{ctx.ask('One?')} {ctx.ask('Two?')}"

    first = chat.begin(work)
    second = chat.say("1")
    services.cancel(first)

    assert Session.objects.get().open_job == second


def test_a_job_that_asks_after_its_cancel_is_cancelled(chat: Chat) -> None:
    """The user cancelled just before the question: it must not stay open."""

    def work(ctx: Context) -> str:
        services.cancel(ctx.job)
        return str(ctx.ask("Name?"))

    job = chat.begin(work)

    assert (job.state, job.code, job.awaiting) == (State.CANCELLED, "cancelled", None)
    assert Session.objects.get().open_job is None
    assert_log_is_sound(job)


def test_a_job_that_fails_after_its_cancel_is_not_tried_again(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        services.cancel(ctx.job)
        raise ValueError

    job = chat.begin(work, tries=5, backoff=3600)

    assert (job.state, job.code) == (State.CANCELLED, "cancelled")
    assert_log_is_sound(job)


def test_a_job_that_answers_in_spite_of_its_cancel_has_completed(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        services.cancel(ctx.job)
        return "done"

    job = chat.begin(work)

    assert (job.state, job.response) == (State.COMPLETED, "done")


@pytest.mark.django_db(transaction=True)
def test_cancel_races_with_the_end(chat: Chat) -> None:
    """One of them wins, and there is one end."""
    for _ in range(5):
        job = chat.send("echo")
        running = claimed()

        def race(number: int, running: Job = running) -> None:
            if number == 0:
                runner.run(running, interruptible=False)
            else:
                services.cancel(running)

        assert at_once(3, race) == [None, None, None]
        job.refresh_from_db()
        assert job.state == State.COMPLETED
        assert_log_is_sound(job)


@pytest.mark.django_db(transaction=True)
def test_cancels_of_a_waiting_job_at_once(chat: Chat) -> None:
    job = chat.send("echo")
    ended = at_once(4, lambda number: services.cancel(job))

    assert [one.state for one in ended] == [State.CANCELLED] * 4
    assert_log_is_sound(job)


# Retry.


@pytest.fixture
def failed(chat: Chat) -> Job:
    def work(ctx: Context) -> str:
        raise WorkflowError("No.", code="no")

    return chat.begin(work, "try this", queue="q", priority=3)


def test_retry(chat: Chat, failed: Job) -> None:
    log = types(failed)
    new = services.retry(failed)
    failed.refresh_from_db()

    assert (new.state, new.text, new.workflow, new.retry_of) == (
        State.QUEUED,
        "try this",
        "w",
        failed,
    )
    assert (new.queue, new.priority, new.user, new.session) == (
        "q",
        3,
        failed.user,
        failed.session,
    )
    assert new.public_id != failed.public_id
    # The old one is over, and off the list.
    assert types(failed) == log
    assert failed.forgotten
    assert list(Job.objects.failures()) == []
    run_waiting()
    new.refresh_from_db()
    assert new.error == "No."
    assert list(Job.objects.failures()) == [new]


@pytest.mark.parametrize("state", [State.QUEUED, State.COMPLETED])
def test_only_what_failed_can_be_retried(chat: Chat, state: str) -> None:
    job = chat.send("echo")
    if state == State.COMPLETED:
        run_waiting()
    with pytest.raises(NotRetryable):
        services.retry(job)


@pytest.mark.parametrize("state", [State.TIMEOUT, State.CANCELLED])
def test_what_was_stopped_can_be_retried(failed: Job, state: str) -> None:
    Job.objects.filter(pk=failed.pk).update(state=state)

    assert services.retry(failed).retry_of == failed


def test_a_job_is_retried_once(failed: Job) -> None:
    new = services.retry(failed)
    with pytest.raises(AlreadyRetried):
        services.retry(failed)

    assert list(failed.retries.all()) == [new]


def test_retry_when_the_workflow_is_gone(failed: Job) -> None:
    Job.objects.filter(pk=failed.pk).update(workflow="gone")
    with pytest.raises(UnknownWorkflow):
        services.retry(failed)

    failed.refresh_from_db()
    assert not failed.forgotten


@pytest.mark.usefixtures("unique")
def test_retry_of_a_unique_job_that_is_queued_again(chat: Chat) -> None:
    old = services.cancel(chat.send("a", workflow="unique"))
    chat.send("a", workflow="unique")
    with pytest.raises(AlreadyQueued):
        services.retry(old)

    old.refresh_from_db()
    assert not old.forgotten


def test_retry_with_queue_connection_sync(failed: Job, settings: Any) -> None:
    configure(settings, QUEUE_CONNECTION="sync")

    assert services.retry(failed).error == "No."


def test_a_retry_keeps_its_place_in_the_session(chat: Chat, failed: Job) -> None:
    waiting = chat.send("echo")
    new = services.retry(failed)

    assert claimed().pk == waiting.pk
    assert claim() is None
    assert new.pk > waiting.pk


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_start_is_a_few_queries(chat: Chat) -> None:
    """Session, jobs under way, job, message, ring; and the transaction around them."""
    chat.send(workflow="chat")
    run_waiting()
    with CaptureQueriesContext(connection) as captured:
        chat.send(workflow="chat")

    queries = [query["sql"] for query in captured]
    assert len([sql for sql in queries if sql not in ("BEGIN", "COMMIT")]) <= 5, queries
