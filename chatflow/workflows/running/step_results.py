"""The results of steps, to JSON and back."""

import functools
import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

from pydantic import (
    BaseModel,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)

from chatflow.workflows.exceptions import StepResultError

JSON_ONLY = (inspect.Signature.empty, Any, object)


def dump(name: str, function: Callable[..., Any], value: Any) -> Any:
    """Return *value*, which *function* returned in the step *name*, as JSON.

    Raises:
        StepResultError: it is neither JSON nor of the type that the function's annotation names.
    """
    annotation = returned_type(function)
    try:
        if annotation in JSON_ONLY:
            encoded = json.loads(json.dumps(value, allow_nan=False))
        else:
            adapter = TypeAdapter(annotation)
            encoded = json.loads(adapter.dump_json(value, warnings="error"))
        same = load(name, function, encoded) == value
    except (TypeError, ValueError, PydanticSchemaGenerationError, PydanticUserError) as error:
        raise _not_recordable(name, function, value) from error
    if not same:
        raise _not_recordable(name, function, value)
    return encoded


def load(name: str, function: Callable[..., Any], encoded: Any) -> Any:
    """Return what dump() was given.

    Raises:
        StepResultError: the recorded JSON doesn't fit the function's present annotation.
    """
    annotation = returned_type(function)
    if annotation in JSON_ONLY:
        return encoded
    try:
        return TypeAdapter(annotation).validate_json(json.dumps(encoded))
    except ValidationError as error:
        raise StepResultError(
            f"The record of step {name!r} is not a {_name(annotation)} any more."
        ) from error


def returned_type(function: Callable[..., Any]) -> Any:
    """Return the type that *function* is annotated to return; Signature.empty without one."""
    while isinstance(function, functools.partial):
        function = function.func
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        hints = typing.get_type_hints(target)
    except NameError as error:
        raise StepResultError(
            f"The return annotation of {target.__qualname__} can't be resolved: {error}."
        ) from error
    return hints.get("return", inspect.Signature.empty)


def _name(annotation: Any) -> str:
    return getattr(annotation, "__name__", str(annotation))


def _not_recordable(name: str, function: Callable[..., Any], value: Any) -> StepResultError:
    return StepResultError(
        f"Step {name!r} returned a {type(value).__name__} that does not come back the same from "
        f"JSON. {_find_instead(function, value)}"
    )


def _find_instead(function: Callable[..., Any], value: Any) -> str:
    """Return what an author is to write so that a step returns what can be recorded."""
    if inspect.iscoroutine(value):
        # Nobody will await it; that is what the error says.
        value.close()
        return "Give the coroutine function itself to ctx.astep(), in an async def workflow."
    annotation = returned_type(function)
    if annotation not in JSON_ONLY:
        wanted = _name(annotation)
        return f"Its function is annotated to return {wanted}: return one, or annotate what it is."
    if is_dataclass(value) or isinstance(value, BaseModel):
        name = getattr(function, "__name__", "")
        written = f"def {name if name.isidentifier() else 'function'}(…)"
        return f"Annotate the step's function: {written} -> {type(value).__name__}:"
    return (
        "Return plain JSON, such as the primary key of a database row; or annotate the step's "
        "function with the dataclass, pydantic model or other type that it returns."
    )
