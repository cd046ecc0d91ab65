"""What forms.py is made of, by jsonschema."""

from collections.abc import Iterator, Mapping
from itertools import islice
from textwrap import shorten
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import ValidationError
from pydantic import BaseModel
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from chatflow.workflows.dialogue.form_keys import ORDER, WHOLE
from chatflow.workflows.dialogue.form_values import inside, is_excessive
from chatflow.workflows.dialogue.patterns import FORMATS, TooLong, Validator, limited, matches

# Characters of a complaint.
LENGTH = 200
# Complaints about one answer.
MOST = 50


def schema_of(form: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    is_model = isinstance(form, type) and issubclass(form, BaseModel)
    schema = form.model_json_schema() if is_model else form  # type: ignore[union-attr]
    if not isinstance(schema, Mapping):
        raise ValueError("A form is a pydantic model or a JSON schema.")
    schema = dict(schema)
    try:
        Draft202012Validator.check_schema(schema, FORMATS)
        _check_patterns(schema)
    except SchemaError as error:
        raise ValueError(f"The form is not a JSON schema: {error.message}") from None
    except RecursionError:
        raise ValueError("The form is nested too deeply.") from None
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), Mapping):
        raise ValueError("The schema of a form is an object with properties.")
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    for name, reference in _keywords(schema):
        if name == "$ref" and isinstance(reference, str):
            try:
                resolver.lookup(reference)
            except Unresolvable:
                raise ValueError(f"The form has no {reference!r} in it.") from None
    # PostgreSQL doesn't keep the order of an object's fields.
    return {ORDER: list(schema["properties"]), **schema}


def _check_patterns(schema: Any) -> None:
    """Refuse patterns that nothing here can check.

    Raises:
        ValueError: which one.
    """
    found = list(_keywords(schema))
    for name, value in found:
        for pattern in value if name == "patternProperties" else [value]:
            if name in ("pattern", "patternProperties") and isinstance(pattern, str):
                matches(pattern, "")
    if {"patternProperties", "unevaluatedProperties"} <= {name for name, _ in found}:
        raise ValueError("A form has patternProperties or unevaluatedProperties, not both.")


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, Mapping):
        yield from schema.items()
    for inner in inside(schema):
        yield from _keywords(inner)


def problems(schema: Mapping[str, Any], data: Any) -> dict[str, list[str]]:
    if not isinstance(data, dict):
        return {WHOLE: ["Must be an object."]}
    if is_excessive(data):
        return {WHOLE: ["It is too large, or nested too deeply."]}
    found: dict[str, list[str]] = {}
    for name in data.keys() - schema["properties"].keys():
        found[name] = ["There is no such field."]
    validator = Validator(schema, registry=Registry(), format_checker=FORMATS)
    try:
        with limited():
            errors = list(islice(validator.iter_errors(data), MOST))
    except OverflowError:
        return {**found, WHOLE: ["A number is too large."]}
    except TooLong:
        return {**found, WHOLE: ["It takes too long to check."]}
    for error in errors:
        for name, sentence in _complaints(error):
            # Each missing field is an error of its own that lists them all.
            if sentence not in found.setdefault(name, []):
                found[name].append(sentence)
    return found


def _complaints(error: ValidationError) -> list[tuple[str, str]]:
    # It quotes the value, however long that is.
    sentence = f"{shorten(error.message, LENGTH)}."
    if error.path:
        return [(str(error.path[0]), sentence)]
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return [(name, "This field is required.") for name in missing]
    if error.validator == "additionalProperties":
        # Each is named already.
        return []
    return [(WHOLE, sentence)]
