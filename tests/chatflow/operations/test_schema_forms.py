"""Forms made of JSON schemas, as members of the staff fill them in."""

from typing import Any

import pytest

from chatflow.operations.schema_forms import SchemaForm

SCHEMA: dict[str, Any] = {
    "type": "object",
    "x-order": ["name", "count"],
    "properties": {
        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 2},
        "name": {"type": "string", "title": "Your name"},
        "size": {"$ref": "#/$defs/Size"},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "long": {"type": "string", "maxLength": 5000},
        "list": {"type": "array"},
        "round": {"$ref": "#/properties/round"},
        "any": True,
    },
    "$defs": {"Size": {"enum": [1, "large", None]}},
    "required": ["name"],
}


def filled(**fields: str) -> SchemaForm:
    return SchemaForm(SCHEMA, {f"answer-{name}": value for name, value in fields.items()})


def test_it_works() -> None:
    form = filled(name=" A ", count="3", size="0", share="1.5", sure="on", list='{"a": [1]}')
    assert form.is_valid(), form.errors
    assert form.answer() == {
        "name": " A ",
        "count": 3,
        "size": 1,
        "share": 1.5,
        "sure": True,
        "list": {"a": [1]},
    }
    assert list(form.fields)[:2] == ["name", "count"]
    html = SchemaForm(SCHEMA).as_p()
    assert "Your name" in html
    assert 'value="2"' in html
    assert html.count("<textarea") == 4


def test_what_is_left_empty_is_left_out() -> None:
    form = filled(name="A")
    assert form.is_valid()
    assert form.answer() == {"name": "A", "sure": False}


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": "A", "count": "x"}, {"name": "A", "size": "9"}]
    + [{"name": "A", "list": text} for text in ("[", "NaN", "[" * 5000)],
)
def test_what_does_not_fit(fields: dict[str, str]) -> None:
    assert not filled(**fields).is_valid()


def test_complaints_stand_beside_their_fields() -> None:
    form = filled(name="A")
    assert form.is_valid()
    form.complain({"count": ["Too small."], "other": ["What?"], "data": ["No."]})
    assert form.errors["count"] == ["Too small."]
    assert form.non_field_errors() == ["What?", "No."]
