"""What an author is told where a workflow is registered: what is wrong, and what to write."""

import functools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from chatflow.workflows import Context, registry, workflow
from chatflow.workflows.exceptions import WrongWorkflow
from chatflow.workflows.registry import get_workflow


def greet(ctx: Context) -> str:
    return "hello"


LINE = greet.__code__.co_firstlineno


def told(name: Any = "greet", function: Any = greet, **options: Any) -> str:
    """Return the sentence that refuses a workflow, without its place; it isn't registered."""
    before = dict(registry._workflows)
    with pytest.raises(WrongWorkflow) as caught:
        workflow(name, **options)(function)
    assert registry._workflows == before
    assert isinstance(caught.value, ImproperlyConfigured)
    place, _, sentence = str(caught.value).partition(": ")
    assert place == f"{__file__}:{caught.value.lineno}"
    return sentence


def test_it_works() -> None:
    with pytest.raises(WrongWorkflow) as caught:
        workflow("photo", triggers="say cheese")(greet)  # type: ignore[arg-type]

    assert str(caught.value) == (
        f"{__file__}:{LINE}: The workflow 'photo' has triggers='say cheese': write a list, "
        "triggers=['say cheese']."
    )
    assert (caught.value.filename, caught.value.lineno) == (__file__, LINE)


def test_all_that_is_right() -> None:
    workflow(
        "greet",
        title=gettext_lazy("Greet"),  # type: ignore[arg-type]
        triggers=("hello", "good day"),
        steps=0,
        max_execution_time=0.5,
        max_ai_calls=0,
        backoff=(1, 2.5),
        retry_until=60,
        queue="a queue",
        priority=-32_767,
        unique_key=lambda user, message, **more: "key",
        hint="short",
    )(greet)

    assert get_workflow("greet").place == f"{__file__}:{LINE}"


@pytest.mark.parametrize(
    ("option", "value", "wish"),
    [
        ("title", 5, 'a text, such as title="Create an invoice"'),
        ("title", None, "a text"),
        ("description", ["Greets."], 'a text, such as description="Writes an invoice."'),
        ("triggers", [1], 'a list of words or phrases, such as triggers=["invoice", "bill me"]'),
        ("triggers", ["hello", " "], "a list of words or phrases"),
        ("triggers", {"hello"}, "a list of words or phrases"),
        ("triggers", None, "a list of words or phrases"),
        ("steps", "three", "how many steps a run has, such as steps=3"),
        ("steps", True, "how many steps a run has"),
        ("steps", -1, "how many steps a run has"),
        ("max_execution_time", "30s", "a number of seconds above 0, such as max_execution_time=30"),
        ("max_execution_time", -5, "a number of seconds above 0"),
        ("max_execution_time", 0, "a number of seconds above 0"),
        ("max_execution_time", math.nan, "a number of seconds above 0"),
        ("max_ai_calls", 1.5, "a whole number from 0, such as max_ai_calls=5"),
        ("tries", 0, "a whole number from 1, such as tries=3"),
        ("tries", None, "a whole number from 1"),
        ("backoff", [], "a number of seconds, or a list with one for each try, such as backoff=["),
        ("backoff", [1, "2"], "a number of seconds, or a list"),
        ("backoff", -1, "a number of seconds, or a list"),
        ("retry_until", math.inf, "a number of seconds above 0, such as retry_until=600"),
        ("queue", "a,b", 'a name of at most 50 characters, without a comma, such as queue="slow"'),
        ("queue", "", "a name of at most 50"),
        ("queue", " slow", "a name of at most 50"),
        ("queue", None, "a name of at most 50"),
        ("priority", "high", "a whole number from -32767 to 32767, such as priority=5"),
        ("priority", 40_000, "a whole number from"),
        ("unique_key", "user", "a plain function of the user and the message, such as"),
        ("unique_key", lambda user: "key", "a plain function of the user and the message"),
        ("hint", "lang", "hint='long'."),
        ("hint", "Short", "hint='short'."),
        ("hint", "quick", 'hint="short" or hint="long".'),
        ("hint", 5, 'hint="short" or hint="long".'),
    ],
)
def test_a_wrong_value(option: str, value: Any, wish: str) -> None:
    sentence = told(**{option: value})

    assert re.match(f"The workflow 'greet' has {option}=.+: write {re.escape(wish)}", sentence)
    assert sentence.endswith(".")


