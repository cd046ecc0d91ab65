"""What a workflow's verbs do, in one run, in a run after a crash and in later turns."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection
from pydantic import BaseModel

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
from workflows import Context, WorkflowError, context, runner, services, workflow
from workflows import events as events_module
from workflows.models import Job, Session, State, Step

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


@dataclass
class Line:
    product: str
    price: Decimal


@dataclass
class Draft:
    customer: str | None = None
    lines: list[Line] = field(default_factory=list)


class Model(BaseModel):
    name: str
    price: Decimal


def make_group(name: str) -> str:
    Group.objects.create(name=name)
    return name


def noted(ran: list[Any], value: Any) -> Any:
    ran.append(value)
    return value


def words(ran: list[str], ctx: Context, text: str) -> None:
    ran.append(text)
    ctx.write(text)


# In one run.


def test_it_works(chat: Chat) -> None:
    def greet(ctx: Context) -> Any:
        name = ctx.step("Reading", str.upper, ctx.message)
        ctx.write("Hello ")
        return ctx.reply(f"Hello {name}", actions=[{"label": "Again"}], sources=[{"title": "T"}])

    job = chat.begin(greet, "ada", steps=1)

    assert job.state == State.COMPLETED
    assert (job.response, job.actions, job.sources) == (
        "Hello ADA",
        [{"label": "Again"}],
        [{"title": "T"}],
    )
    assert types(job) == ["started", "step_started", "step_finished", "delta", "completed"]
    assert_log_is_sound(job)


def test_what_it_is_handed(chat: Chat) -> None:
    seen: dict[str, Any] = {}

    def look(ctx: Context) -> str:
        seen.update(user=ctx.user, session=ctx.session.key, options=ctx.options, job=ctx.job.pk)
        return ctx.message

    workflow("w")(look)
    job = chat.say("hello", workflow="w", options={"memory": False})

    assert seen == {
        "user": chat.user,
        "session": "s",
        "options": {"memory": False},
        "job": job.pk,
    }
    assert job.response == "hello"


def test_progress_comes_from_the_steps(chat: Chat) -> None:
    def count(ctx: Context) -> str:
        for number in range(4):
            ctx.step(f"Part {number}", int)
        return "done"

    job = chat.begin(count, steps=4)

    started = [event for event in events(job) if event.type == "step_started"]
    assert [event.message for event in started] == [
        f"Processing step {number} of 4..." for number in (1, 2, 3, 4)
    ]
    assert [event.progress for event in started] == [0, 25, 50, 75]
    assert started[1].data == {"step": {"name": "Part 1", "number": 2, "total": 4}}
    finished = [event.progress for event in events(job) if event.type == "step_finished"]
    assert finished == [25, 50, 75, 99]
    assert events(job)[-1].progress == job.progress == 100


def test_more_steps_than_it_said(chat: Chat) -> None:
    def count(ctx: Context) -> str:
        for number in range(3):
            ctx.step(f"Part {number}", int)
        return "done"

    job = chat.begin(count, steps=1)

    messages = [event.message for event in events(job) if event.type == "step_started"]
    assert messages[2] == "Processing step 3 of 3..."
    assert_log_is_sound(job)


def test_steps_may_be_set_while_it_runs(chat: Chat) -> None:
    def count(ctx: Context) -> str:
        ctx.steps = 2
        ctx.step("Half", int)
        return "done"

    job = chat.begin(count)

    assert events(job)[1].message == "Processing step 1 of 2..."
    assert events(job)[2].progress == 50


def test_progress(chat: Chat) -> None:
    def report(ctx: Context) -> str:
        ctx.progress(30, "Nearly")
        ctx.progress(10, "It never goes back")
        ctx.progress(-5)
        ctx.progress(1000, "x" * 600)
        return "done"

    job = chat.begin(report)

    said = [event for event in events(job) if event.type == "progress"]
    assert [event.progress for event in said] == [30, 30, 30, 99]
    assert [event.message for event in said] == [
        "Nearly",
        "It never goes back",
        "It never goes back",
        "x" * 500,
    ]
    assert_log_is_sound(job)


def test_written_words_are_the_answer_where_there_is_no_other(chat: Chat) -> None:
    def stream(ctx: Context) -> None:
        for word in ("one ", "", "two"):
            ctx.write(word)

    job = chat.begin(stream)

    assert job.response == "one two"
    assert [event.data["delta"] for event in events(job) if event.type == "delta"] == [
        "one ",
        "two",
    ]


def test_text_that_no_database_can_store(chat: Chat) -> None:
    def spoil(ctx: Context) -> str:
        dirty = "a\0b\ud800c"
        ctx.progress(5, dirty)
        ctx.write(dirty)
        first = ctx.step(dirty, lambda: {"k": dirty})
        assert first == {"k": "a\N{REPLACEMENT CHARACTER}b?c"}
        return dirty

    job = chat.begin(spoil)

    assert (job.state, job.traceback) == (State.COMPLETED, "")
    assert job.response == streamed(job) == "a\N{REPLACEMENT CHARACTER}b?c"


def test_actions_false_means_no_next_moves(chat: Chat) -> None:
    workflow("w")(lambda ctx: ctx.reply("Done", actions=[{"label": "Again"}]))

    assert chat.say(workflow="w", options={"actions": False}).actions == []


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


def test_a_result_comes_back_as_its_type(chat: Chat) -> None:
    crashes = Crashes("end")
    seen: list[Any] = []

    def draft() -> Draft:
        return Draft("Acme", [Line("Laptop", Decimal("1200.50"))])

    def model() -> Model:
        return Model(name="n", price=Decimal("0.10"))

    def nothing() -> None:
        return None

    def pair() -> tuple[int, str]:
        return 1, "a"

    def work(ctx: Context) -> str:
        seen.append([ctx.step(f.__name__, f) for f in (draft, model, nothing, pair)])
        crashes.at("end")
        return "done"

    job = resume(chat.begin(work))

    assert job.state == State.COMPLETED
    assert seen[0] == seen[1] == [draft(), model(), None, pair()]
    assert [type(value) for value in seen[1]] == [Draft, Model, type(None), tuple]
    assert type(seen[1][0].lines[0].price) is Decimal


def test_the_first_run_sees_what_a_later_one_sees(chat: Chat) -> None:
    """A mutable result is not shared with the function that made it."""
    kept: list[list[int]] = []

    def make() -> list[int]:
        kept.append([1])
        return kept[0]

    def work(ctx: Context) -> str:
        mine = ctx.step("Make", make)
        kept[0].append(2)
        return str(mine)

    assert chat.begin(work).response == "[1]"


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


def test_progress_is_not_said_twice(chat: Chat) -> None:
    crashes = Crashes("end")

    def report(ctx: Context) -> str:
        ctx.progress(10, "One")
        ctx.step("Work", int)
        ctx.progress(20, "Two")
        crashes.at("end")
        ctx.progress(30, "Three")
        return "done"

    job = resume(chat.begin(report))

    said = [event.message for event in events(job) if event.type == "progress"]
    assert said == ["One", "Two", "Three"]
    assert_log_is_sound(job)


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


# Atomic steps.


def test_an_atomic_step_and_its_record_are_one(chat: Chat) -> None:
    crashes = Crashes("inside", "after")

    def save(name: str) -> str:
        make_group(name)
        crashes.at("inside")
        return name

    def work(ctx: Context) -> str:
        saved = ctx.step("Save", save, "g", atomic=True)
        crashes.at("after")
        return saved

    job = chat.begin(work)
    assert not Group.objects.exists()
    resume(job)
    assert [group.name for group in Group.objects.all()] == ["g"]
    resume(job)

    assert job.response == "g"
    assert Group.objects.count() == 1
    assert_log_is_sound(job)


def test_an_atomic_step_that_cannot_be_recorded_leaves_nothing(chat: Chat) -> None:
    def save() -> object:
        make_group("g")
        return {1, 2}

    job = chat.begin(lambda ctx: ctx.step("Save", save, atomic=True))

    assert (job.state, job.code) == (State.FAILED, "step_result")
    assert not Group.objects.exists()


def test_an_atomic_step_that_raises_leaves_nothing(chat: Chat) -> None:
    def save(ctx: Context) -> None:
        make_group("g")
        ctx.write("Saved")
        ctx.progress(50, "Saving")
        raise WorkflowError("No.")

    def work(ctx: Context) -> str:
        ctx.step("Save", save, ctx, atomic=True)
        return "never"

    job = chat.begin(work)

    assert (job.state, job.error) == (State.FAILED, "No.")
    assert not Group.objects.exists()
    assert types(job) == ["started", "step_started", "failed"]
    assert_log_is_sound(job)


def test_what_an_atomic_step_wrote_in_vain_is_no_part_of_the_answer(chat: Chat) -> None:
    def save(ctx: Context) -> None:
        ctx.write("Saved")
        raise ValueError

    def work(ctx: Context) -> None:
        try:
            ctx.step("Save", save, ctx, atomic=True)
        except ValueError:
            ctx.write("Sorry")

    job = chat.begin(work)

    assert job.response == streamed(job) == "Sorry"


def test_an_atomic_step_tried_again(chat: Chat) -> None:
    failures = iter((ValueError, IntegrityError))

    def save(ctx: Context) -> str:
        make_group("g")
        ctx.write("Saved")
        for failure in failures:
            raise failure
        return "g"

    job = chat.begin(lambda ctx: ctx.step("Save", save, ctx, atomic=True, retries=2) and None)

    assert job.state == State.COMPLETED
    assert Group.objects.count() == 1
    assert job.response == streamed(job) == "Saved"


# Steps that raise.


def test_a_step_tried_again(chat: Chat) -> None:
    tried: list[int] = []

    def think(ctx: Context) -> int:
        tried.append(1)
        ctx.write(f"try {len(tried)}")
        if len(tried) < 3:
            raise ValueError
        return len(tried)

    def work(ctx: Context) -> None:
        assert ctx.step("Think", think, ctx, retries=2) == 3

    job = chat.begin(work)

    assert job.state == State.COMPLETED
    assert job.response == streamed(job) == "try 3"
    assert types(job).count("step_started") == 1


def test_a_step_tried_too_often(chat: Chat) -> None:
    tried: list[int] = []

    def think() -> None:
        tried.append(1)
        raise ValueError("no luck")

    job = chat.begin(lambda ctx: ctx.step("Think", think, retries=2))

    assert len(tried) == 3
    assert (job.state, job.code) == (State.FAILED, "workflow_failed")
    assert "no luck" in job.traceback


def test_a_result_that_cannot_be_recorded_is_not_tried_again(chat: Chat) -> None:
    tried: list[int] = []
    job = chat.begin(lambda ctx: ctx.step("Think", lambda: {noted(tried, 1)}, retries=5))

    assert (job.code, len(tried)) == ("step_result", 1)


# While the database is away.


@pytest.fixture
def outages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every OperationalError for an outage, on SQLite too."""
    for module in (context, runner):
        monkeypatch.setattr(module, "is_outage", lambda error: isinstance(error, OperationalError))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outages")
