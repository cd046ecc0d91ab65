"""Small writes of the edge that need not outlive a crash of the database's server."""

from typing import Any

from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.database.base import Row


def fetch_unsynced(sql: str, params: dict[str, Any]) -> Row | None:
    """Run a statement that writes, without waiting until it is safe on disk.

    Args:
        sql: the statement; it returns a row at most.
        params: its parameters, which it names as ``%(name)s``.

    Returns:
        The row, if any.
    """
    return get_database().fetch_unsynced(sql, params)
