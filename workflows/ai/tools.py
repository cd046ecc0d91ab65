"""Tools: plain functions that a model may call."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "_needs_approval"


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
