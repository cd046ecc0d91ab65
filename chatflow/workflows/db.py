"""The database in which Chatflow's tables are: what ``django.db`` has for the default one.

The project's routers say which it is. All of Chatflow's tables are in one: a job, its events and
its message are stored in one transaction.
"""

import asyncio
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.apps import apps
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionProxy
from django.utils.functional import cached_property

View = TypeVar("View", bound=Callable[..., Any])


@functools.cache
def alias() -> str:
    """Return the database's name in ``DATABASES``.

    Raises:
        AppRegistryNotReady: it is asked for while apps are still being loaded.
    """
    return router.db_for_write(apps.get_model("chatflow_workflows", "Job"))


def migrating() -> str:
    """Return the command that makes our tables."""
    named = "" if alias() == DEFAULT_DB_ALIAS else f" --database={alias()}"
    return f"manage.py migrate{named}"


class _Connection(ConnectionProxy):  # type: ignore[type-arg]
    """Django's own proxy, whose alias isn't known yet when modules import it."""

    def __init__(self) -> None:
        self.__dict__["_connections"] = connections

    @cached_property
    def _alias(self) -> str:
        return alias()


# This thread's connection.
connection = cast(BaseDatabaseWrapper, _Connection())


def in_atomic_block() -> bool:
    """Return whether this thread has a transaction open. A coroutine has none, nor a connection."""
    # An event loop would look one up for each word of each of its runs.
    return asyncio._get_running_loop() is None and connection.in_atomic_block


def atomic(using: str = "") -> transaction.Atomic:
    """Return a context in which all is committed together; within another one, a savepoint.

    Args:
        using: another database, which a command was told.
    """
    return transaction.Atomic(using or alias(), savepoint=True, durable=False)


def on_commit(function: Callable[[], object], *, robust: bool = False) -> None:
    """Call *function* once the present transaction is committed, or now where there is none.

    Args:
        function: whose result is not looked at.
        robust: log what it raises, and go on.
    """
    transaction.on_commit(function, using=alias(), robust=robust)


def set_rollback(rollback: bool) -> None:
    """Say whether the present transaction, or savepoint, is rolled back where it ends."""
    transaction.set_rollback(rollback, using=alias())


def non_atomic_requests(view: View) -> View:
    """Mark a view so that no ATOMIC_REQUESTS, of whichever database, spans it."""
    for each in connections:
        view = transaction.non_atomic_requests(each)(view)
    return view


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DATABASE_ROUTERS":
        alias.cache_clear()
        vars(connection).pop("_alias", None)


# Only tests change settings.
setting_changed.connect(_forget)
