"""A validator of JSON schemas that no text keeps busy.

Python's own engine may take for ever over a pattern, and holds the whole process meanwhile. That
of pydantic takes linear time, and knows the patterns that its models may have.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any

import pydantic
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic import StringConstraints, TypeAdapter
from pydantic_core import SchemaError


def _pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _matches(pattern: str, text: str) -> bool:
    adapter = _adapter(pattern)
    if adapter is None:
        return re.search(pattern, text) is not None
    try:
        adapter.validate_python(text)
    except pydantic.ValidationError:
        return False
    return True


@lru_cache(maxsize=256)
def _adapter(pattern: str) -> TypeAdapter[str] | None:
    """Return what checks *pattern*; None if it has what that engine lacks, such as lookarounds."""
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError:
        return None


Validator = extend(Draft202012Validator, {"pattern": _pattern})
