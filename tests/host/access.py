"""A team's own classes for Django REST framework, and its own way to tell errors."""

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response


class Machine:
    """Somebody who is authenticated, but no user of the project's."""

    is_authenticated = True


class TeamKey(BaseAuthentication):
    """``X-Team-Key: <the name that a user signs in with>``."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        name = request.META.get("HTTP_X_TEAM_KEY")
        if name is None:
            return None
        if name == "machine":
            return Machine(), name
        users = get_user_model()
        user = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
        if user is None:
            raise AuthenticationFailed("This key is unknown.")
        return user, name

    def authenticate_header(self, request: Request) -> str:
        return "X-Team-Key"


class NotOnLeave(BasePermission):
    message = "You are on leave."

    def has_permission(self, request: Request, view: Any) -> bool:
        return "HTTP_X_ON_LEAVE" not in request.META


def told(error: Exception, context: dict[str, Any]) -> Response:
    return Response({"oh": "no"}, status=418)
