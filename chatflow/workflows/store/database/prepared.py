"""The statements of every job and stream: a connection parses and plans each of them once.

They are long for the little work that they do, and a job's table has many columns and indexes:
planning one takes PostgreSQL five to ten times as long as running it. But a plan made for an empty
queue would read all of a full one. So sequential and bitmap scans are off while these are planned
and run: whatever the statistics are, each walks the indexes that the models keep for it.
The first five times PostgreSQL plans a statement for its parameters all the same, and finds that
this makes no difference.

Compilation is off as well: the estimated cost of such a plan has little to do with its work, and
in a large table a claim's is so high that PostgreSQL compiles it, for half a second, each time.
"""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.db import DatabaseError
from psycopg import ClientCursor
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.pq import ExecStatus
from psycopg.types.datetime import TimestamptzLoader

from chatflow.workflows.db import connection
from chatflow.workflows.store.database.base import Row

OFF = ("enable_seqscan", "enable_bitmapscan", "jit")
SET = [f"SET LOCAL {name} = off" for name in OFF]
RESET = [f"SET LOCAL {name} TO DEFAULT" for name in OFF]

# SQLSTATEs of a prepared statement whose columns have changed, or that isn't there.
STALE = ("0A000", "26000")

_numbers = count(1)
# The names of the statements that each connection has prepared.
_prepared: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Statement:
    """A statement under the name by which connections know it."""

    name: str
    prepare: str
    execute: str


def fetch(sql: str, params: dict[str, Any], *, then: str | None = None) -> Row | None:
    """Return the first row of a statement; None if there is none. See fetch_all()."""
    rows = fetch_all(sql, params, then=then)
    return rows[0] if rows else None


def fetch_again(sql: str, params: dict[str, Any], *, first: str | None = None) -> Row | None:
    """Do what fetch() does, with parameters that are always the same or one of a few.

    The message is made once, and goes around the cursors of Django and psycopg: after some idle
    milliseconds their code is out of the processor's caches, and costs as much as the statement.
    So Django's log of queries doesn't show it.

    Args:
        sql: as in fetch(); params likewise.
        first: SQL to run before, and in any case.
    """
    if not in_transaction():
        connection.ensure_connection()
        statement, own = _statement(sql), connection.connection
        if statement.name in _prepared.get(own, ()):
            # 1 and True are equal in Python, but not the same in SQL.
            typed = tuple((name, type(value), value) for name, value in params.items())
            with connection.wrap_database_errors:
                result = own.pgconn.exec_(_message(statement, first, typed))
            if result.status == ExecStatus.TUPLES_OK:
                if not result.ntuples:
                    return None
                transformer = Transformer(_loaders())
                transformer.set_pgresult(result)
                return transformer.load_row(0, tuple)
    # It isn't prepared yet, or it has failed: then this mends it, or raises its error.
    if first is not None:
        with connection.cursor() as cursor:
            cursor.execute(first)
    return fetch(sql, params)


@functools.cache
def _loaders() -> AdaptersMap:
    """Return what reads values as Django does, but moments as psycopg does, which is compiled.

    Django's way took longer for a job's six than for its other columns together. Whatever the time
    zone of the connection is, they come in UTC.
    """
    loaders = AdaptersMap(connection.connection.adapters)
    loaders.register_loader("timestamptz", TimestamptzLoader)
    return loaders


@functools.lru_cache(maxsize=100)
def _message(
    statement: Statement, first: str | None, params: tuple[tuple[str, type, Any], ...]
) -> bytes:
    text = "; ".join([*filter(None, [first]), *SET, statement.execute])
    with connection.wrap_database_errors:
        cursor = ClientCursor(connection.connection)
        return cursor.mogrify(text, {name: value for name, _, value in params}).encode()


@contextmanager
def cursor_for_messages() -> Iterator[Any]:
    """Return Django's cursor for messages of several statements.

    Such a message can't bring its parameters along: psycopg has to write them into it, which it
    doesn't in a project that has them bound on the server (``server_side_binding``).
    """
    with connection.cursor() as cursor:
        if not isinstance(cursor.cursor, ClientCursor):
            cursor.cursor = ClientCursor(connection.connection)
        yield cursor


def in_transaction() -> bool:
    """Say whether the caller has a transaction, by Django's means or by hand."""
    return connection.in_atomic_block or not connection.get_autocommit()


def fetch_all(sql: str, params: dict[str, Any], *, then: str | None = None) -> list[Row]:
    """Return the rows of a statement.

    The statement is a transaction of its own, as the statements of one message are, and is sent in
    one message with *then*. Where the caller has a transaction both join that, and leave it usable
    when they fail.

    Args:
        sql: always the same text, or one of a few.
        params: its parameters, which it names as ``%(name)s``, and those of *then*.
        then: SQL to run once it is committed; always the same text as well, as psycopg remembers
            how to read what it has read.
    """
    with cursor_for_messages() as cursor:
        statement = _statement(sql)
        _prepare(statement, cursor)
        try:
            return _execute(statement, params, then, cursor)
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) not in STALE:
                raise
            # Nothing was done: a migration has changed a column, or somebody ran DISCARD ALL.
            _forget(statement, cursor)
            _prepare(statement, cursor)
            return _execute(statement, params, then, cursor)


def _execute(
    statement: Statement, params: dict[str, Any], then: str | None, cursor: Any
) -> list[Row]:
    behind = [then] if then is not None else []
    before, after, undo = [*SET], [], ""
    if in_transaction():
        before = ["SAVEPOINT chatflow", *SET]
        after = [*behind, *RESET, "RELEASE SAVEPOINT chatflow"]
        undo = "ROLLBACK TO SAVEPOINT chatflow; RELEASE SAVEPOINT chatflow"
    elif behind:
        before, after, undo = ["BEGIN", *SET], ["COMMIT", *behind], "ROLLBACK"
    try:
        cursor.execute("; ".join([*before, statement.execute, *after]), params)
    except DatabaseError:
        # There is nothing to undo where the connection is gone or nothing was sent.
        if undo and cursor.connection.info.transaction_status.name == "INERROR":
            cursor.execute(undo)
        raise
    # Django's wrapper costs more than the calls that it would wrap here.
    results = cursor.cursor
    for _ in before:
        results.nextset()
    return cast(list[Row], results.fetchall())


@functools.cache
def _statement(sql: str) -> Statement:
    names: list[str] = []

    def replace_name(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", replace_name, sql).replace("%%", "%")
    arguments = ", ".join(f"%({name})s" for name in names)
    name = f"chatflow_{next(_numbers)}"
    return Statement(
        name=name,
        prepare=f"PREPARE {name} AS {text}",
        execute=f"EXECUTE {name} ({arguments})" if names else f"EXECUTE {name}",
    )


def _prepare(statement: Statement, cursor: Any) -> None:
    known = _prepared.setdefault(connection.connection, set())
    if statement.name not in known:
        cursor.execute(statement.prepare)
        known.add(statement.name)


def _forget(statement: Statement, cursor: Any) -> None:
    _prepared[connection.connection].discard(statement.name)
    cursor.execute("SELECT 1 FROM pg_prepared_statements WHERE name = %s", [statement.name])
    if cursor.fetchone():
        cursor.execute(f"DEALLOCATE {statement.name}")
