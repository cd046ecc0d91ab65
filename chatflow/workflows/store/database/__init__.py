"""The database: the operations that the engine needs, and how each kind of database does them."""

import functools

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

from chatflow.workflows import clock
from chatflow.workflows.db import connection
from chatflow.workflows.store.database.base import Database, Fault, JointWrite, Row, Write

__all__ = ["Database", "Fault", "JointWrite", "Row", "Write", "get_database", "read_clock"]

# By Django's name of the kind.
DATABASES = {
    "postgresql": "chatflow.workflows.store.database.postgres.Postgres",
    "sqlite": "chatflow.workflows.store.database.sqlite.SQLite",
}


def get_database() -> Database:
    """Return the configured database.

    Raises:
        ImproperlyConfigured: it is of a kind that Chatflow doesn't run on.
    """
    return _make(connection.vendor)


@functools.cache
def _make(vendor: str) -> Database:
    if vendor not in DATABASES:
        raise ImproperlyConfigured(f"Chatflow runs on PostgreSQL and SQLite, not on {vendor}.")
    database: Database = import_string(DATABASES[vendor])()
    return database


def read_clock(connection: BaseDatabaseWrapper) -> None:
    """Give the engine's clock the time by the database's; on PostgreSQL by a query."""
    sent = clock.ticks()
    moment = get_database().read_clock(connection)
    if moment is not None:
        clock.keep(moment, sent)
