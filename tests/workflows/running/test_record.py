"""What a run does after a crash, and what becomes of the record."""

import itertools
from typing import Any

import pytest
from django.db import connection

from chatflow.workflows import Context, services
from chatflow.workflows.models import Job, State, Step
from chatflow.workflows.running import runner
from chatflow.workflows.store import events as events_module
from tests.workflows.chat import (
    Chat,
    Crashes,
    assert_log_is_sound,
    events,
    lose_worker,
    resume,
    run_waiting,
    streamed,
    types,
)
from tests.workflows.faults import make_outage, refused_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def noted(ran: list[Any], value: Any) -> Any:
    ran.append(value)
    return value


def words(ran: list[str], ctx: Context, text: str) -> None:
    ran.append(text)
    ctx.write(text)


# A run again, after a crash.


def test_finished_steps_do_not_run_again(chat: Chat) -> None:
    ran: list[str] = []
    crashes = Crashes("before", "inside", "after")

    def do(name: str) -> dict[str, Any]:
        ran.append(name)
        crashes.at(name)
        return {"name": name, "count": len(ran)}

    def work(ctx: Context) -> str:
        first = ctx.step("First", do, "first")
        crashes.at("before")
        second = ctx.step("Second", do, "inside")
        crashes.at("after")
        return f"{first} {second}"

    job = chat.begin(work)
    for _ in range(2):
        assert resume(job).state == State.PROCESSING
    Job.objects.filter(pk=job.pk).update(lost=0)
    resume(job)

    assert ran == ["first", "inside", "inside"]
    assert job.response == "{'name': 'first', 'count': 1} {'name': 'inside', 'count': 3}"
    assert job.attempt == 4
    assert [(step.name, step.attempt) for step in Step.objects.order_by("id")] == [
        ("First", 1),
        ("Second", 3),
    ]
    assert types(job).count("step_finished") == 2
    assert_log_is_sound(job)


def test_steps_of_one_name(chat: Chat) -> None:
    ran: list[int] = []
    crashes = Crashes("end")

    def work(ctx: Context) -> str:
        results = [ctx.step("Same", noted, ran, n) for n in range(3)]
        crashes.at("end")
        return str(results)

    job = resume(chat.begin(work))

    assert (ran, job.response) == ([0, 1, 2], "[0, 1, 2]")
    assert [step.occurrence for step in Step.objects.order_by("id")] == [1, 2, 3]


def test_words_are_not_streamed_twice(chat: Chat) -> None:
    crashes = Crashes("end")

    def stream(ctx: Context) -> None:
        ctx.write("one ")
        ctx.step("Think", lambda: ctx.write("two "))
        ctx.write("three")
        crashes.at("end")
        ctx.write(" four")

    job = resume(chat.begin(stream))

    assert job.response == streamed(job) == "one two three four"
    assert [event.data["delta"] for event in events(job) if event.type == "delta"] == [
        "one ",
        "two ",
        "three",
        " four",
    ]
    assert "restarted" not in types(job)


def test_a_half_streamed_step_starts_over(chat: Chat) -> None:
    crashes = Crashes("middle")

    def think(ctx: Context) -> None:
        ctx.write("two ")
        crashes.at("middle")
        ctx.write("and a half ")

    def stream(ctx: Context) -> None:
        ctx.write("one ")
        ctx.step("Think", think, ctx)
        ctx.write("three")

    job = resume(chat.begin(stream))

    assert job.response == streamed(job) == "one two and a half three"
    restarted = next(event for event in events(job) if event.type == "restarted")
    assert restarted.data == {"attempt": 2, "text_length": 4}


def test_words_that_differ_in_the_second_run(chat: Chat) -> None:
    crashes = Crashes("end")
    count = iter("123")

    def stream(ctx: Context) -> None:
        ctx.write(f"Attempt {next(count)}. ")
        crashes.at("end")
        ctx.write("Done.")

    job = resume(chat.begin(stream))

    assert job.response == streamed(job) == "Attempt 2. Done."


