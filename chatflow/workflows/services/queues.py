"""The operator's side of the queues: how full they are, and the list of failures."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count
from django.db.models.functions import Now

from chatflow.workflows import tasks
from chatflow.workflows.db import connection
from chatflow.workflows.exceptions import UnknownQueue
from chatflow.workflows.models import ACTIVE, TERMINAL, Job, JobQuerySet, State
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.running.runner import FAILED
from chatflow.workflows.store import lifecycle, pruning
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle import clusters as clusters  # For the edge.

# Literals, not parameters: else SQLite doesn't see that it can use the index of active jobs.
# Sync jobs are left out: their web process runs them, no cluster. But a job may wait for one of its
# session; of these only the next waits for a worker.
SIZES = """
    WITH active AS (
        SELECT queue, state, available_at, inline, row_number() OVER (
            PARTITION BY session_id ORDER BY CASE state WHEN 'processing' THEN 0 ELSE 1 END, id
        ) AS place
        FROM workflows_job WHERE state IN ('queued', 'processing')
    )
    SELECT queue,
           sum(CASE WHEN state = 'queued' AND available_at <= {now} THEN 1 ELSE 0 END),
           sum(CASE WHEN state = 'queued' AND available_at > {now} THEN 1 ELSE 0 END),
           sum(CASE WHEN state = 'processing' THEN 1 ELSE 0 END),
           max(CASE WHEN state = 'queued' AND available_at <= {now} AND place = 1 THEN {age} END)
    FROM active WHERE NOT inline GROUP BY queue ORDER BY queue
"""


# The same literals, and sync jobs too.
ACTIVE_JOBS = """
    SELECT state, count(*), {age}
    FROM workflows_job WHERE state IN ('queued', 'processing') GROUP BY state
"""


@dataclass(frozen=True, kw_only=True)
class QueueSize:
    """How full a queue is.

    Args:
        waiting: jobs that a worker may take, or that wait for an earlier one of their session.
        delayed: jobs that wait for their time.
        running: jobs that a worker holds.
        oldest_waiting: seconds that the oldest of those has waited that a worker may take, also
            for an earlier one of its session; 0 without any.
    """

    queue: str
    waiting: int = 0
    delayed: int = 0
    running: int = 0
    oldest_waiting: float = 0.0


def sizes() -> list[QueueSize]:
    """Return the size of each queue that a workflow uses or a job waits in."""
    database = get_database()
    with connection.cursor() as cursor:
        age = database.seconds_since("available_at")
        cursor.execute(SIZES.format(now=database.now(), age=age), [])
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


@dataclass(frozen=True, kw_only=True)
class ActiveJobs:
    """The jobs of one state, in all queues and in the web processes.

    Args:
        count: how many there are.
        oldest: seconds since the oldest of them was sent; 0 without any.
    """

    count: int = 0
    oldest: float = 0.0


def active_jobs() -> dict[State, ActiveJobs]:
    """Measure the queued and the processing jobs."""
    age = get_database().seconds_since("min(created_at)")
    with connection.cursor() as cursor:
        cursor.execute(ACTIVE_JOBS.format(age=age), [])
        found = {
            state: ActiveJobs(count=count, oldest=float(oldest))
            for state, count, oldest in cursor.fetchall()
        }
    return {state: found.get(state, ActiveJobs()) for state in ACTIVE}


def finished_jobs(within: timedelta) -> dict[State, int]:
    """Return how many jobs have ended lately, by how."""
    recent = Job.objects.filter(finished_at__gt=Now() - within)
    counts = dict(recent.values_list("state").annotate(Count("pk")).order_by())
    return {state: counts.get(state, 0) for state in TERMINAL}


def unknown(queues: Iterable[str]) -> list[str]:
    """Return those of *queues* that neither workflows nor tasks use, and no job waits in."""
    used = tasks.queues() | {workflow.queue for workflow in all_workflows()}
    unused = [queue for queue in queues if queue not in used]
    # The database is asked only where it matters: a cluster may be there before it.
    busy = {size.queue for size in sizes()} if unused else set()
    return [queue for queue in unused if queue not in busy]


def move(job: Job, queue: str) -> bool:
    """Let a waiting job wait in another queue; whoever serves that one hears of it.

    Args:
        job: one that stays where it is unless it waits for a worker.
        queue: the other one's name.

    Returns:
        Whether it was moved.

    Raises:
        UnknownQueue: nothing uses a queue of that name, so perhaps nobody serves it.
    """
    if unknown([queue]):
        raise UnknownQueue
    return lifecycle.move(job, queue)


def delete(jobs: Collection[int]) -> list[int]:
    """Delete jobs that have ended, as queue_prune does: the messages of their sessions stay.

    A conversation with a workflow is deleted as a whole, or not at all: not while one of its turns
    is under way, nor while its question is open.

    Args:
        jobs: primary keys; of a few jobs, for all are deleted at once.

    Returns:
        The keys of those that were deleted; all turns of a conversation among them.
    """
    return pruning.delete(jobs)


def unserved(queues: Collection[str]) -> dict[str, list[str]]:
    """Return what waits in none of *queues*, by its own queue: workflows by name, and "tasks"."""
    used = [(workflow.queue, workflow.name) for workflow in all_workflows()]
    left: dict[str, list[str]] = {}
    for queue, name in [*used, *((queue, "tasks") for queue in tasks.queues())]:
        if queue not in queues:
            left.setdefault(queue, []).append(name)
    return left


def failures() -> JobQuerySet:
    """The list of failures, the latest first."""
    # Repeated as a literal, so that SQLite sees that it can use the partial index of failures.
    listed: JobQuerySet = Job.objects.failures().extra(  # type: ignore[assignment]
        where=["workflows_job.state IN ('failed', 'timeout')"]
    )
    return listed.order_by("-finished_at")


def reason(job: Job) -> str:
    """Return the client's sentence, or the exception where that sentence explains nothing."""
    if job.error != FAILED or not job.traceback:
        return job.error
    return job.traceback.strip().splitlines()[-1]


def forget(jobs: JobQuerySet) -> int:
    """Take those of *jobs* that are failures off the list of failures; return how many."""
    return jobs.failures().update(forgotten=True)


def flush(hours: int = 0) -> int:
    """Forget the failures of more than *hours* hours ago; return how many."""
    return forget(Job.objects.filter(finished_at__lt=Now() - timedelta(hours=hours)))
