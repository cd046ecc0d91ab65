"""A validator of JSON schemas that no schema and no text keeps busy.

Python's own engine may take for ever over a pattern, and holds the whole process meanwhile; that of
jsonschema is Python's. Two others do its work here: pydantic's takes linear time, and knows the
patterns that its models may have; what it lacks, lookarounds and back-references, is left to one
that gives up after so many steps back.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Annotated, Any

import jsonschema_rs
import pydantic
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic import StringConstraints, TypeAdapter
from pydantic_core import SchemaError

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]

# Steps back in one text, and references that one check follows.
BACKTRACKS = 10_000
REFERENCES = 10_000

_followed: ContextVar[int] = ContextVar("followed", default=0)


class TooLong(Exception):
    """The check would take too long."""


def matches(pattern: str, text: str) -> bool:
    """Say whether *pattern* is found in *text*; not if that takes too long to find out.

    Raises:
        ValueError: it is no pattern.
    """
    linear = _linear(pattern)
    if linear is None:
        return _limited(pattern).is_valid(text)
    try:
        linear.validate_python(text)
    except pydantic.ValidationError:
        return False
    return True


@lru_cache(maxsize=256)
def _linear(pattern: str) -> TypeAdapter[str] | None:
    """Return what checks *pattern* in linear time; None if it has what that engine lacks."""
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError:
        return None


@lru_cache(maxsize=256)
def _limited(pattern: str) -> jsonschema_rs.Draft202012Validator:
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS)
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options)
    except jsonschema_rs.ValidationError:
        raise ValueError(f"{pattern!r} is no pattern that can be checked.") from None


def _pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    for name, value in instance.items() if isinstance(instance, dict) else ():
        for pattern, inner in patterns.items():
            if matches(pattern, name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items() if isinstance(instance, dict) else ():
        if name in named or any(matches(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"There is no such field: {name!r}")
        else:
            yield from validator.descend(value, allowed, path=name)


def _counted(follow: Keyword) -> Keyword:
    """Let the keyword, a reference, be followed so many times only: references go in circles."""

    def counted(
        validator: Any, reference: Any, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        _followed.set(_followed.get() + 1)
        if _followed.get() > REFERENCES:
            raise TooLong
        yield from follow(validator, reference, instance, schema)

    return counted


@contextmanager
def limited() -> Iterator[None]:
    """Bound one check.

    Raises:
        TooLong: it takes too long.
    """
    token = _followed.set(0)
    try:
        yield
    except RecursionError:
        raise TooLong from None
    finally:
        _followed.reset(token)


_KEYWORDS = Draft202012Validator.VALIDATORS
Validator = extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        **{name: _counted(_KEYWORDS[name]) for name in ("$ref", "$dynamicRef")},
    },
)
FORMATS = FormatChecker()


@FORMATS.checks("regex", raises=ValueError)  # type: ignore[untyped-decorator]
def _is_pattern(text: object) -> bool:
    if isinstance(text, str):
        _limited(text)
    return True
