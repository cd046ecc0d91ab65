"""Checks of `.env`; and with ``check --deploy`` of the accounts and of SQLite's file."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import Error as DatabaseError

from chatflow import conf
from chatflow.workflows.db import connection
from chatflow.workflows.users import find_user, has_field, is_active

# Names of accounts, and the passwords that everybody knows them to have, or tries first. Up to
# November 2026 `make demo` gave the first two their names for passwords.
KNOWN = {
    "demo": ("demo",),
    "admin": ("admin", "password"),
    "root": ("root",),
    "test": ("test",),
}


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse keys and values of ``CHATFLOW`` that there are none of."""
    return [
        checks.Error(mistake, hint=hint, id="chatflow.E002") for mistake, hint in conf.mistakes()
    ]


@register
def check_names_of_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn of names in the checkout's `.env` that are no settings, but nearly, or stand twice."""
    misspelt = getattr(settings, "MISSPELT_SETTINGS", dict)
    overruled = getattr(settings, "OVERRULED_SETTINGS", tuple)
    unknown: list[CheckMessage] = [
        checks.Warning(
            f"There is no setting {name} ({conf.place(name)}).",
            hint=f"Write {near}.",
            id="chatflow.W002",
        )
        for name, near in misspelt().items()
    ]
    return unknown + [
        checks.Warning(
            f"Line {line} sets {name} in vain: it stands once more ({place}).",
            hint="Put what is meant on one line, and delete the other one.",
            id="chatflow.W004",
        )
        for name, line, place in overruled()
    ]


@register(Tags.security, deploy=True)
def check_known_passwords(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse accounts whose passwords everybody knows."""
    try:
        names = list(known_passwords())
    except DatabaseError:
        # Not migrated yet, or away: then there is nobody to sign in.
        return []
    return [
        checks.Error(
            f"The account {name!r} has a password that everybody knows.",
            hint=f"Run manage.py changepassword {name}, or deactivate or delete the account.",
            id="chatflow.E001",
        )
        for name in names
    ]


def known_passwords() -> Iterator[str]:
    """Yield the names of the active accounts with a password of KNOWN, and of staff with their own.

    Raises:
        DatabaseError: the accounts can't be looked at.
    """
    for name in KNOWN:
        user = find_user(name)
        if user is not None and is_active(user) and is_known(user):
            yield name
    yield from _staff_named_as_their_passwords()


def is_known(user: Any) -> bool:
    """Return whether everybody knows the password of a user whose name is in KNOWN."""
    return any(map(user.check_password, KNOWN.get(user.get_username(), ())))


def _staff_named_as_their_passwords() -> Iterator[str]:
    if has_field("is_staff") and has_field("is_active"):
        staff = get_user_model()._default_manager.filter(is_staff=True, is_active=True)
        # Each costs a third of a second.
        for user in staff.order_by("pk")[:20]:
            name = user.get_username()
            if name not in KNOWN and user.check_password(name):
                yield name


@register(Tags.security, deploy=True)
def check_database_file(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn of a SQLite file that others of this host can read; new ones are made private."""
    if connection.vendor != "sqlite":
        return []
    path = Path(connection.settings_dict["NAME"])
    try:
        mode = path.stat().st_mode
    except OSError:
        return []
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [
        checks.Warning(
            f"Others can read the database: {path} has mode {stat.S_IMODE(mode):o}.",
            hint=f"Run chmod 600 {path}*",
            id="chatflow.W001",
        )
    ]
