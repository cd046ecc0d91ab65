"""Forms: schemas of models, and what is wrong with an answer."""

from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from chatflow.workflows.dialogue.forms import problems, schema_of


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
    (texts,) = problems(SCHEMA, {"name": "Ada", "count": "x" * 4000}).values()
    assert len(texts[0]) <= 201


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/schema.json", "#/$defs/Missing"])
def test_a_reference_to_what_is_not_there(reference: str) -> None:
    with pytest.raises(ValueError, match="The form has no"):
        schema_of({"type": "object", "properties": {"a": {"$ref": reference}}})


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    "data",
    [
        {"a": nested(20)},
        {"a": [1] * 1000},
        {f"field {i}": 1 for i in range(1000)},
        {"a": ["x" * 4001]},
        {"x" * 4001: 1},
    ],
)
def test_more_than_anybody_fills_in(data: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    assert problems(schema, data) == {"data": ["It is too large, or nested too deeply."]}


def test_there_are_not_too_many_complaints() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"}}}}
    assert len(problems(schema, {"a": list(range(900))})["a"]) == 50


LOOKAROUND = "^(?=(a+)+$)b"
BACK_REFERENCE = r"^(a|aa)+\1!$"


@pytest.mark.parametrize("pattern", ["^(a+)+$", LOOKAROUND, BACK_REFERENCE])
@pytest.mark.parametrize(
    "fields",
    [
        lambda pattern: {"pattern": pattern},
        lambda pattern: {"propertyNames": {"pattern": pattern}, "type": "object"},
        lambda pattern: {"patternProperties": {pattern: False, "^a": False}},
        lambda pattern: {"patternProperties": {pattern: {}}, "additionalProperties": False},
    ],
)
def test_a_pattern_burns_no_time(pattern: str, fields: Any) -> None:
    """Python's own engine would need longer than the universe is old, for one of these texts."""
    schema = schema_of({"type": "object", "properties": {"a": fields(pattern)}})
    hostile = "a" * 3999 + "?"
    value = hostile if "pattern" in schema["properties"]["a"] else {hostile: 1}

    assert list(problems(schema, {"a": value})) == ["a"]


def test_many_patterns_burn_no_time() -> None:
    schema = schema_of(
        {
            "type": "object",
            "properties": {"a": {"items": {"pattern": LOOKAROUND}}},
        }
    )
    assert list(problems(schema, {"a": ["a" * 3999 + "!"] * 900})) == ["a"]


def test_additional_properties() -> None:
    inner = {"properties": {"b": {}}, "patternProperties": {"^x-": {"type": "integer"}}}
    closed = schema_of(
        {"type": "object", "properties": {"a": {**inner, "additionalProperties": False}}}
    )
    typed = schema_of(
        {"type": "object", "properties": {"a": {**inner, "additionalProperties": {"type": "null"}}}}
    )

    for schema in (closed, typed):
        assert problems(schema, {"a": {"b": 1, "x-1": 2}}) == {}
        assert list(problems(schema, {"a": {"x-1": "text"}})) == ["a"]
        assert list(problems(schema, {"a": {"c": 1}})) == ["a"]
    assert problems(typed, {"a": {"c": None}}) == {}
    assert problems(closed, {"a": "no object"}) == {}


@pytest.mark.parametrize(("text", "right"), [("^a+$", True), ("(", False), ("(" * 4000, False)])
def test_a_pattern_as_an_answer(text: str, right: bool) -> None:
    schema = schema_of({"type": "object", "properties": {"a": {"format": "regex"}}})
    assert (problems(schema, {"a": text}) == {}) is right


@pytest.mark.parametrize(
    "fields",
    [
        {"a": {"$ref": "#/properties/a"}},
        {"a": {"anyOf": [{"$ref": "#/properties/a"}, {"$ref": "#/properties/a"}]}},
        {"a": {"$dynamicRef": "#/properties/a"}},
    ],
)
def test_a_reference_to_itself(fields: Any) -> None:
    schema = schema_of({"type": "object", "properties": fields})
    assert problems(schema, {"a": 1}) == {"data": ["It takes too long to check."]}
    assert problems(schema, {}) == {}


def test_references_that_multiply() -> None:
    """Three ways at each of twenty levels are more than anybody waits for."""
    again = {"anyOf": [{"$ref": "#/properties/a"}] * 3}
    schema = schema_of({"type": "object", "properties": {"a": {"type": "array", "items": again}}})
    assert problems(schema, {"a": nested(15)}) == {"data": ["It takes too long to check."]}
    assert problems(schema, {"a": [[], []]}) == {}


@pytest.mark.parametrize("pattern", ["(" * 5000, "(", "(?(1)", "*"])
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_is_none(keyword: str, pattern: str) -> None:
    own = pattern if keyword == "pattern" else {pattern: {}}
    with pytest.raises(ValueError, match=r"form|pattern"):
        schema_of({"type": "object", "properties": {"a": {keyword: own}}})


def test_a_schema_that_is_too_deep() -> None:
    inner: dict[str, Any] = {}
    for _ in range(3000):
        inner = {"not": inner}
    with pytest.raises(ValueError, match="nested too deeply"):
        schema_of({"type": "object", "properties": {"a": inner}})


def test_what_python_would_check_is_refused() -> None:
    inner = {"allOf": [{"patternProperties": {"^(a+)+$": {}}}], "unevaluatedProperties": False}
    with pytest.raises(ValueError, match="not both"):
        schema_of({"type": "object", "properties": {"a": inner}})
