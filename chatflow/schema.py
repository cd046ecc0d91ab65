"""What the OpenAPI schema says of the ways to sign in."""

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "chatflow.auth.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class CookieScheme(SessionScheme):  # type: ignore[no-untyped-call]
    target_class = "chatflow.auth.CookieAuthentication"
    name = "cookie"
    priority = 0