def test_words_cut_elsewhere_in_the_second_run(chat: Chat) -> None:
    crashes = Crashes("end")
    cuts = iter((("Hello ", "wor"), ("Hel", "lo world", "!")))

    def stream(ctx: Context) -> None:
        for piece in next(cuts):
            ctx.write(piece)
        crashes.at("end")

    job = resume(chat.begin(stream))

    assert job.response == streamed(job) == "Hello world!"
    assert "restarted" not in types(job)


def test_words_in_characters_beyond_the_first_plane(chat: Chat) -> None:
    crashes = Crashes("end")

    def stream(ctx: Context) -> None:
        ctx.write("👩‍👩‍👧 é")
        ctx.step("Think", lambda: ctx.write("𝔘"))
        crashes.at("end")
        ctx.write("!")

    assert resume(chat.begin(stream)).response == "👩‍👩‍👧 é𝔘!"


def test_an_attempt_that_was_lost_writes_nothing_more(chat: Chat) -> None:
    """Another worker has taken the job while this one slept."""
    late: list[str] = []

    def sleepy(ctx: Context) -> str:
        if ctx.job.attempt == 1:
            lose_worker()
            Job.objects.filter(pk=ctx.job.pk).update(
                attempt=2, state="processing", lease_until=ctx.job.lease_until
            )
        ctx.step("Work", int)
        late.append("went on")
        return "done"

    job = chat.begin(sleepy)

    assert late == []
    assert types(job) == ["started"]
    assert not Step.objects.exists()
    assert job.state == State.PROCESSING


# While the database is away.


