"""Finding and making users, for the site's commands."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from chatflow.workflows.users import find_user


def get_user(name: str) -> Any:
    """Return the user who signs in as *name*.

    Raises:
        CommandError: there is none.
    """
    user = find_user(name)
    if user is None:
        raise CommandError(f"There is no user {name!r}.")
    return user


def create_user(name: str, *, password: str | None = None, superuser: bool = False) -> Any:
    """Make a user who signs in as *name*, as the user model's own manager makes them.

    Args:
        name: the value of the model's USERNAME_FIELD.
        password: without one the user can't sign in, but may have tokens.
        superuser: they may do everything.

    Raises:
        CommandError: the model's users need more than that, or shorter names.
    """
    users = get_user_model()
    most = getattr(users._meta.get_field(users.USERNAME_FIELD), "max_length", None)
    if most is not None and len(name) > most:
        raise CommandError(f"A user's name must have at most {most} characters.")
    method = "create_superuser" if superuser else "create_user"
    try:
        create = getattr(users._default_manager, method)
        return create(**{users.USERNAME_FIELD: name}, password=password)
    except (AttributeError, TypeError) as error:
        raise CommandError(
            f"{users.__name__}'s manager makes no user of a name alone ({error}). "
            "Make the user in another way first."
        ) from error
