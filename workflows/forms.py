"""Forms: what a JSON schema or a pydantic model asks for, and what is wrong with an answer."""

from collections.abc import Mapping
from textwrap import shorten
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, SchemaError
from jsonschema.exceptions import ValidationError
from pydantic import BaseModel
from referencing import Registry

# The field that takes what is said of the form as a whole.
WHOLE = "data"
# Characters of a complaint.
LENGTH = 200
# Objects and lists inside of each other.
DEPTH = 20


def schema_of(form: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of *form*: an object with named fields.

    Raises:
        ValueError: it is no such schema.
    """
    is_model = isinstance(form, type) and issubclass(form, BaseModel)
    schema = form.model_json_schema() if is_model else form  # type: ignore[union-attr]
    if not isinstance(schema, Mapping):
        raise ValueError("A form is a pydantic model or a JSON schema.")
    schema = dict(schema)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"The form is not a JSON schema: {error.message}") from None
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), Mapping):
        raise ValueError("The schema of a form is an object with properties.")
    return schema


def problems(schema: Mapping[str, Any], data: Any) -> dict[str, list[str]]:
    """Return what is wrong with *data*, by field; nothing if it fits.

    A field that the schema doesn't name is wrong too: nobody shall pass in more than was asked.
    """
    if not isinstance(data, dict):
        return {WHOLE: ["Must be an object."]}
    if _is_deep(data, DEPTH):
        return {WHOLE: ["It is nested too deeply."]}
    found: dict[str, list[str]] = {}
    for name in data.keys() - schema["properties"].keys():
        found[name] = ["There is no such field."]
    # An empty registry: a reference to another document is not fetched.
    validator = Draft202012Validator(schema, registry=Registry(), format_checker=FormatChecker())
    try:
        errors = list(validator.iter_errors(data))
    except OverflowError:
        return {**found, WHOLE: ["A number is too large."]}
    for error in errors:
        for name, sentence in _complaints(error):
            # Each missing field is an error of its own that lists them all.
            if sentence not in found.setdefault(name, []):
                found[name].append(sentence)
    return found


def _complaints(error: ValidationError) -> list[tuple[str, str]]:
    # It quotes what was sent, however long that is.
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


def _is_deep(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_is_deep(each, depth - 1) for each in inner)