@pytest.mark.django_db(transaction=True)
def test_an_outage_is_not_a_try(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole attempt is given back instead; on a dead connection each try would fail."""
    monkeypatch.setattr(runner, "database_stayed", lambda *args: False)
    tried: list[int] = []

    def query() -> int:
        tried.append(1)
        if len(tried) == 1:
            raise make_outage()
        return len(tried)

    job = chat.begin(lambda ctx: str(ctx.step("Query", query, retries=5)))

    assert (job.state, job.response, job.attempt) == (State.COMPLETED, "2", 2)
    assert (job.lost, job.failures) == (0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("nth", range(1, 8))
def test_an_outage_in_the_middle_of_a_write(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, nth: int, committed: bool
) -> None:
    """Whether or not what was written had arrived, it is there once, and the run goes on."""
    append, calls = events_module.append, itertools.count(1)

    def flaky(*args: Any, **kwargs: Any) -> int:
        if next(calls) != nth:
            return append(*args, **kwargs)
        if committed and not connection.in_atomic_block:
            append(*args, **kwargs)
        raise make_outage()

    monkeypatch.setattr(events_module, "append", flaky)
    ran: list[str] = []

    def work(ctx: Context) -> None:
        ctx.write("one ")
        ctx.progress(10, "Ten")
        ctx.step("Think", words, ran, ctx, "two ")
        ctx.write("three")
        ctx.progress(20, "Twenty")

    job = chat.begin(work)

    assert (job.response, streamed(job), ran) == ("one two three", "one two three", ["two "])
    assert types(job) == [
        "started", "delta", "progress", "step_started", "delta", "step_finished", "delta",
        "progress", "completed",
    ]  # fmt: skip
    assert job.attempt == 1
    assert_log_is_sound(job)


# Steps inside steps.


def test_inner_steps(chat: Chat) -> None:
    ran: list[str] = []
    crashes = Crashes("first", "second", "end")

    def inner(ctx: Context, name: str) -> str:
        ran.append(name)
        ctx.write(f"{name}. ")
        crashes.at(name)
        return name

    def outer(ctx: Context) -> str:
        ctx.write("Outer. ")
        found = [ctx.step("Inner", inner, ctx, name) for name in ("first", "second")]
        return " ".join(found)

    def work(ctx: Context) -> None:
        ctx.write("Begin. ")
        for number in (1, 2):
            ctx.step(f"Outer {number}", outer, ctx)
        crashes.at("end")
        ctx.write("End.")

    job = chat.begin(work, steps=2)
    for _ in range(3):
        Job.objects.filter(pk=job.pk).update(lost=0)
        resume(job)

    assert ran == ["first", "first", "second", "second", "first", "second"]
    words = "Begin. " + "Outer. first. second. " * 2 + "End."
    assert job.response == streamed(job) == words
    assert [
        e.message for e in events(job) if e.type == "step_started" and "number" in e.data["step"]
    ]
    assert_log_is_sound(job)


# Failures that the workflow survives.


def test_a_step_whose_failure_was_caught_does_not_bar_the_way(chat: Chat) -> None:
    """A workflow may go on without what a step would have brought, also in its second run."""
    crashes = Crashes("end")

    def fetch() -> str:
        raise ConnectionError

    def work(ctx: Context) -> str:
        try:
            rate = ctx.step("Fetch", fetch)
        except ConnectionError:
            rate = "unknown"
        rate = ctx.step("Use", str, rate)
        crashes.at("end")
        return rate

    job = resume(chat.begin(work))

    assert (job.state, job.response, job.traceback) == (State.COMPLETED, "unknown", "")


@pytest.mark.django_db(transaction=True)
def test_a_read_that_is_refused_for_others_sake_costs_no_attempt(chat: Chat) -> None:
    """Whether a step without a record had begun before is asked in the middle of the second run."""
    crashes = Crashes("end")

    def fetch() -> str:
        raise ConnectionError

    def work(ctx: Context) -> str:
        try:
            ctx.step("Fetch", fetch)
        except ConnectionError:
            pass
        used = ctx.step("Use", str, "anyway")
        crashes.at("end")
        return used

    job = chat.begin(work)
    lose_worker()
    with refused_once('AS "a" FROM "workflows_event"') as refused:
        run_waiting()
    job.refresh_from_db()

    assert refused
    assert (job.state, job.response) == (State.COMPLETED, "anyway")
    assert (job.attempt, job.failures) == (2, 0)


# A workflow that was changed while its job was under way.


def redeployed(chat: Chat, before: list[str], after: list[str]) -> Job:
    """Run the steps *before*, let the worker die, and run the steps *after*."""
    crashes = Crashes("end")
    names = before

    def work(ctx: Context) -> str:
        for name in names:
            ctx.step(name, str, name)
        crashes.at("end")
        return "done"

    job = chat.begin(work)
    names = after
    return resume(job)


@pytest.mark.parametrize(
    "after",
    [
        ["A", "X"],  # renamed
        ["X", "B"],
        ["A"],  # removed
        [],
        ["B"],
        ["A", "X", "B"],  # inserted
        ["X", "A", "B"],
        ["B", "A"],  # swapped
    ],
)
def test_a_changed_workflow_fails_clearly(chat: Chat, after: list[str]) -> None:
    job = redeployed(chat, ["A", "B"], after)

    assert (job.state, job.code) == (State.FAILED, "workflow_changed")
    assert job.error == (
        "The workflow was changed while this job was under way, and can't go on where it was."
    )
    assert_log_is_sound(job)


def test_steps_may_be_added_at_the_end(chat: Chat) -> None:
    assert redeployed(chat, ["A", "B"], ["A", "B", "C"]).state == State.COMPLETED


# A retry.


def test_a_retry_goes_on_where_the_failure_was(chat: Chat) -> None:
    ran: list[str] = []
    broken = True

    def work(ctx: Context) -> None:
        ctx.write("One. ")
        ctx.step("Think", words, ran, ctx, "Two. ")
        name = ctx.ask("Name?")
        ctx.write("Three. ")
        ctx.step("More", words, ran, ctx, "Four. ")
        if broken:
            raise ValueError
        ctx.write(f"Bye {name}.")

    chat.begin(work)
    failed = chat.say("Ada")
    assert failed.state == State.FAILED
    broken = False
    job = services.retry(failed)
    run_waiting()
    job.refresh_from_db()

    assert ran == ["Two. ", "Four. "]
    # Its log is complete in itself: a client that watches only the retry reads every word.
    assert job.response == streamed(job) == "Three. Four. Bye Ada."
    assert_log_is_sound(job)
