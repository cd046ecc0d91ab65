"""Whether the database is to blame, for whoever answers a client."""

from collections.abc import Callable
from typing import TypeVar

from chatflow.workflows.store import outage
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.outage import is_passing

T = TypeVar("T")


def is_unavailable(error: BaseException) -> bool:
    """Say whether a query failed for the state that the database is in: it may succeed soon.

    The database can't be reached, takes no writes or no connections, or others were in the way.
    """
    return is_passing(error)


def is_read_only(error: BaseException) -> bool:
    """Say whether a query failed because the database takes no writes just now."""
    return get_database().refuses_writes(error)


def takes_writes() -> bool:
    """Say whether the database can be written to; a standby after a failover only read."""
    return get_database().takes_writes()


def on_live_connection(query: Callable[[], T]) -> T:
    """Call *query*; once more if it finds that its connection has died since it was last used.

    Args:
        query: may be repeated, and is in no transaction.

    Raises:
        DatabaseError: it failed.
    """
    return outage.on_live_connection(query)


def leave_replaced() -> None:
    """Let this thread's next query find the database's file, if another one has taken its place."""
    get_database().leave_replaced()
