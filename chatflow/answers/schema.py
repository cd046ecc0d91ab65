"""The OpenAPI schema: the ways to sign in, and the shapes of the answers."""

from dataclasses import asdict
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
)
from drf_spectacular.plumbing import build_array_type, build_object_type, resolve_type_hint
from drf_spectacular.utils import OpenApiParameter

from chatflow.answers.bodies import Shown
from chatflow.wire.addresses import request_prefix
from chatflow.wire.problems import ErrorBody

KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "maxLength": 255},
    OpenApiParameter.HEADER,
    description="The same key and body start one job only.",
)


def refusals(*statuses: int) -> dict[Any, Any]:
    """Return the ``responses`` of an endpoint for its refusals, with these *statuses*."""
    return dict.fromkeys(statuses, ErrorBody)


def name_server(result: Any, generator: Any, request: Any, public: bool) -> Any:
    """Say in the schema where its paths begin, if that is below a prefix."""
    if prefix := request_prefix():
        result["servers"] = [{"url": prefix}]
    return result


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "chatflow.auth.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class CookieScheme(SessionScheme):  # type: ignore[no-untyped-call]
    target_class = "chatflow.auth.CookieAuthentication"
    name = "cookie"
    priority = 0


class BodySchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Shows a TypedDict of bodies.py as a serializer is shown: a component by its name."""

    @classmethod
    def _matches(cls, target: Any) -> bool:
        return is_typeddict(target)

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        name: str = self.target.__name__
        return name.removesuffix("Body")

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        hints = get_type_hints(self.target, include_extras=True)
        return build_object_type(
            properties={name: shape(hint, auto_schema) for name, hint in hints.items()},
            required=[name for name in hints if name in self.target.__required_keys__],
            description=(self.target.__dict__.get("__doc__") or "").strip(),
        )


def shape(hint: Any, auto_schema: Any) -> dict[str, Any]:
    """Return the schema of a type that stands in a TypedDict."""
    if is_typeddict(hint):
        reference: dict[str, Any] = auto_schema.resolve_serializer(hint, "response").ref
        return reference
    origin, (first, *others) = get_origin(hint), get_args(hint) or (None,)
    if origin is NotRequired:
        return shape(first, auto_schema)
    if origin is Annotated:
        return {**shape(first, auto_schema), **said(others)}
    if origin is list:
        return build_array_type(shape(first, auto_schema))
    if origin in (Union, UnionType) and others == [NoneType]:
        inner = shape(first, auto_schema)
        # Nothing may stand beside a reference.
        return {**({"allOf": [inner]} if "$ref" in inner else inner), "nullable": True}
    plain: dict[str, Any] = resolve_type_hint(hint)  # type: ignore[no-untyped-call]
    return plain


def said(annotations: list[str | Shown]) -> dict[str, Any]:
    """Return an Annotated type's notes as schema; a text describes it."""
    found: dict[str, Any] = {}
    for each in annotations:
        if isinstance(each, str):
            found["description"] = each
        else:
            found |= {name: value for name, value in asdict(each).items() if value is not None}
    return found
