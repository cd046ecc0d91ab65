"""Forms: the fields of a JSON schema or a pydantic model, and the mistakes in an answer."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from textwrap import shorten
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import ValidationError
from pydantic import BaseModel
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from chatflow.workflows.dialogue.patterns import FORMATS, TooLong, Validator, limited, matches

# The field for complaints about the form as a whole.
WHOLE = "data"
# A schema's key for the order of its fields.
ORDER = "x-order"
# Characters of a complaint.
LENGTH = 200
# Complaints about one answer.
MOST = 50
# Objects and lists inside of each other, values in all of them, and characters of each text, which
# are those of a message.
DEPTH = 20
SIZE = 1000
TEXT = 4000


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
    for inner in _inside(schema):
        yield from _keywords(inner)


def problems(schema: Mapping[str, Any], data: Any) -> dict[str, list[str]]:
    """Return the mistakes in *data*, by field; none if it fits.

    A field that the schema doesn't name is wrong too: nobody shall pass in more than was asked.
    """
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


def is_excessive(data: Any) -> bool:
    """Say whether there is more in *data* than anybody fills in.

    That is too many values, or too deep, or too long a text.
    """
    count, level = 1, [data]
    for _ in range(DEPTH):
        if any(len(text) > TEXT for value in level for text in _texts(value)):
            return True
        level = [inner for value in level for inner in _inside(value)]
        count += len(level)
        if count > SIZE:
            return True
    return bool(level)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, Mapping) else ()


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
