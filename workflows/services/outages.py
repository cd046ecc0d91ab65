"""Whether the database is to blame, for whoever answers a client."""

from workflows.store.database import get_database
from workflows.store.outage import is_passing


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


def leave_replaced() -> None:
    """Let this thread's next query find the database's file, if another one has taken its place."""
    get_database().leave_replaced()
