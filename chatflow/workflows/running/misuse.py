"""What an author can get wrong while a workflow runs, and what to write instead.

A verb that is not awaited does nothing, and a reply that is not returned is none: both would end in
a wrong answer that looks like success.
"""

import functools
import inspect
import os
import sys
from asyncio import iscoroutinefunction
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from traceback import walk_tb
from types import FrameType
from typing import Any, TypeVar

from asgiref.sync import markcoroutinefunction
from django.core.exceptions import SynchronousOnlyOperation

C = TypeVar("C", bound=type)

# Between an author's line and the engine that it calls.
INSIDE = ("chatflow.workflows.running.", "asgiref.")


@dataclass(frozen=True)
class Call:
    """A call of a verb, and the author's line in which it stands."""

    verb: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"ctx.{self.verb}(…) in {os.path.relpath(self.file)}:{self.line}"


class Calls:
    """The calls of a run that have had no effect yet."""

    def __init__(self) -> None:
        self._begun: dict[Coroutine[Any, Any, Any], Call] = {}
        self._reply: Call | None = None

    def begin(self, verb: str, coroutine: Coroutine[Any, Any, Any], frame: FrameType) -> None:
        """Note that a verb was called, which is to be awaited.

        Args:
            verb: its name.
            coroutine: what is to be awaited.
            frame: the caller's.
        """
        self._begun[coroutine] = Call(verb, frame.f_code.co_filename, frame.f_lineno)

    def await_(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Note that it is awaited."""
        del self._begun[coroutine]

    def reply(self) -> None:
        """Note that a reply was made, which is to be returned."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
            frame = frame.f_back
        if frame is not None:
            self._reply = Call("reply", frame.f_code.co_filename, frame.f_lineno)

    def check(self, answer: Any, *, is_async: bool) -> None:
        """Look at what has had no effect, at the end of a run.

        Args:
            answer: what the workflow returned.
            is_async: it is a coroutine function.

        Raises:
            TypeError: one of the calls was in vain; it says which, and what to write.
        """
        created = [
            (coroutine, call)
            for coroutine, call in self._begun.items()
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
        ]
        for coroutine, _ in created:
            # Else Python says so too, with some line of its own.
            coroutine.close()
        if created:
            [(_, call), *_] = created
            instead = f"await ctx.{call.verb}(…)" if is_async else f"ctx.{call.verb[1:]}(…)"
            raise TypeError(f"{call} was not awaited: write {instead}.")
        if answer is None and self._reply is not None:
            raise TypeError(f"{self._reply} was not returned: write return before it.")


def noting_calls(cls: C) -> C:
    """Have a class note in its ``calls`` which of its coroutine methods were called in vain."""
    for name, method in list(vars(cls).items()):
        if iscoroutinefunction(method):
            setattr(cls, name, _noted(name, method))
    return cls


def _noted(name: str, method: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        async def run() -> Any:
            self.calls.await_(coroutine)
            return await method(self, *args, **kwargs)

        coroutine = run()
        self.calls.begin(name, coroutine, sys._getframe(1))
        return coroutine

    return markcoroutinefunction(call)


def explain(error: SynchronousOnlyOperation, context: Any) -> Exception:
    """Return what to say of a query in an event loop: what to write, where a verb has made it."""
    for frame, _ in walk_tb(error.__traceback__):
        name = frame.f_code.co_name
        if frame.f_locals.get("self") is context and hasattr(context, f"a{name}"):
            return TypeError(
                f"A coroutine can't wait for ctx.{name}(…): write await ctx.a{name}(…)."
            )
    return error
