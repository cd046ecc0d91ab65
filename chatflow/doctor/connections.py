"""The database's connections: whether there are enough for the processes of this host."""

from collections.abc import Iterator

from chatflow.conf import conf
from chatflow.doctor.findings import Finding, Visit, ok, problem
from chatflow.workflows.db import connection
from chatflow.workflows.services import queues

# Beside those of its threads and its workers; docs/deploy.md has the sum.
OF_WEB, OF_WORKER, OF_LOOP, OF_CLUSTER = 5, 3, 5, 1
AVAILABLE = """
    SELECT current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int,
           (SELECT count(*) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND datname IS DISTINCT FROM current_database()),
           (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)
"""


def look(visit: Visit) -> Iterator[Finding]:
    """Compare what a web process and the clusters may open with what PostgreSQL gives."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(AVAILABLE)
        most, others, of_role = cursor.fetchone()
    needed, clusters = need(), max(1, queues.clusters().count())
    free = most - others if of_role < 0 else min(most - others, of_role)
    said = f"One web process and {clusters} of clusters may open {needed} connections"
    if needed > free:
        yield problem(
            f"{said}, and PostgreSQL has {free} for them.",
            "When they are used up, messages are answered with 503.",
            f"ALTER SYSTEM SET max_connections = {most + needed - free + 20}, and restart it;"
            " or lower WEB_THREADS, QUEUE_WORKERS or QUEUE_LOOPS",
        )
    else:
        yield ok(f"{said}; PostgreSQL has {free}. Each further web process takes {of_web()}.")


def of_web() -> int:
    return conf.WEB_THREADS + OF_WEB


def need() -> int:
    """Return how many connections one web process and the clusters may open."""
    clusters = max(1, queues.clusters().count())
    workers = conf.QUEUE_WORKERS * OF_WORKER + conf.QUEUE_LOOPS * OF_LOOP
    return of_web() + clusters * (workers + OF_CLUSTER)
