"""The organisation for which the user of a request acts, as the project's TENANT says.

What they may see goes by both, so every look-up for a request begins here, or in `scopes.py`.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from rest_framework.request import Request

from chatflow.conf import conf
from chatflow.workflows.permissions import usable_workflows
from chatflow.workflows.registry import Workflow
from chatflow.workflows.tenants import check_tenant

# Where a request keeps what was found, for each user that it was asked about.
KEPT = "_chatflow_tenants"


def tenant_of(request: HttpRequest | Request, user: Any = None) -> str:
    """Return the key of the organisation for which a request is made; empty for none.

    TENANT is asked once in a request.

    Args:
        request: of a view, or of a stream.
        user: whose request it is, while that is still being found out.

    Raises:
        ImproperlyConfigured: what TENANT returned is no key.
        All that TENANT raises: PermissionDenied is answered 403.
    """
    find = conf.TENANT
    if find is None:
        return ""
    plain = request._request if isinstance(request, Request) else request
    user = request.user if user is None else user
    kept: dict[Any, str] = vars(plain).setdefault(KEPT, {})
    if user.pk not in kept:
        try:
            kept[user.pk] = check_tenant(find(user, plain))
        except ValueError as error:
            raise ImproperlyConfigured(f"What TENANT returns is wrong. {error}") from None
    return kept[user.pk]


def workflows_of(request: HttpRequest | Request) -> list[Workflow]:
    """Return the workflows that a request's user may use."""
    return usable_workflows(request.user, tenant_of(request))
