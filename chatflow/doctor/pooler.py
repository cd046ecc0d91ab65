"""A pooler in front of PostgreSQL: it must leave each client its connection."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

from chatflow.doctor.findings import Finding, Visit, ok, problem
from chatflow.workflows.db import connection

# Others that hold connections, one of which a pooler would have taken from the one looked at.
OTHERS = 3


def look(visit: Visit) -> Iterator[Finding]:
    """See whether a connection stays with one server process while others work."""
    if connection.vendor != "postgresql":
        return
    if is_shared(connection):
        yield problem(
            "A pooler, such as PgBouncer in transaction mode, gives this connection to others too.",
            "With it LISTEN is lost: jobs and streams wait for the next look, up to a second."
            " Prepared statements and session settings are others', so that statements fail.",
            "pool_mode = session, for this database in pgbouncer.ini; or DATABASE_URL to"
            " PostgreSQL's own port",
        )
    else:
        yield ok("Connections keep their server processes and what was set for them.")


def is_shared(own: BaseDatabaseWrapper) -> bool:
    """Say whether the server process, or what was set in it, changes between two transactions.

    A pooler gives the connection that was let go of last to whoever comes next: the others, which
    keep theirs by a transaction.
    """
    with own.cursor() as cursor:
        cursor.execute("SELECT set_config('chatflow.doctor', 'here', false)")
        cursor.execute("SELECT pg_backend_pid()")
        before = cursor.fetchone()
    with ExitStack() as stack:
        for _ in range(OTHERS):
            stack.enter_context(_holding(own))
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), current_setting('chatflow.doctor', true)")
            pid, said = cursor.fetchone()
    return bool((pid,) != before or said != "here")


@contextmanager
def _holding(own: BaseDatabaseWrapper) -> Iterator[None]:
    other = own.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1")
        yield
    finally:
        other.close()
