"""What a project says of its organisations: the hooks TENANT and MAY_USE of these tests."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

MEMBERS = {"alice": {"a", "b"}, "bob": {"a"}, "charlie": {"c"}}


def tenant_of(user: Any, request: HttpRequest) -> str | None:
    """Return the organisation that the request names in a header."""
    wanted = request.headers.get("X-Tenant")
    if wanted is not None and wanted not in MEMBERS[user.get_username()]:
        raise PermissionDenied
    return wanted


def too_long(user: Any, request: HttpRequest) -> str:
    return "x" * 65


def may_use(user: Any, workflow: str, tenant: str) -> bool:
    """Let only the members of "a" use what costs."""
    return workflow != "pay" or tenant == "a"
