"""What an author can get wrong where a workflow is registered, and what to write instead."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from reprlib import Repr
from types import CodeType
from typing import Any, Literal, get_args

from asgiref.sync import iscoroutinefunction
from django.utils.functional import Promise

Hint = Literal["short", "long"]

# As many characters, and as high a priority, as the columns of a job take.
NAME_LENGTH = 100
QUEUE_LENGTH = 50
HIGHEST = 32_767


@dataclass(frozen=True)
class Rule:
    """What an option may be.

    Args:
        admits: says whether a value fits.
        wish: what to write instead of one that doesn't.
    """

    admits: Callable[[Any], bool]
    wish: str


def find_mistakes(
    name: Any, options: Mapping[str, Any], unknown: Iterable[str], function: Any
) -> Iterator[str]:
    """Yield what is wrong with a workflow, each as a sentence that says what to write instead.

    Args:
        name: its name.
        options: those that there are, by their names.
        unknown: the names of others.
        function: what is decorated.
    """
    if not (isinstance(name, str) and name.strip() and len(name) <= NAME_LENGTH):
        yield (
            f"A workflow is called {_show(name)}: write a name of at most {NAME_LENGTH} "
            'characters, such as @workflow("create_invoice").'
        )
    for option in unknown:
        near = get_close_matches(option, options, 1) or [f"one of {', '.join(options)}"]
        yield (
            f"The workflow {_show(name)} has an option {option!r}, which there is not: write "
            f"{near[0]}."
        )
    for option, value in options.items():
        if not RULES[option].admits(value):
            yield (
                f"The workflow {_show(name)} has {option}={_show(value)}: write "
                f"{_find_instead(option, value)}."
            )
    wish = _find_wish(function)
    if wish:
        yield f"The workflow {_show(name)} is {wish}."


def find_code(function: Any) -> CodeType | None:
    """Return the code of what an author has written; None for what has none, such as a class."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    written = function if hasattr(function, "__code__") else type(function).__call__
    return getattr(written, "__code__", None)


def _find_instead(option: str, value: Any) -> str:
    """Return what to write instead of a value, made of the value where that is easy."""
    if option == "triggers" and isinstance(value, str):
        return f"a list, triggers=[{_show(value)}]"
    if option == "hint" and isinstance(value, str):
        near = get_close_matches(value.lower(), get_args(Hint), 1)
        if near:
            return f"hint={near[0]!r}"
    return RULES[option].wish


def _find_wish(function: Any) -> str:
    """Return what is wrong with a function, and what to write instead; nothing if it will do."""
    if not callable(function) or inspect.isclass(function):
        return f"{_show(function)}, which is no function: decorate a def that takes ctx"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return "a generator function: write ctx.write(…) instead of yield, and return the answer"
    if _takes(function, 1):
        return ""
    name = getattr(function, "__name__", "run")
    written = f"{'async ' if iscoroutinefunction(function) else ''}def {name}(ctx)"
    if _takes(function, 0):
        return f"a function without ctx: write {written}"
    return f"a function that can't be called with ctx alone: write {written}"


def _takes(function: Any, count: int) -> bool:
    """Say whether a function can be called with so many arguments."""
    try:
        # What is called is the wrapper, which may give more to the function in it.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _show(value: object) -> str:
    return _repr.repr(value)


_repr = Repr()
_repr.maxstring = _repr.maxother = 100


def _is_text(value: Any) -> bool:
    # A text may be one that is translated later.
    return isinstance(value, str | Promise)


def _are_triggers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(each, str) and each.strip() for each in value
    )


def _is_whole(value: Any, lowest: int, highest: float = math.inf) -> bool:
    return type(value) is int and lowest <= value <= highest


def _are_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _are_some_seconds(value: Any) -> bool:
    return value is None or (_are_seconds(value) and value > 0)


def _are_delays(value: Any) -> bool:
    delays = value if isinstance(value, list | tuple) else [value]
    return bool(delays) and all(map(_are_seconds, delays))


def _is_queue(value: Any) -> bool:
    # On a command line there are commas between queues, and spaces around a name don't count.
    return (
        isinstance(value, str)
        and 0 < len(value) <= QUEUE_LENGTH
        and value == value.strip()
        and "," not in value
    )


def _makes_keys(value: Any) -> bool:
    return value is None or (
        callable(value) and not iscoroutinefunction(value) and _takes(value, 2)
    )


RULES = {
    "title": Rule(_is_text, 'a text, such as title="Create an invoice"'),
    "description": Rule(_is_text, 'a text, such as description="Writes an invoice."'),
    "triggers": Rule(
        _are_triggers, 'a list of words or phrases, such as triggers=["invoice", "bill me"]'
    ),
    "steps": Rule(
        lambda value: value is None or _is_whole(value, 0),
        "how many steps a run has, such as steps=3",
    ),
    "max_execution_time": Rule(
        _are_some_seconds, "a number of seconds above 0, such as max_execution_time=30"
    ),
    "max_ai_calls": Rule(
        lambda value: value is None or _is_whole(value, 0),
        "a whole number from 0, such as max_ai_calls=5",
    ),
    "tries": Rule(lambda value: _is_whole(value, 1), "a whole number from 1, such as tries=3"),
    "backoff": Rule(
        _are_delays, "a number of seconds, or a list with one for each try, such as backoff=[1, 10]"
    ),
    "retry_until": Rule(_are_some_seconds, "a number of seconds above 0, such as retry_until=600"),
    "queue": Rule(
        _is_queue,
        f'a name of at most {QUEUE_LENGTH} characters, without a comma, such as queue="slow"',
    ),
    "priority": Rule(
        lambda value: _is_whole(value, -HIGHEST, HIGHEST),
        f"a whole number from -{HIGHEST} to {HIGHEST}, such as priority=5",
    ),
    "unique_key": Rule(
        _makes_keys,
        "a plain function of the user and the message, such as "
        "unique_key=lambda user, message: str(user.pk)",
    ),
    "hint": Rule(
        lambda value: value is None or value in get_args(Hint), 'hint="short" or hint="long"'
    ),
}
