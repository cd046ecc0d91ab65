"""A database that went away, told from one that refused a query."""

from django.db import Error as DatabaseError
from django.db import connection

from workflows.store.database import Fault, get_database


def is_outage(error: BaseException) -> bool:
    """Say whether a query failed because the database is away, and not for what it asked."""
    return get_database().fault(error) is Fault.AWAY


def database_answers() -> bool:
    """Say whether the database can be reached; a broken connection is replaced by a new one."""
    try:
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True
