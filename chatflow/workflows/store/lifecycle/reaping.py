"""Reaping: jobs whose worker, web process or whole cluster is gone are taken from it.

Where a process's death was seen, its jobs are taken at once, and only its; else when their leases
have run out, if the vigil of whoever looks lets that count.
"""

import functools
import uuid
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import ParamSpec

from django.db import Error as DatabaseError
from django.db.models import QuerySet
from django.db.models.functions import Now

from chatflow.conf import conf
from chatflow.workflows.bells import get_bell
from chatflow.workflows.db import atomic, set_rollback
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.metrics.series import LEASE_LOSSES
from chatflow.workflows.models import ACTIVE, Cluster, Job, State, TaskRun, TaskStatus
from chatflow.workflows.store import task_runs
from chatflow.workflows.store.database import Fault, get_database
from chatflow.workflows.store.lifecycle.endings import WEB_PROCESS_LOST, WORKER_LOST, Outcome, end
from chatflow.workflows.store.lifecycle.leases import give_back
from chatflow.workflows.store.lifecycle.locks import lock_session
from chatflow.workflows.store.lifecycle.vigil import Vigil
from chatflow.workflows.store.lifecycle.workers import first_part

# A cluster that hasn't been seen for so long is taken for dead.
CLUSTER_SEEN = timedelta(seconds=15)
# Seconds to wait for a lock of somebody else's: who takes back lost jobs has others to take back.
PATIENCE = 0.5

P = ParamSpec("P")


def _left_to_others(take: Callable[P, bool]) -> Callable[P, bool]:
    """Let *take* return False for what somebody else took, or has locked for too long here.

    The others don't wait for that one. It is looked at again soon.
    """

    @functools.wraps(take)
    def try_to_take(*args: P.args, **kwargs: P.kwargs) -> bool:
        try:
            return take(*args, **kwargs)
        except Fenced:
            return False
        except DatabaseError as error:
            if get_database().fault(error) is not Fault.CONFLICT:
                raise
            return False

    return try_to_take


def any_lease_ran_out() -> bool:
    """Say whether any job's or task's lease ran out. Those who hold them may yet renew them."""
    jobs, tasks = _expired(*ACTIVE).values("pk"), task_runs.expired().values("pk")
    return jobs.union(tasks, all=True).exists()


def leases_ran_out(vigil: Vigil) -> bool:
    """Say whether there are leases that ran out, and whether that counts.

    One look for all who would take jobs away: mostly there is nothing to take.

    Args:
        vigil: of whoever looks.
    """
    return vigil.keep() and any_lease_ran_out()


def reap(vigil: Vigil) -> int:
    """Take back the jobs and the tasks whose leases ran out.

    Args:
        vigil: of whoever looks.

    Returns:
        The number of those that were taken back.
    """
    if not vigil.keep():
        return 0
    _adopt_waiting_inline_jobs()
    taken = sum(_take_back(job, vigil=vigil) for job in _expired(State.PROCESSING))
    return taken + sum(_take_back_tasks(task_runs.expired(), vigil=vigil))


def reap_worker(worker: str, *, count: bool = True, but: Collection[int] = ()) -> bool:
    """Take back the jobs and the task of a process that is dead, or doesn't know of them.

    Args:
        worker: its identity.
        count: whether the loss counts; not where the process was ended on purpose.
        but: the primary keys of the jobs that it runs.

    Returns:
        Whether it has none left. One whose row is still locked, as by an atomic step that the
        database is about to undo, is to be taken later.
    """
    jobs = Job.objects.filter(worker=worker).exclude(pk__in=but)
    return _take_back_all(jobs, TaskRun.objects.filter(worker=worker), lost=int(count))


def reap_cluster(cluster: uuid.UUID) -> bool:
    """Take back all that a cluster had that is dead with its workers. See reap_worker()."""
    first = first_part(cluster)
    jobs = Job.objects.filter(worker__startswith=first)
    return _take_back_all(jobs, TaskRun.objects.filter(worker__startswith=first))


def stuck_workers(workers: Collection[str], vigil: Vigil) -> set[str]:
    """Return those of the workers that hold a job or a task whose lease ran out.

    Args:
        workers: their identities.
        vigil: of whoever looks.
    """
    if not vigil.keep():
        return set()
    expired = _expired(State.PROCESSING).filter(worker__in=workers)
    with atomic():
        locked = expired.select_for_update(of=("self",), skip_locked=True)
        stuck = {job.worker for job in locked.only("worker")}
    tasks = task_runs.expired().filter(worker__in=workers)
    stuck.update(tasks.values_list("worker", flat=True))
    return stuck if stuck and vigil.keep() else set()


