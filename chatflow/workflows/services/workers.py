"""Who works at this moment, and on what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chatflow.workflows import clock
from chatflow.workflows.models import Cluster, Job, JobQuerySet, TaskRun, TaskStatus

# Jobs and tasks that are read at most; those that have run for longest are among them.
MOST = 1000
SHOWN = ("pk", "public_id", "workflow", "queue", "worker", "host", "pid", "claimed_at", "ran_for")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something that runs.

    Args:
        name: the workflow's, or the path of the task's function.
        public_id: the job's, or the task's.
        pk: the job's primary key; None of a task.
        seconds: for how long this attempt has run.
    """

    name: str
    public_id: str
    pk: int | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process that works.

    Args:
        host: its machine's name.
        pid: its number there; None where that isn't known any more.
        is_async: it runs many coroutines.
        memory: bytes in memory; None where nobody can tell.
        work: what it runs, the longest first.
    """

    host: str
    pid: int | None
    is_async: bool = False
    memory: int | None = None
    work: list[Work] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Crew:
    """A cluster that lives, with its workers; or all other processes that work.

    Args:
        host: its machine's name; empty for the other processes.
        pid: of the cluster's parent process.
        queues: those that it serves; empty for all, None where it doesn't say.
        started_at: when it started.
        processes: its workers.
    """

    host: str = ""
    pid: int | None = None
    queues: list[str] | None = None
    started_at: datetime | None = None
    processes: list[Process] = field(default_factory=list)


def crews(clusters: Sequence[Cluster]) -> list[Crew]:
    """Return all who work: the clusters, and then web processes with sync jobs.

    Args:
        clusters: those that live.
    """
    at_work: dict[str, list[Work]] = {}
    places: dict[str, tuple[str, int | None]] = {}
    for worker, place, work in _running():
        at_work.setdefault(worker, []).append(work)
        places.setdefault(worker, place)
    found = [_make_crew(cluster, at_work) for cluster in clusters]
    others = [
        Process(host=places[worker][0], pid=places[worker][1], work=work)
        for worker, work in at_work.items()
    ]
    return [*found, Crew(processes=others)] if others else found


def _make_crew(cluster: Cluster, at_work: dict[str, list[Work]]) -> Crew:
    """Return a cluster's workers, and take out of *at_work* what they run."""
    processes = [
        Process(
            host=cluster.host,
            pid=each["pid"],
            is_async=each["is_async"],
            memory=each["memory"],
            work=at_work.pop(each["worker"], []),
        )
        for each in cluster.processes or ()
    ]
    return Crew(
        host=cluster.host,
        pid=cluster.pid,
        queues=cluster.queues,
        started_at=cluster.started_at,
        processes=processes,
    )


def running() -> JobQuerySet:
    """The jobs that run, those first that have run for longest."""
    # Repeated as a literal, so that SQLite sees that it can use a partial index.
    found: JobQuerySet = Job.objects.filter(state="processing").extra(  # type: ignore[assignment]
        where=["workflows_job.state = 'processing'"]
    )
    return found.order_by("claimed_at")


def _running() -> Iterable[tuple[str, tuple[str, int | None], Work]]:
    now = clock.now()
    for job in running().only(*SHOWN)[:MOST]:
        work = Work(
            name=job.workflow,
            public_id=job.public_id,
            pk=job.pk,
            seconds=_seconds(job.claimed_at, now),
        )
        yield job.worker, (job.host, job.pid), work
    tasks = TaskRun.objects.filter(status=TaskStatus.RUNNING).extra(
        where=["workflows_taskrun.status = 'RUNNING'"]
    )
    told: Any = tasks.order_by("last_attempted_at").values_list(
        "worker", "path", "public_id", "last_attempted_at"
    )
    for worker, path, public_id, since in told[:MOST]:
        work = Work(name=path, public_id=public_id, pk=None, seconds=_seconds(since, now))
        yield worker, ("", None), work


def _seconds(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0
