"""The clusters: whether anybody works, and whether each queue has somebody."""

from collections.abc import Iterator

from chatflow.doctor.findings import Finding, Visit, note, ok, problem
from chatflow.workflows import services
from chatflow.workflows.services import queues

# Seconds that jobs wait in a queue which nobody seems to serve.
LONG = 60.0


def look(visit: Visit) -> Iterator[Finding]:
    """Count the clusters that live, and look at the queues."""
    if not services.is_anybody_working():
        yield problem(
            "No cluster lives.",
            "Messages are taken, and wait.",
            "systemctl start chatflow-cluster; or manage.py qcluster",
        )
    elif alive := list(queues.clusters()):
        workers = sum(cluster.workers for cluster in alive)
        hosts = ", ".join(sorted({cluster.host for cluster in alive}))
        yield ok(f"Clusters alive: {len(alive)}, with {workers} workers, on {hosts}.")
    for size in queues.sizes():
        if size.oldest_waiting < LONG:
            continue
        waits = f"{size.waiting} jobs wait in the queue {size.queue!r}, the oldest for"
        if size.running:
            yield note(
                f"{waits} {size.oldest_waiting:.0f} seconds.",
                "There are more of them than workers.",
                "Raise QUEUE_WORKERS, QUEUE_LOOPS or QUEUE_CONCURRENCY, or start a cluster on"
                " another host.",
            )
        else:
            yield problem(
                f"{waits} {size.oldest_waiting:.0f} seconds, and none is running.",
                "Most likely no cluster takes jobs from that queue.",
                f"manage.py qcluster --queue …,{size.queue}; or without --queue, for all of them",
            )
