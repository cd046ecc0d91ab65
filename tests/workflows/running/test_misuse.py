"""What an author forgets, and what is said of it."""

import asyncio
import inspect
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import asgiref.sync
import pytest
from django.contrib.auth.models import User

from chatflow.workflows import Context
from chatflow.workflows.models import Job
from chatflow.workflows.running.context import Context as Page
from chatflow.workflows.running.misuse import KEPT
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


async def forgets(ctx: Context) -> str:
    return f"Hi {ctx.aask('Who?')}"


def takes_the_other(ctx: Context) -> str:
    return f"Hi {ctx.aask('Who?')}"


@pytest.mark.parametrize(
    ("work", "instead"), [(forgets, "await ctx.aask(…)"), (takes_the_other, "ctx.ask(…)")]
)
def test_a_verb_that_is_not_awaited(chat: Chat, work: Any, instead: str) -> None:
    told = f"TypeError: ctx.aask(…) in {line_of(work, 'ctx.aask')} was not awaited: "
    assert last_line(chat.begin(work)) == f"{told}write {instead}."


def test_many_that_were_awaited_and_one_that_was_not(chat: Chat) -> None:
    async def work(ctx: Context) -> str:
        forgotten = ctx.aprogress(1)
        for _ in range(2 * KEPT):
            asyncio.create_task(ctx.aprogress(2)).cancel()
            await ctx.aprogress(3)
        # Of all those one is kept, and what has come since they were looked at.
        assert len(ctx.calls._begun) <= KEPT + 1
        return str(forgotten)

    assert "ctx.aprogress(…)" in last_line(chat.begin(work))


def test_a_reply_beside_words(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        ctx.reply("Nothing found.")
        ctx.write("Found it.")

    job = chat.begin(work)
    assert (job.state, job.response) == ("completed", "Found it.")


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


async def count_users() -> int:
    return User.objects.count()


def test_an_authors_own_query_in_a_step(chat: Chat) -> None:
    """The verb is in its place."""

    def work(ctx: Context) -> str:
        return str(ctx.step("Counting", lambda: asyncio.run(count_users())))

    assert last_line(chat.begin(work)).startswith("django.core.exceptions.SynchronousOnlyOperation")


def test_a_verb_as_a_step(chat: Chat) -> None:
    async def work(ctx: Context) -> str:
        found = await ctx.astep("Searching", partial(ctx.asearch, limit=3), "words")
        return f"Found {found}"

    assert chat.begin(work).response == "Found []"


@pytest.mark.parametrize("asks", [inspect.iscoroutinefunction, asgiref.sync.iscoroutinefunction])
def test_a_verb_is_a_coroutine_function_still(chat: Chat, asks: Callable[[Any], bool]) -> None:
    def work(ctx: Context) -> str:
        verbs = Page.aask, ctx.aask, partial(ctx.aask, "Who?"), ctx.ask
        return str([asks(each) for each in verbs])

    assert chat.begin(work).response == "[True, True, True, False]"
    assert inspect.signature(Page.aask) == inspect.signature(inspect.unwrap(Page.aask))
