"""Tools: plain functions that a model may call."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "_needs_approval"
# Characters of one argument, and of a call, that a question shows; its details have all of them.
ARGUMENT_LENGTH = 200
CALL_LENGTH = 1000


@overload
def tool(function: Function, /) -> Function: ...


@overload
def tool(*, approval: bool = False) -> Callable[[Function], Function]: ...


def tool(function: Any = None, /, *, approval: bool = False) -> Any:
    """Mark a function as a tool for ``ctx.ai(tools=[…])``.

    Its name, its docstring and the types of its arguments tell the model how to call it. A function
    without the mark will do as well, as long as it needs no approval.

    Args:
        function: the function, where the decorator is written without brackets.
        approval: the user must agree to each call, whoever talked the model into it.

    Returns:
        The function, unchanged but for the mark.
    """

    def mark(function: Function) -> Function:
        setattr(function, MARK, approval)
        return function

    return mark if function is None else mark(function)


def needs_approval(function: Callable[..., Any]) -> bool:
    """Say whether the user must agree to each call of *function*."""
    return bool(getattr(function, MARK, False))


def describe_call(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a call as people read it: ``pay(amount=5, to='Bob')``.

    The model chose the arguments, so they may be meant to mislead: what can't be seen, such as line
    ends and marks that turn the order of the letters, is written out.

    Args:
        name: of the tool.
        arguments: as JSON.
    """
    said = ", ".join(
        f"{key}={_cut(repr(value), ARGUMENT_LENGTH)}" for key, value in arguments.items()
    )
    return f"{name}({_cut(said, CALL_LENGTH)})"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"
