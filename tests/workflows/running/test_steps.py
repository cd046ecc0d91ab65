"""Steps: their results, in this run and a later one, and their failures."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError
from pydantic import BaseModel

from chatflow.workflows import Context, WorkflowError, workflow
from chatflow.workflows.models import Message, State, Step
from chatflow.workflows.running import runner
from tests.workflows.chat import Chat, Crashes, assert_log_is_sound, resume, saved, streamed, types
from tests.workflows.faults import make_outage

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


# Results.


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


async def fetch() -> int:
    raise AssertionError


def test_a_coroutine_step_in_a_plain_workflow(chat: Chat) -> None:
    job = chat.begin(lambda ctx: ctx.step("Fetch", fetch, retries=2))

    assert job.state == State.FAILED
    assert (
        "TypeError: Step 'Fetch' has a coroutine function: make the workflow an async def, and "
        "write await ctx.astep('Fetch', …), or give it a plain function.\n"
    ) in job.traceback
    assert "step_started" not in types(job)


def test_a_coroutine_step_without_its_prefix(chat: Chat) -> None:
    async def work(ctx: Context) -> None:
        ctx.step("Fetch", fetch)  # type: ignore[unused-coroutine]

    assert "has a coroutine function: write await ctx.astep(" in chat.begin(work).traceback


def test_a_step_that_was_called_already(chat: Chat) -> None:
    async def work(ctx: Context) -> None:
        await ctx.astep("Fetch", 5)  # type: ignore[arg-type]

    workflow("plain")(lambda ctx: ctx.step("Fetch", 5))
    for job in (chat.begin(work), chat.say(workflow="plain")):
        assert job.state == State.FAILED
        assert (
            "TypeError: Step 'Fetch' is given a value of type int: give it a function, and the "
            "arguments behind it, as in ctx.step('Fetch', function, argument).\n"
        ) in job.traceback


def test_a_result_that_cannot_be_recorded_is_not_tried_again(chat: Chat) -> None:
    tried: list[int] = []
    job = chat.begin(lambda ctx: ctx.step("Think", lambda: {noted(tried, 1)}, retries=5))

    assert (job.code, len(tried)) == ("step_result", 1)


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
    assert not saved()
    resume(job)
    assert saved() == 1
    resume(job)

    assert job.response == "g"
    assert saved() == 1
    assert_log_is_sound(job)


def test_an_atomic_step_that_cannot_be_recorded_leaves_nothing(chat: Chat) -> None:
    def save() -> object:
        make_group("g")
        return {1, 2}

    job = chat.begin(lambda ctx: ctx.step("Save", save, atomic=True))

    assert (job.state, job.code) == (State.FAILED, "step_result")
    assert not saved()


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
    assert not saved()
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
    assert saved() == 1
    assert job.response == streamed(job) == "Saved"


def test_an_atomic_step_cannot_ask(chat: Chat) -> None:
    """Its rollback would take the question along, and the answer would find none."""
    job = chat.begin(lambda ctx: ctx.step("Save", lambda: ctx.ask("Name?"), atomic=True))

    assert job.state == State.FAILED
    assert "An atomic step can't ask the user anything." in job.traceback


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
    assert not saved()
    resume(job)

    assert job.response == "g"
    assert saved() == 1
    assert_log_is_sound(job)


# Steps of a coroutine.


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
@pytest.mark.parametrize("inside", [False, True])
def test_a_commit_that_fails_leaves_no_record(chat: Chat, inside: bool) -> None:
    """Foreign keys are checked at the commit: then the function has returned already."""
    ran = []

    def save() -> str:
        ran.append(1)
        if len(ran) == 1:
            Message.objects.create(session_id=999_999, role="user", content="lost")
        return f"saved {len(ran)}"

    def work(ctx: Context) -> str:
        if inside:
            return ctx.step("Outer", lambda: ctx.step("Save", save, atomic=True), retries=1)
        return ctx.step("Save", save, atomic=True, retries=1)

    job = chat.begin(work)
    assert (job.state, job.response) == (State.COMPLETED, "saved 2")
    assert {step.result for step in job.steps.all()} == {"saved 2"}


@pytest.mark.django_db(transaction=True)
def test_an_outage_is_no_try_of_an_async_step_either(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "database_stayed", lambda *args: False)
    tried: list[int] = []

    async def query() -> str:
        tried.append(1)
        if len(tried) == 1:
            raise make_outage()
        return "found"

    async def work(ctx: Context) -> str:
        return str(await ctx.astep("Query", query, retries=5))

    job = chat.begin(work)

    assert (job.response, job.attempt, job.lost, job.failures) == ("found", 2, 0, 0)
