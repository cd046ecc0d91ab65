"""A database that went away, told from one that refused a query."""

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection

# SQLSTATE classes and codes of PostgreSQL (its manual's appendix A): connection exceptions, the
# operator's intervention (shutdown, crash, terminated backend), too many connections.
OUTAGE_STATES = ("08", "57P", "53300")


def is_outage(error: BaseException) -> bool:
    """Say whether a query failed because the connection to the database broke.

    PostgreSQL gives a state with all that it refuses, a deadlock for example; a connection that
    broke has none. SQLite has no connection to break. What Django itself raises, such as for a
    protected row or a query in a spoiled transaction, has no error of the driver's as its cause.
    """
    if connection.vendor != "postgresql":
        return False
    if not isinstance(error, OperationalError | InterfaceError) or error.__cause__ is None:
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(OUTAGE_STATES)


def database_answers() -> bool:
    """Say whether the database can be reached; a broken connection is replaced by a new one."""
    try:
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True
