"""Errors as the database raises them: what they are is told by the code of their cause."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import InternalError, OperationalError, connection

GONE = "server closed the connection unexpectedly"


def make_outage(text: str = GONE) -> OperationalError:
    """Return the error of a query that found the database away."""
    error = OperationalError(text)
    if connection.vendor == "postgresql":
        error.__cause__ = psycopg.OperationalError(text)
    else:
        error.__cause__ = make_sqlite_error(sqlite3.SQLITE_IOERR, text)
    return error


def make_locked(code: int) -> OperationalError:
    """Return the error with which SQLite refuses the whole file, by its result code."""
    error = OperationalError("refused")
    error.__cause__ = make_sqlite_error(code)
    return error


def make_sqlite_error(code: int, text: str = "refused") -> sqlite3.OperationalError:
    cause = sqlite3.OperationalError(text)
    cause.sqlite_errorcode = code
    return cause


def make_refusal(state: str) -> OperationalError | InternalError:
    """Return the error with which PostgreSQL refuses a statement, by its SQLSTATE."""
    cause = psycopg.errors.lookup(state)("refused")
    kind = InternalError if isinstance(cause, psycopg.InternalError) else OperationalError
    error = kind("refused")
    error.__cause__ = cause
    return error


@contextmanager
def refused_once(part: str) -> Iterator[list[str]]:
    """Have the first read with *part* in it wait for a lock for too long; give that query.

    A migration locks a table, say, and the server lets nobody wait for long.
    """
    refused: list[str] = []

    def execute(query: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if not refused and sql.startswith("SELECT") and part in sql:
            refused.append(sql)
            raise make_passing()
        return query(sql, *arguments)

    with connection.execute_wrapper(execute):
        yield refused


def make_passing() -> OperationalError | InternalError:
    if connection.vendor == "postgresql":
        return make_refusal("55P03")
    return make_locked(sqlite3.SQLITE_BUSY)