def test_an_asynchronous_key() -> None:
    async def make_key(user: Any, message: str) -> str:
        return "key"

    assert "write a plain function of the user and the message" in told(unique_key=make_key)


def test_a_long_value_is_cut() -> None:
    assert len(told(triggers="cheese " * 100)) < 400


def test_an_unknown_option() -> None:
    assert told(trigger=["hello"]) == (
        "The workflow 'greet' has an option 'trigger', which there is not: write triggers."
    )
    assert told(colour="red").endswith(
        ": write one of title, description, triggers, steps, max_execution_time, max_ai_calls, "
        "tries, backoff, retry_until, queue, priority, unique_key, hint."
    )


@pytest.mark.parametrize("name", ["", " ", None, 5, "n" * 101])
def test_a_wrong_name(name: Any) -> None:
    assert re.fullmatch(
        r"A workflow is called .*: write a name of at most 100 characters, such as "
        r'@workflow\("create_invoice"\)\.',
        told(name),
    )


def test_without_parentheses() -> None:
    """The decorator would take the function for the name, and register nothing."""
    with pytest.raises(WrongWorkflow) as caught:
        workflow(greet)  # type: ignore[arg-type]

    assert str(caught.value) == (
        f'{__file__}:{LINE}: A workflow has no name: write @workflow("greet").'
    )


def nothing() -> str:
    return "hello"


async def nothing_async() -> str:
    return "hello"


def two(ctx: Context, customer: str) -> str:
    return customer


def by_name(*, ctx: Context) -> str:
    return "hello"


def pieces(ctx: Context) -> Iterator[str]:
    yield "hello"


async def pieces_async(ctx: Context) -> Any:
    yield "hello"


class Greeter:
    def __init__(self, ctx: Context) -> None:
        pass

    def method(self, ctx: Context) -> str:
        return "hello"

    def __call__(self, ctx: Context) -> str:
        return "hello"


GENERATOR = "a generator function: write ctx.write(…) instead of yield, and return the answer."


@pytest.mark.parametrize(
    ("function", "wish"),
    [
        (nothing, "a function without ctx: write def nothing(ctx)."),
        (nothing_async, "a function without ctx: write async def nothing_async(ctx)."),
        (two, "a function that can't be called with ctx alone: write def two(ctx)."),
        (by_name, "a function that can't be called with ctx alone: write def by_name(ctx)."),
        (Greeter.method, "a function that can't be called with ctx alone: write def"),
        (pieces, GENERATOR),
        (pieces_async, GENERATOR),
        (Greeter, "<class 'tests.workflows.test_mistakes.Greeter'>, which is no function:"),
        (None, "None, which is no function: decorate a def that takes ctx."),
        ("greet", "'greet', which is no function"),
    ],
)
def test_a_wrong_function(function: Any, wish: str) -> None:
    assert told(function=function).startswith(f"The workflow 'greet' is {wish}")


@functools.wraps(two)
def given_a_customer(ctx: Context) -> str:
    return two(ctx, "Acme")


@functools.wraps(two)
def given_anything(*args: Any) -> str:
    return two(args[0], "Acme")


@pytest.mark.parametrize(
    "function",
    [
        lambda ctx, *more, greeting="Hello", **others: "hello",
        given_a_customer,
        given_anything,
        functools.partial(two, customer="Acme"),
        Greeter.method.__get__(object()),
        Greeter.__call__.__get__(object()),
        # Its signature is not known.
        type("Odd", (), {"__call__": greet, "__signature__": 5})(),
        str.upper,
    ],
)
def test_whatever_takes_ctx_will_do(function: Callable[..., Any]) -> None:
    workflow("greet")(function)

    assert get_workflow("greet").function is function
