"""What an author can get wrong while a workflow runs, and what to write instead.

A verb that is not awaited does nothing, and a reply that is not returned is none: both would end in
a wrong answer that looks like success.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from traceback import walk_tb
from types import FrameType, MethodType
from typing import Any, TypeVar

from django.core.exceptions import SynchronousOnlyOperation

C = TypeVar("C", bound=type)
Begun = Coroutine[Any, Any, Any]

# Between an author's line and the engine that it calls; and between that and the database.
INSIDE = ("chatflow.workflows.running.", "asgiref.")
OURS = ("chatflow.", "asgiref.", "django.")
# So many calls are kept, and twice those that still wait, until the others are forgotten.
KEPT = 64


@dataclass(frozen=True)
class Call:
    """A call of a verb, and the author's line in which it stands."""

    verb: str
    file: str
    line: int
    in_coroutine: bool

    @classmethod
    def by(cls, verb: str, frame: FrameType) -> "Call":
        """Return the call of a verb that *frame*, the caller's, is in."""
        code = frame.f_code
        is_coroutine = bool(code.co_flags & inspect.CO_COROUTINE)
        return cls(verb, code.co_filename, frame.f_lineno, is_coroutine)

    def __str__(self) -> str:
        return f"ctx.{self.verb}(…) in {os.path.relpath(self.file)}:{self.line}"


class Calls:
    """The calls of a run that may have had no effect."""

    def __init__(self) -> None:
        self._begun: list[tuple[Begun, Call]] = []
        self._most = KEPT
        self._reply: Call | None = None

    def begin(self, coroutine: Begun, call: Call) -> None:
        """Note a call whose coroutine is to be awaited."""
        if len(self._begun) >= self._most:
            self._begun = self._list_waiting()
            self._most = max(KEPT, 2 * len(self._begun))
        self._begun.append((coroutine, call))

    def reply(self) -> None:
        """Note that a reply was made, which is to be returned."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
            frame = frame.f_back
        if frame is not None:
            self._reply = Call.by("reply", frame)

    def check(self, answer: Any, words: str) -> None:
        """Look at what has had no effect, at the end of a run.

        Args:
            answer: what the workflow returned.
            words: those that it has written, which are an answer as well.

        Raises:
            TypeError: one of the calls was in vain; it says which, and what to write.
        """
        waiting = self._list_waiting()
        for coroutine, _ in waiting:
            # Else Python says so too, with some line of its own.
            coroutine.close()
        if waiting:
            [(_, call), *_] = waiting
            verb = call.verb
            instead = f"await ctx.{verb}(…)" if call.in_coroutine else f"ctx.{verb[1:]}(…)"
            raise TypeError(f"{call} was not awaited: write {instead}.")
        if answer is None and not words and self._reply is not None:
            raise TypeError(f"{self._reply} was not returned: write return before it.")

    def _list_waiting(self) -> list[tuple[Begun, Call]]:
        """Return the calls that nobody has awaited yet."""
        return [
            (coroutine, call)
            # A copy: threads of the author's may call as well.
            for coroutine, call in list(self._begun)
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
        ]


class Verb:
    """A coroutine method that notes its calls in its instance's ``calls``.

    For all who ask ``inspect`` it is the coroutine function that it stands for.
    """

    def __init__(self, method: Any) -> None:
        functools.update_wrapper(self, method)
        self._method: Callable[..., Begun] = method
        self.__code__ = method.__code__
        self.__defaults__ = method.__defaults__
        self.__kwdefaults__ = method.__kwdefaults__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, context: Any, *args: Any, **kwargs: Any) -> Begun:
        coroutine = self._method(context, *args, **kwargs)
        context.calls.begin(coroutine, Call.by(self._method.__name__, sys._getframe(1)))
        return coroutine


def noting_calls(cls: C) -> C:
    """Have a class note which of its coroutine methods were called."""
    for name, method in list(vars(cls).items()):
        if inspect.iscoroutinefunction(method):
            setattr(cls, name, Verb(method))
    return cls


def explain(error: SynchronousOnlyOperation, context: Any) -> Exception:
    """Return what to say of a query in an event loop: what to write, where a verb has made it.

    An author's own code may have made it, which a verb called.
    """
    verb = ""
    for frame, _ in walk_tb(error.__traceback__):
        name = frame.f_code.co_name
        if frame.f_locals.get("self") is context and hasattr(context, f"a{name}"):
            verb = name
        elif not frame.f_globals.get("__name__", "").startswith(OURS):
            verb = ""
    if not verb:
        return error
    return TypeError(f"A coroutine can't wait for ctx.{verb}(…): write await ctx.a{verb}(…).")
