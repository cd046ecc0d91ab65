"""Who may come in, by the classes that CHATFLOW names; the views and the streams ask the same."""

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from chatflow.answers.languages import english
from chatflow.conf import conf
from chatflow.wire.parsers import AlwaysJSON
from chatflow.workflows.users import is_active


class IsAccount(BasePermission):
    """Only users of the project's own model: jobs and sessions are somebody's.

    And only active ones: a project's own authentication may not have looked.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        is_user = isinstance(user, get_user_model()) and user.is_authenticated
        return is_user and is_active(user)


def authenticators() -> list[type[BaseAuthentication]]:
    """Return the classes that say who is asking, in order."""
    return _imported(tuple(conf.AUTHENTICATION_CLASSES))


def permissions() -> list[type[BasePermission]]:
    """Return the classes that say who may come in."""
    return [IsAccount, *_imported(tuple(conf.PERMISSION_CLASSES))]


@cache
def _imported(names: tuple[str, ...]) -> list[Any]:
    return [import_string(name) for name in names]


def received(
    request: HttpRequest,
    kwargs: dict[str, Any] | None = None,
    by: Sequence[BaseAuthentication] = (),
) -> Request:
    """Return a stream's request, which comes to no view, as one would have it: whoever asks may.

    Args:
        request: with its session and user.
        kwargs: of its address.
        by: what says who is asking; by default the classes of CHATFLOW.

    Raises:
        NotAuthenticated, AuthenticationFailed: there is no good credential.
        PermissionDenied: one of the permission classes refuses it.
    """
    asked = Request(
        request,
        authenticators=by or [each() for each in authenticators()],
        negotiator=AlwaysJSON(),
        parser_context={"kwargs": kwargs or {}},
    )
    try:
        with english():
            _check(asked, SimpleNamespace(request=asked, args=(), kwargs=kwargs or {}))
    except (NotAuthenticated, AuthenticationFailed) as error:
        cast(Any, error).auth_header = challenge(asked)
        raise
    return asked


def _check(asked: Request, view: Any) -> None:
    for permission in (each() for each in permissions()):
        if not permission.has_permission(asked, view):
            if asked.successful_authenticator is None:
                raise NotAuthenticated
            raise PermissionDenied(getattr(permission, "message", None))


def challenge(asked: Request) -> str | None:
    """Return how a credential is asked for, in the words of the first class that takes one."""
    first = next(iter(authenticators()), BaseAuthentication)
    return first().authenticate_header(asked)
