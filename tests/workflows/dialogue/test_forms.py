"""Forms: schemas of models, and what is wrong with an answer."""

from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from workflows.dialogue.forms import problems, schema_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Order(BaseModel):
    name: str = Field(min_length=1)
    count: int = Field(ge=1)
    size: Literal["s", "l"] = "s"
    colour: Colour = Colour.RED
    gift: bool = False
    note: str | None = None


SCHEMA = schema_of(Order)
REQUIRED = ["This field is required."]


def test_it_works() -> None:
    assert problems(SCHEMA, {"name": "Ada", "count": 2, "gift": True, "note": None}) == {}
    assert problems(SCHEMA, {}) == {"name": REQUIRED, "count": REQUIRED}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"name": "", "count": 1}, "name"),
        ({"name": 5, "count": 1}, "name"),
        ({"name": "Ada", "count": 0}, "count"),
        ({"name": "Ada", "count": "1"}, "count"),
        ({"name": "Ada", "count": True}, "count"),
        ({"name": "Ada", "count": 1, "size": "m"}, "size"),
        ({"name": "Ada", "count": 1, "colour": "green"}, "colour"),
        ({"name": "Ada", "count": 1, "gift": "yes"}, "gift"),
        ({"name": "Ada", "count": 1, "admin": True}, "admin"),
        ([], "data"),
        ("Ada", "data"),
        (None, "data"),
    ],
)
def test_what_is_wrong_is_named(data: Any, field: str) -> None:
    assert list(problems(SCHEMA, data)) == [field]


def test_a_schema_by_hand() -> None:
    schema = {
        "type": "object",
        "properties": {"email": {"type": "string", "format": "email"}},
        "required": ["email"],
        "additionalProperties": False,
    }
    assert schema_of(schema) == {"x-order": ["email"], **schema}
    assert problems(schema, {"email": "ada@example.com"}) == {}
    assert list(problems(schema, {"email": "ada"})) == ["email"]
    assert list(problems(schema, {"email": "a@b.c", "x": 1})) == ["x"]


def test_the_order_of_the_fields() -> None:
    """A database may keep an object's fields in another order."""
    assert SCHEMA["x-order"] == ["name", "count", "size", "colour", "gift", "note"]
    assert schema_of({**SCHEMA, "x-order": ["gift"]})["x-order"] == ["gift"]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        "object",
        int,
    ],
)
def test_what_is_no_form(schema: Any) -> None:
    with pytest.raises(ValueError, match="form"):
        schema_of(schema)


def test_a_huge_number_is_refused() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number", "multipleOf": 0.01}}}
    assert problems(schema, {"n": 10**400}) == {"data": ["A number is too large."]}


def test_a_complaint_is_short() -> None:
    (texts,) = problems(SCHEMA, {"name": "Ada", "count": "x" * 5000}).values()
    assert len(texts[0]) <= 201


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/schema.json", "#/$defs/Missing"])
def test_a_reference_to_what_is_not_there(reference: str) -> None:
    with pytest.raises(ValueError, match="The form has no"):
        schema_of({"type": "object", "properties": {"a": {"$ref": reference}}})


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    "data", [{"a": nested(20)}, {"a": [1] * 1000}, {f"field {i}": 1 for i in range(1000)}]
)
def test_more_than_anybody_fills_in(data: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    assert problems(schema, data) == {"data": ["It is too large, or nested too deeply."]}


def test_there_are_not_too_many_complaints() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"}}}}
    assert len(problems(schema, {"a": list(range(900))})["a"]) == 50
