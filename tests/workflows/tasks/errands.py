"""A project's tasks."""

import asyncio
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User

from chatflow.workflows.tasks.interface import TaskContext, task

# What has been done so far, in order.
done: list[Any] = []
# What `interrupted` does in the middle of its work.
interruption: Callable[[], None] = done.clear


@task
def add(first: int, second: int = 0) -> int:
    done.append((first, second))
    return first + second


@task
def echo(value: Any) -> Any:
    return value


@task
async def wait_and_add(first: int, second: int) -> int:
    await asyncio.sleep(0)
    return first + second


@task
async def count_users() -> int:
    return await User.objects.acount()


@task(takes_context=True)
def look(context: "TaskContext[..., Any]", word: str) -> list[Any]:
    result = context.task_result
    return [word, context.attempt, result.id, result.status]


@task
def fail(word: str) -> None:
    raise ValueError(f"{word}\x00\ud800")


@task
def leave() -> None:
    raise SystemExit("not the worker")


@task
def give_back(kind: str) -> Any:
    """Return what can't be stored."""
    return {"object": object(), "nan": float("nan"), "nul": "a\x00b", "half": "\ud800"}[kind]


@task
def interrupted() -> str:
    interruption()
    return "to the end"


def plain() -> None:
    """What a row must not be able to call."""
    done.append("plain")


hidden = task(plain)


async def not_a_task() -> None: ...
