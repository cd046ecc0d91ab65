"""The statements that every job asks: PostgreSQL parses them once for each connection.

They are long for what little they do. They are planned anew each time all the same: a plan that was
made for an empty queue reads all of a full one.
"""

from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper


def prepare_statements(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Let a new connection prepare what fetch() asks; a receiver of ``connection_created``."""
    if connection.vendor == "postgresql":
        # Django's own cursors bind on the client's side and prepare nothing, whatever this says.
        connection.connection.prepare_threshold = 0
        with connection.cursor() as cursor:
            cursor.execute("SET plan_cache_mode = force_custom_plan")


def fetch(sql: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first row of a statement, by column; None if there is none. PostgreSQL only.

    Args:
        sql: always the same text, or one of a few.
        params: whose names stand in it as ``%(name)s``.
    """
    from django.db.backends.postgresql.base import ServerBindingCursor

    connection.ensure_connection()
    binding: Any = ServerBindingCursor
    # Django's wrapper translates errors, and lets queries be counted and seen.
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrap(binding(connection.connection)) as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
        return row and dict(zip((column.name for column in cursor.description), row, strict=True))