def reap_inline(vigil: Vigil) -> int:
    """Fail the sync jobs of lost web processes, unless a cluster lives that resumes them.

    Args:
        vigil: of whoever looks.

    Returns:
        The number of jobs that failed.
    """
    if not vigil.keep() or clusters_alive():
        return 0
    return sum(_fail_orphan(job, vigil) for job in _expired(*ACTIVE).filter(inline=True))


def clusters_alive() -> int:
    """Return the number of clusters that live."""
    return clusters().count()


def clusters() -> QuerySet[Cluster]:
    """Return the clusters that live: those that were seen lately."""
    return Cluster.objects.filter(seen_at__gt=Now() - CLUSTER_SEEN).order_by("started_at")


def _expired(*states: State) -> QuerySet[Job]:
    return Job.objects.filter(state__in=states, lease_until__lt=Now())


def _adopt_waiting_inline_jobs() -> None:
    """Hand to the clusters the jobs that waited for their turn in a web process that is gone."""
    for job in _expired(State.QUEUED).filter(inline=True):
        _adopt(job)


@_left_to_others
def _adopt(job: Job) -> bool:
    with atomic():
        orphan = _expired(State.QUEUED).filter(pk=job.pk, inline=True)
        adopted = orphan.update(inline=False, lease_until=None)
        if adopted:
            get_bell().ring(job.topic, job.pk)
    return bool(adopted)


def _fail_orphan(job: Job, vigil: Vigil) -> bool:
    failed = Outcome(State.FAILED, code="worker_lost", error=WEB_PROCESS_LOST)
    return _change_lost(job, lambda: end(job, failed), vigil)


def _take_back_all(jobs: QuerySet[Job], tasks: QuerySet[TaskRun], *, lost: int = 1) -> bool:
    taken = [_take_back(job, lost=lost) for job in jobs.filter(state=State.PROCESSING)]
    return all(taken + _take_back_tasks(tasks, lost=lost))


def _take_back(job: Job, *, lost: int = 1, vigil: Vigil | None = None) -> bool:
    """Take a job from its worker; not while the worker is in the middle of an atomic step.

    Args:
        job: as it was found.
        lost: 1 if the loss counts.
        vigil: as in _change_lost().
    """
    if not job.cancel_code and job.lost + lost >= conf.WORKFLOW_TRIES:
        failed = Outcome(State.FAILED, code="worker_lost", error=WORKER_LOST, lost=lost)
        return _count_loss(_change_lost(job, lambda: end(job, failed), vigil), lost, vigil)
    return _count_loss(_change_lost(job, lambda: give_back(job, lost=lost), vigil), lost, vigil)


def _count_loss(taken: bool, lost: int, vigil: Vigil | None) -> bool:
    if taken and lost:
        LEASE_LOSSES.add(1, "death" if vigil is None else "expiry")
    return taken


def _take_back_tasks(
    tasks: QuerySet[TaskRun], *, lost: int = 1, vigil: Vigil | None = None
) -> list[bool]:
    held = tasks.filter(status=TaskStatus.RUNNING).values_list("pk", flat=True)
    return [
        _count_loss(_take_back_task(tasks.filter(pk=pk), lost, vigil), lost, vigil) for pk in held
    ]


@_left_to_others
def _take_back_task(found: QuerySet[TaskRun], lost: int, vigil: Vigil | None) -> bool:
    """Take the one task that is to be found from its worker. See _take_back()."""
    with atomic():
        get_database().limit_lock_waits(PATIENCE)
        taken = task_runs.take_back(found, lost)
        # As in _change_lost().
        if vigil is None or vigil.keep():
            return bool(taken)
        set_rollback(True)
        return False


@_left_to_others
def _change_lost(job: Job, change: Callable[[], object], vigil: Vigil | None) -> bool:
    """Change a lost job, unless somebody else is about to.

    Args:
        job: as it was found.
        change: raises Fenced if it isn't as it was found any more.
        vigil: given where only a lease speaks for the death of whoever has the job.
    """
    found = Job.objects.filter(pk=job.pk)
    if vigil is not None:
        found = found.filter(lease_until__lt=Now())
    with atomic():
        get_database().limit_lock_waits(PATIENCE)
        lock_session(job)
        if not found.select_for_update(of=("self",), skip_locked=True).exists():
            return False
        change()
        # All locks are had by now, and may have taken long.
        if vigil is None or vigil.keep():
            return True
        set_rollback(True)
        return False
