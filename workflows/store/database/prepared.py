"""What every job and stream asks: PostgreSQL parses and plans each once for a connection.

They are long for what little they do, and a job's table has many columns and indexes: to plan one
costs five to ten times what it costs to do it. But a plan that was made of an empty queue would
read all of a full one. So while these are planned and done, reading a table from end to end, or
collecting all rows that an index knows, is out of the question: whatever the statistics say, each
walks the indexes that workflows/models.py keeps for it. The first five times PostgreSQL plans a
statement for its parameters all the same, and finds out that this makes no difference.

What such a plan is estimated to cost has little to do with what it does: in a large table the
estimate for a claim is high enough for PostgreSQL to compile it, for half a second, each time.
"""

import functools
import re
from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connection
from psycopg import ClientCursor
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus

from workflows.store.database.base import Row

OFF = ("enable_seqscan", "enable_bitmapscan", "jit")
SET = [f"SET LOCAL {name} = off" for name in OFF]
RESET = [f"SET LOCAL {name} TO DEFAULT" for name in OFF]

# What PostgreSQL calls a prepared statement that gives other columns than before, or isn't there.
STALE = ("0A000", "26000")

_numbers = count(1)
# The names of what each connection has prepared.
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
        first: what to do before, and in any case.
    """
    if not _in_transaction():
        connection.ensure_connection()
        statement, own = _statement(sql), connection.connection
        if statement.name in _prepared.get(own, ()):
            # 1 and True are equal, and not the same in SQL.
            typed = tuple((name, type(value), value) for name, value in params.items())
            with connection.wrap_database_errors:
                result = own.pgconn.exec_(_message(statement, first, typed))
            if result.status == ExecStatus.TUPLES_OK:
                if not result.ntuples:
                    return None
                transformer = Transformer(own)
                transformer.set_pgresult(result)
                return transformer.load_row(0, tuple)
    # Here it is prepared; or it has failed, and this says how, or mends it.
    if first is not None:
        with connection.cursor() as cursor:
            cursor.execute(first)
    return fetch(sql, params)


@functools.lru_cache(maxsize=100)
def _message(
    statement: Statement, first: str | None, params: tuple[tuple[str, type, Any], ...]
) -> bytes:
    text = "; ".join([*filter(None, [first]), *SET, statement.execute])
    values = {name: value for name, _, value in params}
    return ClientCursor(connection.connection).mogrify(text, values).encode()


def _in_transaction() -> bool:
    return connection.in_atomic_block or not connection.get_autocommit()


def fetch_all(sql: str, params: dict[str, Any], *, then: str | None = None) -> list[Row]:
    """Return the rows of a statement.

    It is a transaction of its own, as the statements of one message are, and one message with what
    follows it. Where the caller has a transaction both join that, and leave it usable when they
    fail.

    Args:
        sql: always the same text, or one of a few.
        params: whose names stand in it as ``%(name)s``.
        then: what to do when it is committed.
    """
    with connection.cursor() as cursor:
        statement = _statement(sql)
        _prepare(statement, cursor)
        try:
            return _execute(statement, params, then, cursor)
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) not in STALE:
                raise
            # Nothing was done. A migration has changed a column, or somebody discarded all.
            _forget(statement, cursor)
            _prepare(statement, cursor)
            return _execute(statement, params, then, cursor)


def _execute(
    statement: Statement, params: dict[str, Any], then: str | None, cursor: Any
) -> list[Row]:
    before, after, undo = [*SET], [], ""
    if _in_transaction():
        before, after = ["SAVEPOINT chatflow", *SET], [*RESET, "RELEASE SAVEPOINT chatflow"]
        undo = "ROLLBACK TO SAVEPOINT chatflow; RELEASE SAVEPOINT chatflow"
    elif then is not None:
        before, after, undo = ["BEGIN", *SET], ["COMMIT"], "ROLLBACK"
    message = [*before, statement.execute, *after, *filter(None, [then])]
    try:
        cursor.execute("; ".join(message), params)
    except DatabaseError:
        # Neither where the connection is gone, nor where nothing was sent.
        if undo and cursor.connection.info.transaction_status.name == "INERROR":
            cursor.execute(undo)
        raise
    # Django's wrapper costs more than what it would wrap here.
    answers = cursor.cursor
    for _ in before:
        answers.nextset()
    return cast(list[Row], answers.fetchall())


@functools.cache
def _statement(sql: str) -> Statement:
    names: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", numbered, sql).replace("%%", "%")
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