def test_an_outage_is_not_a_try(chat: Chat) -> None:
    """The whole attempt is given back instead; on a dead connection each try would fail."""
    tried: list[int] = []

    def query() -> int:
        tried.append(1)
        if len(tried) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return len(tried)

    job = chat.begin(lambda ctx: str(ctx.step("Query", query, retries=5)))

    assert (job.state, job.response, job.attempt) == (State.COMPLETED, "2", 2)
    assert (job.lost, job.failures) == (0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outages")
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("nth", range(2, 9))
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
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(events_module, "append", flaky)
    ran: list[str] = []

    def work(ctx: Context) -> None:
        ctx.write("one ")
        ctx.progress(10, "Ten")
        ctx.step("Think", words, ran, ctx, "two ")
        ctx.write("three")
        ctx.progress(20, "Twenty")

    monkeypatch.setattr(runner, "append", append)
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


def test_inner_steps_when_the_outer_one_is_tried_again(chat: Chat) -> None:
    ran: list[str] = []

    def inner(ctx: Context) -> str:
        ran.append("inner")
        ctx.write("inner ")
        return "found"

    def outer(ctx: Context) -> str:
        ran.append("outer")
        ctx.write("outer ")
        found = ctx.step("Inner", inner, ctx)
        ctx.write("rest")
        if ran.count("outer") < 3:
            raise ValueError
        return found

    def work(ctx: Context) -> None:
        assert ctx.step("Outer", outer, ctx, retries=2) == "found"

    job = chat.begin(work)

    assert ran == ["outer", "inner", "outer", "outer"]
    assert job.response == streamed(job) == "outer inner rest"


def test_inner_steps_of_an_atomic_step(chat: Chat) -> None:
    crashes = Crashes("end of outer")
    failures = iter([ValueError])

    def outer(ctx: Context) -> str:
        made = ctx.step("Make", make_group, "g")
        crashes.at("end of outer")
        for failure in failures:
            raise failure
        return made

    job = chat.begin(lambda ctx: ctx.step("Outer", outer, ctx, atomic=True, retries=1))
    assert not Group.objects.exists()
    resume(job)

    assert job.response == "g"
    assert Group.objects.count() == 1
    assert_log_is_sound(job)


def test_long_names(chat: Chat) -> None:
    """Names that differ only behind the column's length are different steps."""
    crashes = Crashes("end")

    def work(ctx: Context) -> str:
        found = [ctx.step("x" * 300 + end, str, end) for end in "ab"]
        crashes.at("end")
        return "".join(found)

    assert resume(chat.begin(work)).response == "ab"


# The model.


def test_calls_of_the_model(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    crashes = Crashes("end")

    class Model:
        def answer(self, prompt: str) -> str:
            asked.append(prompt)
            return prompt.upper()

    monkeypatch.setattr(context, "get_model", Model)

    def work(ctx: Context) -> str:
        first = ctx.ai("one")
        second = ctx.step("Think", ctx.ai, "two")
        crashes.at("end")
        return first + second

    job = resume(chat.begin(work, max_ai_calls=2))
    assert (job.response, asked) == ("ONETWO", ["one", "two"])

    job = chat.begin(work, max_ai_calls=1)
    assert (job.state, job.code) == (State.FAILED, "ai_budget")
    assert asked == ["one", "two", "one"]


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


# Results that can't be recorded.


class Thing:
    pass


def unannotated() -> Any:
    return Line("Laptop", Decimal(1))


def wrongly_annotated() -> Line:
    return {"product": "Laptop", "price": "1"}  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda: (1, 2), "tuple"),
        (lambda: [1, (2, 3)], "list"),
        (lambda: {1, 2}, "set"),
        (lambda: {1: "a"}, "dict"),
        (lambda: Thing(), "Thing"),
        (lambda: Decimal("1.5"), "Decimal"),
        (lambda: float("nan"), "float"),
        (lambda: b"bytes", "bytes"),
        (lambda: Model(name="n", price=Decimal(1)), "Model"),
        (unannotated, "Line"),
        (wrongly_annotated, "dict"),
    ],
)
def test_a_result_that_cannot_be_recorded(
    chat: Chat, function: Callable[[], Any], name: str
) -> None:
    job = chat.begin(lambda ctx: str(ctx.step("Think", function)))

    assert (job.state, job.code, job.error) == (State.FAILED, "step_result", runner.FAILED)
    assert f"Step 'Think' returned a {name} that does not come back the same" in job.traceback
    assert not Step.objects.exists()


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, "", "text", [], {}, [1, {"a": None}], {"b": [1, 2]}]
)
def test_json_needs_no_annotation(chat: Chat, value: Any) -> None:
    job = chat.begin(lambda ctx: repr(ctx.step("Think", lambda: value)))

    assert job.response == repr(value)
    assert Step.objects.get().result == value


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


