"""What a workflow's verbs do, in one run."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from chatflow.workflows import Context, workflow
from chatflow.workflows.models import State, Step
from tests.workflows.chat import (
    Chat,
    Crashes,
    assert_log_is_sound,
    events,
    resume,
    streamed,
    types,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

AGAIN = {"type": "quick_reply", "label": "Again", "message": "hello"}


@dataclass
class Line:
    product: str
    price: Decimal


@dataclass
class Draft:
    customer: str | None = None
    lines: list[Line] = field(default_factory=list)


def make_group(name: str) -> str:
    Group.objects.create(name=name)
    return name


# In one run.


def test_it_works(chat: Chat) -> None:
    def greet(ctx: Context) -> Any:
        name = ctx.step("Reading", str.upper, ctx.message)
        ctx.write("Hello ")
        return ctx.reply(f"Hello {name}", actions=[AGAIN], sources=[{"title": "T"}])

    job = chat.begin(greet, "ada", steps=1)

    assert job.state == State.COMPLETED
    assert (job.response, job.actions, job.sources) == (
        "Hello ADA",
        [{**AGAIN, "id": ANY}],
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


def test_actions_false_means_no_next_moves(chat: Chat) -> None:
    workflow("w")(lambda ctx: ctx.reply("Done", actions=[AGAIN]))

    assert chat.say(workflow="w", options={"actions": False}).actions == []


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
        return await ctx.areply(f"{draft.customer} {name} {which} {sure}", actions=[AGAIN])

    first = chat.begin(work, "go")
    assert (first.response, streamed(first)) == ("Name?", "Well. ")
    assert chat.say("Ada").response == "Which?"
    assert chat.say("2").response == "Sure?"
    last = chat.say("yes")

    assert (last.response, last.actions) == ("go Ada b True", [{**AGAIN, "id": ANY}])
    assert Group.objects.filter(name="Ada").count() == 1
    assert Step.objects.filter(question=False).count() == 2


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
