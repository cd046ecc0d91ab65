"""Users, by the name that they sign in with, and their fields, whatever the user model is."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError


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
