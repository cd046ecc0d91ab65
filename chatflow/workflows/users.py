"""Users, by the name that they sign in with, and their fields, whatever the user model is."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import QuerySet


def has_field(name: str) -> bool:
    """Say whether users have a field of that name, such as ``is_active``."""
    return any(field.name == name for field in get_user_model()._meta.get_fields())


def find_user(name: str) -> Any | None:
    """Return the user who signs in as *name*, such as a username or an e-mail address."""
    users = get_user_model()
    try:
        return users._default_manager.get_by_natural_key(name)
    except (users.DoesNotExist, ValidationError, ValueError):
        return None


def active_users() -> QuerySet[Any]:
    """Return the users who have not been deactivated; a user model need not know that."""
    users = get_user_model()._default_manager
    return users.filter(is_active=True) if has_field("is_active") else users.all()


def is_active(user: Any) -> bool:
    """Say whether a user has not been deactivated; a user model need not know that."""
    return bool(getattr(user, "is_active", True))


def password_of(user: Any) -> str:
    """Return a user's password hash; empty where others keep the passwords."""
    return getattr(user, "password", None) or ""


def users_named(beginning: str, most: int) -> list[str]:
    """Return some of the names by which users sign in that begin like this, sorted."""
    users = get_user_model()
    name = users.USERNAME_FIELD
    found = users._default_manager.filter(**{f"{name}__startswith": beginning}).order_by(name)
    return [str(each) for each in found.values_list(name, flat=True)[:most]]