def test_a_step_that_returns_another_type_now(chat: Chat) -> None:
    crashes = Crashes("end")

    def before() -> dict[str, str]:
        return {"name": "n"}

    def after() -> Model:
        raise AssertionError

    function: Callable[[], Any] = before

    def work(ctx: Context) -> str:
        ctx.step("Think", function)
        crashes.at("end")
        return "done"

    job = chat.begin(work)
    function = after
    resume(job)

    assert (job.state, job.code) == (State.FAILED, "step_result")
    assert "is not a Model any more" in job.traceback


# Questions.


def test_ask(chat: Chat) -> None:
    ran: list[str] = []

    def work(ctx: Context) -> str:
        ctx.step("Read", ran.append, "read")
        name = ctx.ask("What is your name?")
        city = ctx.ask("Where do you live?")
        ctx.step("Save", ran.append, "save")
        return f"{ctx.message}: {name}, {city}"

    first = chat.begin(work, "sign up")
    assert (first.state, first.response) == (State.COMPLETED, "What is your name?")
    assert first.awaiting == {"kind": "text", "prompt": "What is your name?", "optional": False}
    assert events(first)[-1].data["awaiting"] == first.awaiting
    assert Session.objects.get().open_job == first

    second = chat.say("Ada")
    assert (second.workflow, second.response) == ("w", "Where do you live?")
    assert second.pk != first.pk

    third = chat.say("London")
    assert third.response == "sign up: Ada, London"
    assert third.awaiting is None
    assert Session.objects.get().open_job is None
    assert ran == ["read", "save"]
    for job in (first, second, third):
        assert_log_is_sound(job)


