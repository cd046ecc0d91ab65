"""The tools of a model that are an author's functions: each call of one is recorded."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_ai import ModelRetry, Tool

from chatflow.workflows.exceptions import ToolError

# Calls a function, with its arguments.
Use = Callable[[Callable[..., Any], dict[str, Any]], Coroutine[Any, Any, Any]]

# What pydantic-ai has read of each function: to read it takes longer than all else of a call.
_read: WeakKeyDictionary[Callable[..., Any], Any] = WeakKeyDictionary()


def make_tool(function: Callable[..., Any], use: Use) -> Tool[None]:
    """Return the tool with the signature of *function*.

    Args:
        function: it, or the method of a class, is read once.
        use: calls it, and records its result.
    """
    call = _record_calls(function, use)
    plain = getattr(function, "__func__", function)
    if plain not in _read:
        # Without the call, which has hold of a job.
        _read[plain] = replace(Tool(call).function_schema, function=_forgotten)
    return Tool(call, function_schema=replace(_read[plain], function=call))


def _record_calls(function: Callable[..., Any], use: Use) -> Callable[..., Any]:
    @wraps(function)
    async def call(**arguments: Any) -> Any:
        try:
            return await use(function, arguments)
        except ToolError as error:
            raise ModelRetry(str(error)) from error

    return call


def _forgotten() -> None:
    """Stands for the call of a function that is only read."""
