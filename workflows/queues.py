"""What an operator does with the queues: see how full they are, forget failures, prune."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from workflows.clock import sql_now, sql_seconds_since
from workflows.models import Cluster, DailyUsage, Job, JobQuerySet, Session
from workflows.registry import all_workflows

# Jobs that one transaction of prune() looks at. SQLite lets everybody else's writes wait for it.
BATCH = 10
# Between two of them the others have the database for so many times as long as the first one took,
# or for so many seconds. With less rest, live streams and sends are seen to slow down (make bench).
REST = 4
LONGEST_PAUSE = 1.0
# A cluster that was killed can't take its row away.
CLUSTER_KEPT = timedelta(days=1)

# Literals, not parameters: only so does SQLite see that the partial index of active jobs serves.
# Sync jobs are left out: their web process runs them, no cluster.
SIZES = """
    SELECT queue,
           sum(CASE WHEN state = 'queued' AND available_at <= {now} THEN 1 ELSE 0 END),
           sum(CASE WHEN state = 'queued' AND available_at > {now} THEN 1 ELSE 0 END),
           sum(CASE WHEN state = 'processing' THEN 1 ELSE 0 END),
           max(CASE WHEN state = 'queued' AND available_at <= {now} THEN {age} END)
    FROM workflows_job
    WHERE state IN ('queued', 'processing') AND NOT inline
    GROUP BY queue ORDER BY queue
"""


@dataclass(frozen=True, kw_only=True)
class QueueSize:
    """How full a queue is.

    Args:
        waiting: jobs that a worker may take, or that wait for an earlier one of their session.
        delayed: jobs that wait for their time.
        running: jobs that a worker holds.
        oldest_waiting: seconds that the oldest of the waiting jobs has waited; 0 without any.
    """

    queue: str
    waiting: int = 0
    delayed: int = 0
    running: int = 0
    oldest_waiting: float = 0.0


def sizes() -> list[QueueSize]:
    """Return how full each queue is that a workflow uses or a job waits in."""
    with connection.cursor() as cursor:
        age = sql_seconds_since("available_at")
        cursor.execute(SIZES.format(now=sql_now(), age=age), [])
        busy = {
            queue: QueueSize(
                queue=queue,
                waiting=waiting,
                delayed=delayed,
                running=running,
                oldest_waiting=round(max(0.0, float(oldest or 0)), 1),
            )
            for queue, waiting, delayed, running, oldest in cursor.fetchall()
        }
    idle = {workflow.queue: QueueSize(queue=workflow.queue) for workflow in all_workflows()}
    return [size for _, size in sorted((idle | busy).items())]


def unknown(queues: Iterable[str]) -> list[str]:
    """Return those of *queues* that neither a workflow uses nor a job waits in."""
    known = {size.queue for size in sizes()}
    return [queue for queue in queues if queue not in known]


def failures() -> JobQuerySet:
    """The list of failures, the latest first."""
    # Said once more as a literal, for SQLite to see that the partial index of failures serves.
    listed: JobQuerySet = Job.objects.failures().extra(  # type: ignore[assignment]
        where=["workflows_job.state IN ('failed', 'timeout')"]
    )
    return listed.order_by("-finished_at")


def forget(jobs: JobQuerySet) -> int:
    """Take those of *jobs* that are failures off the list of failures; return how many."""
    return jobs.failures().update(forgotten=True)


def flush(hours: int = 0) -> int:
    """Forget the failures of more than *hours* hours ago; return how many."""
    before = timezone.now() - timedelta(hours=hours)
    return forget(Job.objects.filter(finished_at__lt=before))


def prune(days: int) -> int:
    """Delete the jobs that ended more than *days* days ago, with their steps and events.

    A conversation with a workflow is deleted as a whole: not while one of its turns is newer or
    under way, nor while its question is open. The messages of the session stay. Live jobs are not
    waited for and don't wait, on SQLite for no longer than a batch takes.

    Returns:
        How many jobs were deleted.
    """
    before = timezone.now() - timedelta(days=days)
    pruned, last = 0, None
    while True:
        began = time.monotonic()
        with transaction.atomic():
            ended = _lock_ended(before, last)
            pruned += _delete(_without_live(ended, before))
        if len(ended) < BATCH:
            break
        last = ended[-1]
        time.sleep(min(LONGEST_PAUSE, REST * (time.monotonic() - began)))
    Cluster.objects.filter(seen_at__lt=timezone.now() - CLUSTER_KEPT).delete()
    DailyUsage.objects.filter(day__lt=before.date()).delete()
    return pruned


def _lock_ended(before: datetime, last: Job | None) -> list[Job]:
    """Return the next jobs that ended before a moment, the oldest first.

    They are locked, so that nobody can add a turn to what will be deleted; those that somebody else
    has locked are left for another day.
    """
    ended = Job.objects.filter(finished_at__lt=before)
    if last is not None:
        # What an earlier batch has kept isn't looked at again.
        ended = ended.filter(finished_at__gte=last.finished_at)
        ended = ended.exclude(finished_at=last.finished_at, pk__lte=last.pk)
    ended = ended.order_by("finished_at", "pk").only("finished_at", "root_id")[:BATCH]
    return list(ended.select_for_update(of=("self",), skip_locked=True))


def _without_live(ended: list[Job], before: datetime) -> list[int]:
    """Return the keys of those that began a conversation which as a whole ended before a moment."""
    # Not in SQL: SQLite would look for the absent root in that column's index, and read it all.
    roots = {job.pk: job.pk for job in ended if job.root_id is None}
    kept = set()
    turns = Job.objects.filter(root__in=list(roots)).values_list("pk", "root_id", "finished_at")
    for pk, root, finished_at in turns:
        roots[pk] = root
        if finished_at is None or finished_at >= before:
            kept.add(root)
    asked = Session.objects.filter(open_job__in=list(roots)).values_list("open_job", flat=True)
    kept.update(roots[pk] for pk in asked)
    return [pk for pk in set(roots.values()) if pk not in kept]


def _delete(roots: list[int]) -> int:
    """Delete conversations; return how many jobs they had."""
    _, deleted = Job.objects.filter(pk__in=roots).only("pk").delete()
    return deleted.get("workflows.Job", 0)