def test_an_answer_is_taken_as_it_was_written(chat: Chat) -> None:
    chat.begin(lambda ctx: repr(ctx.ask("Name?")))

    assert chat.say("  Ada, 2nd. ").response == "'  Ada, 2nd. '"


@pytest.mark.parametrize(("text", "answer"), [("skip", None), ("-", None), ("x@y.z", "x@y.z")])
def test_an_optional_question(chat: Chat, text: str, answer: str | None) -> None:
    first = chat.begin(lambda ctx: repr(ctx.ask("Email?", optional=True)))

    assert first.awaiting is not None
    assert first.awaiting["optional"] is True
    assert chat.say(text).response == repr(answer)


def test_only_an_optional_question_can_be_skipped(chat: Chat) -> None:
    chat.begin(lambda ctx: repr(ctx.ask("Name?")))

    assert chat.say("skip").response == "'skip'"


def test_choose(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        return repr(
            ctx.choose("Which?", [(7, "Acme Ltd"), {"value": 9, "label": "Acme Inc"}, "new"])
        )

    first = chat.begin(work)
    assert first.awaiting == {
        "kind": "choice",
        "prompt": "Which?",
        "optional": False,
        "choices": [
            {"value": 7, "label": "Acme Ltd"},
            {"value": 9, "label": "Acme Inc"},
            {"value": "new", "label": "new"},
        ],
    }

    unclear = chat.say("Acme")
    assert unclear.response == "Please choose one of the answers. Which?"
    assert unclear.awaiting == first.awaiting
    assert chat.say("the second, I think").response == "Please choose one of the answers. Which?"
    assert chat.say("acme inc").response == "9"


@pytest.mark.parametrize(("text", "answer"), [("Yes, please.", True), ("no thanks", False)])
def test_confirm(chat: Chat, text: str, answer: bool) -> None:
    first = chat.begin(lambda ctx: repr(ctx.confirm("Sure?")))

    assert first.awaiting == {"kind": "confirm", "prompt": "Sure?", "optional": False}
    assert chat.say("yes and no").response == "Please answer yes or no. Sure?"
    assert chat.say(text).response == repr(answer)


def test_confirm_or_text(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        said: list[Any] = []
        while (answer := ctx.confirm(f"Sure? ({len(said)})", or_text=True)) not in (True, False):
            said.append(answer)
        return repr([*said, answer])

    chat.begin(work)

    assert chat.say("change the quantity to 3").response == "Sure? (1)"
    assert chat.say("ok!").response == "['change the quantity to 3', True]"


def test_the_same_question_twice(chat: Chat) -> None:
    chat.begin(lambda ctx: f"{ctx.ask('More?')} {ctx.ask('More?')}")

    assert chat.say("one").response == "More?"
    assert chat.say("two").response == "one two"


def test_a_crash_between_question_and_answer(chat: Chat) -> None:
    """The worker dies after it has recorded the question, before the job has ended."""
    crashes = Crashes("ask")

    def work(ctx: Context) -> str:
        try:
            return f"Hello {ctx.ask('Name?')}"
        finally:
            crashes.at("ask")

    job = resume(chat.begin(work, "not an answer"))

    assert (job.state, job.response) == (State.COMPLETED, "Name?")
    assert chat.say("Ada").response == "Hello Ada"


def test_a_crash_after_the_answer(chat: Chat) -> None:
    crashes = Crashes("answered")

    def work(ctx: Context) -> str:
        name = ctx.ask("Name?")
        crashes.at("answered")
        return f"Hello {name}"

    chat.begin(work)

    assert resume(chat.say("Ada")).response == "Hello Ada"


def test_a_question_that_the_new_code_does_not_ask(chat: Chat) -> None:
    prompt = "Name?"
    chat.begin(lambda ctx: ctx.ask(prompt))
    prompt = "Email?"
    job = chat.say("Ada")

    assert (job.state, job.code) == (State.FAILED, "workflow_changed")


def test_an_answer_to_which_nobody_listens(chat: Chat) -> None:
    asks = True
    chat.begin(lambda ctx: ctx.ask("Name?") if asks else "done")
    asks = False

    assert chat.say("Ada").code == "workflow_changed"


def test_a_step_that_the_new_code_has_in_front_of_the_question(chat: Chat) -> None:
    steps: list[str] = []

    def work(ctx: Context) -> str:
        for name in steps:
            ctx.step(name, int)
        return str(ctx.ask("Name?"))

    chat.begin(work)
    steps.append("New")

    assert chat.say("Ada").code == "workflow_changed"


def test_words_and_progress_of_an_earlier_turn_are_not_shown_again(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        ctx.progress(10, "Reading")
        ctx.write("Welcome. ")
        ctx.step("Think", lambda: ctx.write("Thinking. "))
        ctx.progress(20, "Asking")
        ctx.ask("Name?")
        ctx.progress(30, "Saving")
        ctx.write("Saved. ")
        ctx.ask("City?")
        ctx.write("Bye.")

    first, second, third = chat.begin(work), chat.say("Ada"), chat.say("London")

    assert [streamed(job) for job in (first, second, third)] == [
        "Welcome. Thinking. ",
        "Saved. ",
        "Bye.",
    ]
    said = [
        [event.message for event in events(job) if event.type == "progress"]
        for job in (first, second, third)
    ]
    assert said == [["Reading", "Asking"], ["Saving"], []]
    assert third.response == "Bye."


def test_a_crash_in_a_later_turn(chat: Chat) -> None:
    crashes = Crashes("middle")

    def think(ctx: Context) -> None:
        ctx.write("Hello ")
        crashes.at("middle")
        ctx.write("you.")

    def work(ctx: Context) -> None:
        ctx.write("Welcome. ")
        name = ctx.ask("Name?")
        ctx.write(f"{name}: ")
        ctx.step("Think", think, ctx)

    chat.begin(work)
    job = resume(chat.say("Ada"))

    assert job.response == streamed(job) == "Ada: Hello you."
    assert next(e for e in events(job) if e.type == "restarted").data["text_length"] == 5


def test_the_words_of_a_question_with_odd_characters(chat: Chat) -> None:
    chat.begin(lambda ctx: str(ctx.ask("Na\0me?\ud800" + "x" * 300)))

    assert chat.say("Ada").response == "Ada"


# Async workflows.


@pytest.mark.django_db(transaction=True)
def test_an_async_workflow(chat: Chat) -> None:
    async def think(text: str) -> Draft:
        await asyncio.sleep(0)
        return Draft(text)

    def save(name: str) -> str:
        assert connection.in_atomic_block
        return make_group(name)

    async def work(ctx: Context) -> Any:
        draft = await ctx.astep("Think", think, ctx.message)
        await ctx.aprogress(40, "Half")
        await ctx.awrite("Well. ")
        name = await ctx.aask("Name?")
        which = await ctx.achoose("Which?", ["a", "b"])
        sure = await ctx.aconfirm("Sure?")
        await ctx.astep("Save", save, name, atomic=True)
        return await ctx.areply(f"{draft.customer} {name} {which} {sure}", actions=[{"a": 1}])

    first = chat.begin(work, "go")
    assert (first.response, streamed(first)) == ("Name?", "Well. ")
    assert chat.say("Ada").response == "Which?"
    assert chat.say("2").response == "Sure?"
    last = chat.say("yes")

    assert (last.response, last.actions) == ("go Ada b True", [{"a": 1}])
    assert Group.objects.count() == 1
    assert Step.objects.filter(question=False).count() == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_steps(chat: Chat) -> None:
    ran: list[int] = []
    crashes = Crashes("end")
    met: list[asyncio.Barrier] = []

    async def think(number: int) -> int:
        # All of them have begun before any of them ends.
        await met[-1].wait()
        ran.append(number)
        return number

    async def work(ctx: Context) -> str:
        met.append(asyncio.Barrier(5))
        found = await asyncio.gather(*(ctx.astep(f"Think {n}", think, n) for n in range(5)))
        crashes.at("end")
        return str(found)

    job = resume(chat.begin(work, steps=5))

    assert job.response == "[0, 1, 2, 3, 4]"
    assert sorted(ran) == [0, 1, 2, 3, 4]
    assert types(job).count("step_finished") == 5
    assert_log_is_sound(job)


@pytest.mark.django_db(transaction=True)
def test_an_async_step_tried_again(chat: Chat) -> None:
    tried: list[int] = []

    async def think(ctx: Context) -> int:
        tried.append(1)
        await ctx.awrite(f"try {len(tried)}")
        if len(tried) < 2:
            raise ValueError
        return len(tried)

    async def work(ctx: Context) -> None:
        await ctx.astep("Think", think, ctx, retries=1)

    job = chat.begin(work)

    assert job.response == streamed(job) == "try 2"


@pytest.mark.django_db(transaction=True)
def test_an_async_step_cannot_be_atomic(chat: Chat) -> None:
    async def think() -> None:
        raise AssertionError

    async def work(ctx: Context) -> None:
        await ctx.astep("Think", think, atomic=True)

    job = chat.begin(work)

    assert job.state == State.FAILED
    assert "An atomic step must be a plain function" in job.traceback


@pytest.mark.django_db(transaction=True)
def test_an_async_workflow_that_was_changed(chat: Chat) -> None:
    """Concurrent steps come in any order, but each must still come."""
    names = ["A", "B"]
    crashes = Crashes("end")

    async def work(ctx: Context) -> str:
        for name in names:
            await ctx.astep(name, int)
        crashes.at("end")
        return "done"

    job = chat.begin(work)
    names = ["B"]
    resume(job)

    assert job.code == "workflow_changed"


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


def test_a_question_is_asked_again_by_a_retry(chat: Chat) -> None:
    """The message that failed is no answer to the question that it led to."""

    def work(ctx: Context) -> str:
        try:
            return f"Hello {ctx.ask('Name?')}"
        finally:
            if ctx.job.state == "processing" and ctx.job.attempt == 1 and not ctx.job.retry_of_id:
                raise ValueError

    failed = chat.begin(work)
    assert failed.state == State.FAILED
    for _ in range(2):
        job = services.retry(failed)
        run_waiting()
        job.refresh_from_db()
        assert (job.state, job.response) == (State.COMPLETED, "Name?")
        Job.objects.filter(pk=job.pk).update(state="failed")
        failed = job
