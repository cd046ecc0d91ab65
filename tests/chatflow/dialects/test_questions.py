"""A question in words, and the schema of its answer."""

from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from chatflow.dialects.questions import in_words, schema_of
from chatflow.workflows.dialogue.answers import as_choices
from chatflow.workflows.dialogue.forms import schema_of as form_of


class Place(BaseModel):
    city: str


class Order(BaseModel):
    count: int
    place: Place


FORM = form_of(Order)
ORDER = {"count": 2, "place": {"city": "Rome"}}


def test_it_works() -> None:
    choices = as_choices(["red", ("b", "Blue")])
    assert in_words("Which?", {"kind": "choice", "choices": choices}) == "Which?\n1. red\n2. Blue"
    assert in_words("Which?", {"kind": "text"}) == "Which?"
    assert in_words("Done.", None) == "Done."


@pytest.mark.parametrize(
    ("awaiting", "right", "wrong"),
    [
        ({"kind": "text"}, "x", 1),
        ({"kind": "choice", "choices": as_choices([1, ("b", "Blue")])}, "1", "Blue"),
        ({"kind": "confirm"}, True, "yes"),
        ({"kind": "form", "schema": FORM}, ORDER, {"count": 2, "place": {}}),
        ({"kind": "approval"}, {"approved": True, "reason": "old"}, {"reason": "old"}),
        (
            {"kind": "approval", "schema": FORM},
            {"approved": True, "answer": ORDER},
            {"approved": True, "answer": {"count": 2, "place": {}}},
        ),
    ],
)
def test_the_schema_of_an_answer(awaiting: dict[str, Any], right: Any, wrong: Any) -> None:
    schema = schema_of(awaiting)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(right, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)
