"""Claiming: the next job that may run becomes the claimer's, under a new attempt."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from django.db import IntegrityError

from chatflow.conf import conf
from chatflow.workflows.bells import Bell, get_bell
from chatflow.workflows.db import connection
from chatflow.workflows.metrics.series import JOB_WAITING
from chatflow.workflows.models import Event, Job
from chatflow.workflows.store import events
from chatflow.workflows.store.database import Row, Write, get_database
from chatflow.workflows.store.lifecycle.workers import Worker
from chatflow.workflows.store.rows import columns, from_row

# The attempt's first event belongs to the claim.
TAKE = """
    UPDATE workflows_job
    SET state = 'processing', attempt = attempt + 1, lease_until = {lease},
        worker = %(worker)s, host = %(host)s, pid = %(pid)s, claimed_at = {now},
        started_at = coalesce(started_at, {now}), last_seq = last_seq + 1, updated_at = {now},
        progress_message = CASE WHEN attempt = 0 THEN 'Starting...' ELSE 'Resuming...' END
"""
# A session's jobs run one at a time and in order: a job that runs, or waits in front, bars the way.
# PostgreSQL's statistics are mostly of an empty queue. After a burst it would go by them, compare
# every waiting job with every other one, and sort them all, for each claim. OFFSET keeps it from
# joining, IS TRUE from searching an index for available_at. SQLite, from 3.46.1 on, fails with an
# "internal query planner error" where it looks for an index for each side of that OR: so IS TRUE.
FREE = """
    (available_at <= {now}) IS TRUE
    AND NOT EXISTS (
        SELECT 1 FROM workflows_job other
        WHERE other.session_id = workflows_job.session_id
          AND other.state IN ('queued', 'processing')
          AND (other.state = 'processing' OR other.id < workflows_job.id) IS TRUE
        LIMIT 1 OFFSET 0
    )
"""
# Where jobs wait: the conditions of job_next_in_queue and of job_next_of_all. PostgreSQL has no
# statistics for either, and neither implies the other: so it walks that index, to the first job
# that is free. The cast is for statements that store the same parameter in a column.
QUEUED = "CASE WHEN state = 'queued' THEN {true} ELSE {false} END"
QUEUED_ANYWHERE = "CASE WHEN NOT state = 'queued' THEN {false} ELSE {true} END"
WAITING = "{queued} AND {not_inline}"
IN_QUEUE = WAITING + " AND is_async = %(is_async)s AND queue = CAST(%(queue)s AS varchar)"
ANYWHERE = "{queued_anywhere} AND {not_inline} AND is_async = %(is_async)s"
NEXT = """
    id = (
        SELECT id FROM workflows_job WHERE {line} AND {free}
        ORDER BY priority DESC, turn, id LIMIT 1{skip_locked}
    )
"""
NEXT_OF_ALL = NEXT.replace("{line}", ANYWHERE)
NEXT_IN_QUEUE = NEXT.replace("{line}", IN_QUEUE)
THIS_ONE = "id = %(job)s AND state = 'queued' AND inline AND {free}"
# How PostgreSQL and SQLite name the constraint that two running jobs of a session break.
ONE_RUNNING = ("job_one_running_per_session", "workflows_job.session_id")
NEXT_DUE = """
    SELECT -({since}) FROM workflows_job
    WHERE state = 'queued' AND available_at > created_at AND available_at > {now}
      AND NOT inline AND is_async = %(is_async)s
"""


def claim(
    queues: Sequence[str], worker: Worker, *, is_async: bool, first: str | None = None
) -> Job | None:
    """Take the next job that may run: the first queue that has one, best priority, first turn.

    Args:
        queues: names of queues, the most urgent first; none for all queues alike.
        worker: the process that will run it; when it dies, the job is taken from it.
        is_async: the kind of jobs that it takes.
        first: SQL to run before; only an Ear.unlisten().

    Returns:
        The job, now processing under a new attempt, or None if there is none.
    """
    write = partial(get_database().write_again, first=first)
    for queue in queues or (None,):
        where = NEXT_IN_QUEUE if queue else NEXT_OF_ALL
        job = _take(where, write, worker, queue=queue, is_async=is_async)
        if job is not None:
            return job
    return None


def claim_inline(job: Job, worker: Worker) -> Job | None:
    """Take this one job, which a web process runs itself, if it is its turn. See claim()."""
    return _take(THIS_ONE, get_database().write, worker, job=job.pk)


def _take(
    where: str,
    write: Callable[[Write, dict[str, Any]], Row | None],
    worker: Worker,
    **params: Any,
) -> Job | None:
    params |= {"worker": worker.id, "host": worker.host, "pid": worker.pid}
    params |= {"type": Event.Type.STARTED, "data": "{}"}
    bell = get_bell()
    try:
        row = write(_make_claim(where, conf.WORKFLOW_LEASE_SECONDS, bell), params)
    except IntegrityError as error:
        if not any(name in str(error) for name in ONE_RUNNING):
            raise
        # Somebody else began a job of the same session at this very moment.
        return None
    if row is None:
        return None
    job = from_row(Job, iter(row))
    if bell.expression("events", "") is None:
        bell.ring("events", job.pk)
    if job.attempt == 1 and job.claimed_at is not None:
        JOB_WAITING.observe((job.claimed_at - job.created_at).total_seconds(), job.queue)
    return job


def conditions() -> dict[str, str]:
    """Return the conditions of the indexes of waiting jobs, by their names in the SQL above."""
    database = get_database()
    words = {"true": database.true, "false": database.false}
    return {
        "queued": database.indexed(QUEUED.format(**words), True),
        "queued_anywhere": database.indexed(QUEUED_ANYWHERE.format(**words), True),
        "not_inline": database.indexed("inline", False),
    }


@cache
def _make_claim(where: str, lease: float, bell: Bell) -> Write:
    """Return the claim. The ring is part of it: the job to ring for isn't known before."""
    database = get_database()
    words = {
        "now": database.now(),
        "lease": database.now(lease),
        **conditions(),
        "skip_locked": database.skip_locked,
    }
    ring = bell.expression("events", "job.id")
    return Write(
        TAKE.format(**words),
        where.format(free=FREE.format(**words), **words),
        (events.event(database.json("data")),),
        select=", ".join(filter(None, [columns(Job, "job"), ring])),
    )


def seconds_to_next(queues: Sequence[str], *, is_async: bool) -> float | None:
    """Return how many seconds from now the next delayed job becomes available; None without one.

    Args:
        queues: names of queues; none for all.
        is_async: the kind of jobs.
    """
    database = get_database()
    query = NEXT_DUE.format(since=database.seconds_since("min(available_at)"), now=database.now())
    names = {f"queue{number}": queue for number, queue in enumerate(queues)}
    if names:
        query += f" AND queue IN ({', '.join(f'%({name})s' for name in names)})"
    with connection.cursor() as cursor:
        cursor.execute(query, {"is_async": is_async, **names})
        row = cursor.fetchone()
    return None if row is None or row[0] is None else max(0.0, float(row[0]))
