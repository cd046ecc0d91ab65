"""Patience with the database: it may be away, or undo a statement for another one's sake."""

import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import TypeVar

from django.db import Error as DatabaseError

from chatflow.workflows.db import connection
from chatflow.workflows.store.database import Fault, get_database

T = TypeVar("T")

# Tries of a statement that gets into the way of others, and the seconds before the second one. No
# try begins later than PATIENCE seconds after the first: each may have waited long for its lock.
TRIES = 4
PAUSE = 0.05
PATIENCE = 5.0


def is_outage(error: BaseException) -> bool:
    """Say whether a query failed because the database is away, not by its own fault."""
    return get_database().fault(error) is Fault.AWAY


def is_passing(error: BaseException) -> bool:
    """Say whether the same query may succeed before long: after an outage or a conflict."""
    return get_database().fault(error) is not Fault.REFUSAL


def despite_conflicts(query: Callable[[], T]) -> T:
    """Call *query*; a few times if it is undone for another transaction's sake.

    Args:
        query: a statement or a transaction. Inside of another transaction it is a savepoint.

    Raises:
        DatabaseError: it failed otherwise, or each time.
    """
    give_up_at = time.monotonic() + PATIENCE
    for number in count(1):
        try:
            return query()
        except DatabaseError as error:
            over = number == TRIES or time.monotonic() >= give_up_at
            if over or get_database().fault(error) is not Fault.CONFLICT:
                raise
        time.sleep(PAUSE * number)
    raise AssertionError("A query neither returned nor raised.")


def on_live_connection(query: Callable[[], T]) -> T:
    """Call *query*; once more if it finds that its connection has died since it was last used.

    The server, or something on the way to it, may close a connection that idles.

    Args:
        query: may be repeated, and is in no transaction.

    Raises:
        DatabaseError: it failed. The next query will open a new connection.
    """
    get_database().leave_replaced()
    idled = connection.connection
    try:
        return query()
    except DatabaseError as error:
        # Django has opened another one already where a transaction was left.
        died = (
            idled is not None
            and is_outage(error)
            and not (connection.connection is idled and connection.is_usable())
        )
        connection.close()
        if not died:
            raise
    try:
        return query()
    except DatabaseError:
        connection.close()
        raise


def database_answers() -> bool:
    """Say whether the database can be reached; a broken connection is replaced by a new one."""
    try:
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True


def database_stayed(error: BaseException, since: datetime) -> bool:
    """Say whether the database was there for everybody else while a query found it away.

    Not to be asked inside of a transaction: it is asked on a new connection.

    Args:
        error: the query's.
        since: a moment before the query.
    """
    connection.close()
    try:
        return get_database().stayed(error, since)
    except DatabaseError:
        connection.close()
        return False
