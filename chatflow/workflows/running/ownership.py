"""Whose a task of a shared event loop is: each belongs to the attempt that, in the end, made it."""

import asyncio
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from chatflow.workflows.running.attempt import Attempt

T = TypeVar("T")

_owner: ContextVar[Attempt | None] = ContextVar("owner", default=None)
_owners: WeakKeyDictionary["asyncio.Task[Any]", Attempt] = WeakKeyDictionary()


def make_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
    *,
    context: Context | None = None,
    **options: Any,
) -> "asyncio.Task[T]":
    """Make a task that belongs to whom the present one belongs to. A loop's task factory."""
    task: asyncio.Task[T] = asyncio.Task(coroutine, loop=loop, context=context, **options)
    owner = _owner.get() if context is None else context.get(_owner)
    if owner is not None:
        _owners[task] = owner
    return task


@contextmanager
def owned_by(attempt: Attempt) -> Iterator[None]:
    """Let the tasks that are made meanwhile, and by them, belong to the attempt."""
    token = _owner.set(attempt)
    try:
        yield
    finally:
        _owner.reset(token)


def find_owner(task: "asyncio.Task[Any] | None") -> Attempt | None:
    """Return whose the task is; None where it is the worker's own."""
    return None if task is None else _owners.get(task)


async def cancel_tasks(attempt: Attempt) -> None:
    """Cancel the tasks that an attempt's coroutine has left behind, as ``asyncio.run()`` does."""
    present = asyncio.current_task()
    left = [
        task for task in asyncio.all_tasks() if task is not present and _owners.get(task) is attempt
    ]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
