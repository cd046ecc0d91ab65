"""Tenants: the organisations for which users act. Chatflow knows of each only its key, a text.

A row of a user's belongs to the two together: what they did for one organisation is not there when
they act for another, or for none, whose key is empty.
"""

from typing import Any

from django.db.models import CharField

LENGTH = 64


def tenant_field() -> "CharField[str, str]":
    """Return the column for the key of a row's tenant."""
    return CharField(max_length=LENGTH, blank=True, default="", db_default="")


def check_tenant(key: Any) -> str:
    """Return the key of a tenant as rows have it.

    Args:
        key: a text, or None for no organisation.

    Raises:
        ValueError: no row can have it.
    """
    if key is None:
        return ""
    if not isinstance(key, str) or len(key) > LENGTH or not key.isprintable():
        raise ValueError(
            f"The key of a tenant must be a text of at most {LENGTH} printable characters, "
            f"not {key!r}."
        )
    return key
