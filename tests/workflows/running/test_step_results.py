"""What a step returned, to JSON and back."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from chatflow.workflows.exceptions import StepResultError
from chatflow.workflows.running.step_results import dump, load, returned_type


class Colour(Enum):
    RED = "red"


@dataclass
class Line:
    price: Decimal
    colour: Colour | None = None


@dataclass(frozen=True)
class Draft:
    lines: list[Line] = field(default_factory=list)
    day: date | None = None
    by_name: dict[str, Line] = field(default_factory=dict)


class Model(BaseModel):
    draft: Draft
    note: str | None = None


class Strange:
    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]


def returning(annotation: Any) -> Callable[[], Any]:
    def function() -> Any:
        raise AssertionError

    function.__annotations__["return"] = annotation
    return function


LINE = Line(Decimal("0.10"), Colour.RED)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Line, LINE),
        (Draft, Draft([LINE, LINE], date(2026, 2, 28), {"a": LINE})),
        (Model, Model(draft=Draft([LINE]))),
        (Line | None, LINE),
        (Line | None, None),
        (list[Line], [LINE]),
        (dict[str, Draft], {"a": Draft()}),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (Decimal, Decimal("1.50")),
        (datetime, datetime(2026, 1, 1, tzinfo=UTC)),
        (UUID, UUID(int=1)),
        (Colour, Colour.RED),
        (bytes, b"bytes"),
        (None, None),
        (type(None), None),
        (int, 5),
        (str, "text \N{PILE OF POO} \0"),
        (bool, True),
        (float, 0.1),
        (list, [1, [2]]),
        (dict[str, Any], {"a": [1, {"b": None}]}),
        (Any, {"a": 1}),
        (object, [1]),
    ],
)
def test_it_comes_back(annotation: Any, value: Any) -> None:
    function = returning(annotation)
    encoded = dump("Step", function, value)
    back = load("Step", function, encoded)

    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Line, {"price": "1"}),
        (Line, None),
        (list[Line], [LINE, None]),
        (int, "5"),
        (str, 5),
        (None, 5),
        (Any, (1,)),
        (Any, LINE),
        (Any, {1: 2}),
        (Any, float("inf")),
        (float, float("nan")),
        (object, object()),
        (Any, Strange()),
        (Callable, print),
        (Strange, Strange()),
        (Any, {"a": {1, 2}}),
        (str, "\ud800"),
    ],
)
def test_what_does_not_come_back(annotation: Any, value: Any) -> None:
    with pytest.raises(StepResultError) as caught:
        dump("The step", returning(annotation), value)

    assert "'The step'" in str(caught.value)


def test_a_circle() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(StepResultError):
        dump("Step", returning(Any), value)


def test_the_sentence_says_what_to_do() -> None:
    with pytest.raises(StepResultError, match=r"returned a Line .* Annotate the step's function"):
        dump("Step", lambda: LINE, LINE)
    with pytest.raises(StepResultError, match=r"returned a dict .* annotated to return Line"):
        dump("Step", returning(Line), {"price": "x"})
    with pytest.raises(StepResultError, match="The record of step 'Step' is not a Line any more"):
        load("Step", returning(Line), {"cost": 1})


def unannotated():  # type: ignore[no-untyped-def]  # noqa: ANN201
    return LINE


async def fetch() -> int:
    return 5


JSON_INSTEAD = (
    "Return plain JSON, such as the primary key of a database row; or annotate the step's function "
    "with the dataclass, pydantic model or other type that it returns."
)


@pytest.mark.parametrize(
    ("function", "value", "wish"),
    [
        (unannotated, LINE, "Annotate the step's function: def unannotated(…) -> Line:"),
        (lambda: LINE, LINE, "Annotate the step's function: def function(…) -> Line:"),
        (
            unannotated,
            Model(draft=Draft()),
            "Annotate the step's function: def unannotated(…) -> Model:",
        ),
        (unannotated, {1}, JSON_INSTEAD),
        (unannotated, date(2026, 2, 28), JSON_INSTEAD),
        (
            returning(Line),
            5,
            "Its function is annotated to return Line: return one, or annotate what it is.",
        ),
    ],
)
def test_what_to_write_instead(function: Callable[[], Any], value: Any, wish: str) -> None:
    with pytest.raises(StepResultError) as caught:
        dump("Read", function, value)

    kind = type(value).__name__
    assert str(caught.value) == (
        f"Step 'Read' returned a {kind} that does not come back the same from JSON. {wish}"
    )


def test_a_coroutine() -> None:
    """What a lambda around a coroutine function returns; nothing is left that nobody awaits."""
    coroutine = fetch()
    with pytest.raises(StepResultError, match=r"coroutine function itself to ctx\.astep\(\)"):
        dump("Read", lambda: coroutine, coroutine)

    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def plain() -> Line:
    return LINE


async def asynchronous() -> Line:
    return LINE


class Methods:
    def method(self) -> Line:
        return LINE

    @classmethod
    def of_class(cls) -> Line:
        return LINE

    @staticmethod
    def static() -> Line:
        return LINE

    def __call__(self) -> Line:
        return LINE


@functools.wraps(plain)
def wrapped(*args: Any) -> Any:
    return plain()


@pytest.mark.parametrize(
    "function",
    [
        plain,
        asynchronous,
        Methods().method,
        Methods.of_class,
        Methods.static,
        Methods(),
        wrapped,
        functools.partial(plain),
        functools.partial(functools.partial(Methods().method)),
    ],
)
def test_returned_type(function: Callable[..., Any]) -> None:
    assert returned_type(function) is Line


@pytest.mark.parametrize("function", [lambda: 1, str.upper, "x".upper, len, int, Line, dict])
def test_functions_that_say_nothing(function: Callable[..., Any]) -> None:
    assert dump("Step", function, "x") == "x"


def test_an_annotation_that_cannot_be_resolved() -> None:
    with pytest.raises(StepResultError, match="can't be resolved"):
        returned_type(returning("Nowhere"))
