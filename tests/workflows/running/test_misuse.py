"""What an author forgets, and what is said of it."""

import asyncio
import inspect
import os
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import Context
from chatflow.workflows.models import Job
from chatflow.workflows.running.context import Context as Page
from tests.workflows.chat import Chat

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Python's own word for it, which names no line of the author's.
    pytest.mark.filterwarnings("error::RuntimeWarning"),
]
HERE = os.path.relpath(__file__)


@pytest.fixture
def chat(alice: User) -> Chat:
    return Chat(alice)


def line_of(function: Callable[..., Any], text: str) -> str:
    """Return where a text stands in a function's source."""
    lines, first = inspect.getsourcelines(function)
    return f"{HERE}:{first + next(n for n, line in enumerate(lines) if text in line)}"


def last_line(job: Job) -> str:
    assert (job.state, job.code) == ("failed", "workflow_failed")
    assert "ctx." not in job.error
    return job.traceback.strip().splitlines()[-1]


def test_a_verb_that_is_not_awaited(chat: Chat) -> None:
    async def work(ctx: Context) -> str:
        name = ctx.aask("Who?")
        return f"Hi {name}"

    place = line_of(work, "ctx.aask")
    assert last_line(chat.begin(work)) == (
        f"TypeError: ctx.aask(…) in {place} was not awaited: write await ctx.aask(…)."
    )


def test_one_of_those_in_a_plain_workflow(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        return f"Hi {ctx.aask('Who?')}"

    place = line_of(work, "ctx.aask")
    assert last_line(chat.begin(work)) == (
        f"TypeError: ctx.aask(…) in {place} was not awaited: write ctx.ask(…)."
    )


def test_a_reply_that_is_not_returned(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        ctx.reply("Hello")

    told = f"TypeError: ctx.reply(…) in {line_of(work, 'reply(')} was not returned: "
    assert last_line(chat.begin(work)) == told + "write return before it."


def test_one_of_a_coroutine(chat: Chat) -> None:
    async def work(ctx: Context) -> None:
        await ctx.areply("Hello")

    told = f"TypeError: ctx.reply(…) in {line_of(work, 'reply(')} was not returned: "
    assert last_line(chat.begin(work)) == told + "write return before it."


@pytest.mark.parametrize("verb", ["ask", "step"])
def test_a_verb_of_plain_workflows_in_a_coroutine(chat: Chat, verb: str) -> None:
    async def work(ctx: Context) -> str:
        return str(getattr(ctx, verb)("Who?", *([str] if verb == "step" else [])))

    assert last_line(chat.begin(work)) == (
        f"TypeError: A coroutine can't wait for ctx.{verb}(…): write await ctx.a{verb}(…)."
    )


def test_an_authors_own_query_in_a_coroutine(chat: Chat) -> None:
    async def work(ctx: Context) -> str:
        return str(User.objects.count())

    assert last_line(chat.begin(work)).startswith("django.core.exceptions.SynchronousOnlyOperation")


def test_what_is_awaited_in_its_own_way(chat: Chat) -> None:
    async def double(n: int) -> int:
        return 2 * n

    async def work(ctx: Context) -> Any:
        both = await asyncio.gather(ctx.astep("One", double, 1), ctx.astep("Two", double, 2))
        task = asyncio.create_task(ctx.astep("Three", double, 3))
        given_up = asyncio.create_task(ctx.astep("Four", double, 4))
        given_up.cancel()
        # Another one may be made, and thrown away.
        ctx.reply("No.")
        return await ctx.areply(f"{both} {await task}")

    job = chat.begin(work)
    assert (job.state, job.response) == ("completed", "[2, 4] 6")


def test_a_verb_is_a_coroutine_function_still() -> None:
    assert asyncio.iscoroutinefunction(Page.aask)
    assert not asyncio.iscoroutinefunction(Page.ask)
    assert inspect.signature(Page.aask) == inspect.signature(inspect.unwrap(Page.aask))
