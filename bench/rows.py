"""Rows that the database makes by itself, one of each number: in any table, on both databases."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model

SLICE = 100_000
NUMBERS = {
    "postgresql": "SELECT number FROM generate_series(%s::bigint, %s::bigint) number",
    "sqlite": """
        WITH RECURSIVE numbers(number) AS (
            SELECT %s UNION ALL SELECT number + 1 FROM numbers WHERE number < %s
        ) SELECT number FROM numbers
    """,
}
AGO = {
    "postgresql": "now() - ({seconds}) * interval '1 second'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', -({seconds}) || ' seconds')",
}
DAY = {
    "postgresql": "(now() AT TIME ZONE 'UTC')::date - ({days})::integer",
    "sqlite": "date('now', -({days}) || ' days')",
}
# All but those that are unique, on which other things depend.
INDEXES = {
    "postgresql": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE tablename = %s AND indexdef NOT LIKE '%%UNIQUE%%'
    """,
    "sqlite": """
        SELECT name, sql FROM sqlite_master
        WHERE type = 'index' AND tbl_name = %s AND sql NOT LIKE '%%UNIQUE%%'
    """,
}
# Foreign keys are not checked: that takes half of the time.
HURRY = {
    "postgresql": (
        "SET session_replication_role = replica",
        "SET maintenance_work_mem = '512MB'",
    ),
    "sqlite": (
        "PRAGMA foreign_keys = OFF",
        "PRAGMA synchronous = OFF",
        "PRAGMA cache_size = -500000",
    ),
}


def ago(seconds: str) -> str:
    """Return SQL for the moment that was so many seconds ago."""
    return AGO[connection.vendor].format(seconds=seconds)


def day(days: str) -> str:
    """Return SQL for the day (UTC) that was so many days ago."""
    return DAY[connection.vendor].format(days=days)


def public_id(kind: str) -> str:
    """Return SQL for the public id of a row of that kind."""
    if connection.vendor == "postgresql":
        return f"'{kind}_' || md5('{kind} ' || number)"
    return f"'{kind}_' || lower(hex(randomblob(16)))"


def as_json(text: str) -> str:
    return f"({text})::jsonb" if connection.vendor == "postgresql" else f"({text})"


@contextmanager
def hurry() -> Iterator[None]:
    """Let this connection write without care, and leave the tables' statistics right."""
    with connection.cursor() as cursor:
        for statement in HURRY[connection.vendor]:
            cursor.execute(statement)
        yield
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM (ANALYZE)")
            cursor.execute("CHECKPOINT")
        else:
            cursor.execute("ANALYZE")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def make(new: Model, count: int, columns: dict[str, str]) -> None:
    """Make so many rows.

    Args:
        new: what they are like.
        count: how many; ``number`` counts them from 1.
        columns: those in which they differ, as SQL.
    """
    meta = new._meta
    values = _literals(new) | columns
    insert = (
        f"INSERT INTO {meta.db_table} ({', '.join(values)}) "
        f"SELECT {', '.join(values.values())} FROM ".replace("%", "%%")
        + f"({NUMBERS[connection.vendor]}) numbers"
    )
    with connection.cursor() as cursor, _without_indexes(cursor, meta.db_table):
        for first in range(1, count + 1, SLICE):
            cursor.execute(insert, [first, min(count, first + SLICE - 1)])
        if connection.vendor == "postgresql" and columns.get("id") == "number":
            sequence = f"pg_get_serial_sequence('{meta.db_table}', 'id')"
            cursor.execute(f"SELECT setval({sequence}, (SELECT max(id) FROM {meta.db_table}))")


def _literals(new: Model) -> dict[str, str]:
    """Return the columns of a row as a new one has them; those that are null are left out."""
    found = dict[str, str]()
    for field in new._meta.concrete_fields:
        assert field.column is not None
        value = field.get_db_prep_save(getattr(new, field.attname), connection)
        if isinstance(value, bool) and connection.vendor == "postgresql":
            found[field.column] = str(value).lower()
        elif isinstance(value, int | float):
            found[field.column] = str(value + 0)
        elif isinstance(value, str):
            found[field.column] = f"'{value}'"
        elif isinstance(told := getattr(value, "obj", None), list | dict):
            # PostgreSQL's adapter.
            found[field.column] = f"'{json.dumps(told)}'::jsonb"
        elif isinstance(value, datetime | UUID):
            found[field.column] = f"'{value}'"
    return found


@contextmanager
def _without_indexes(cursor: Any, table: str) -> Iterator[None]:
    """Drop what makes inserts slow, and make it anew at the end."""
    cursor.execute(INDEXES[connection.vendor], [table])
    found: Sequence[tuple[str, str]] = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    for _, definition in found:
        cursor.execute(definition)
