"""Reaping: jobs whose worker, web process or whole cluster is gone are taken from it."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from workflows.bells import get_bell
from workflows.exceptions import Fenced
from workflows.models import ACTIVE, Cluster, Job, State
from workflows.store.database import Fault, get_database
from workflows.store.lifecycle.endings import WEB_PROCESS_LOST, WORKER_LOST, Outcome, end
from workflows.store.lifecycle.leases import give_back
from workflows.store.lifecycle.locks import lock_session

# A cluster that hasn't been seen for so long is taken for dead.
CLUSTER_SEEN = timedelta(seconds=15)


P = ParamSpec("P")


def _left_to_others(take: Callable[P, bool]) -> Callable[P, bool]:
    """Let *take* return False for a job that somebody else took, or has locked for too long here.

    The other jobs don't wait for that one. It is looked at again soon.
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


def reap(*, host: str = "", pid: int | None = None, count: bool = True) -> int:
    """Take back the jobs whose worker is lost: leases that ran out, or all of one dead process.

    Args:
        host: with *pid*: the machine of the dead process.
        pid: the dead process; without it, all jobs are taken whose lease ran out.
        count: whether the loss counts; not where the process was ended on purpose.

    Returns:
        The number of jobs that were taken back.
    """
    lost = Job.objects.filter(state=State.PROCESSING)
    if pid is not None:
        lost = lost.filter(host=host, pid=pid)
    else:
        lost = lost.filter(lease_until__lt=Now())
        _adopt_waiting_inline_jobs()
    return sum(_take_back(job, lost=int(count)) for job in lost)


def stuck_pids(host: str) -> set[int]:
    """Return the processes of this machine that hold a job whose lease ran out."""
    expired = Job.objects.filter(state=State.PROCESSING, lease_until__lt=Now(), host=host)
    with transaction.atomic():
        locked = expired.select_for_update(of=("self",), skip_locked=True)
        return {job.pid for job in locked.only("pid") if job.pid is not None}


def reap_inline() -> int:
    """Fail the sync jobs of lost web processes, unless a cluster lives that resumes them."""
    if clusters_alive():
        return 0
    orphans = Job.objects.filter(inline=True, state__in=ACTIVE, lease_until__lt=Now())
    return sum(map(_fail, orphans))


def clusters_alive() -> int:
    """Return the number of clusters that live."""
    return clusters().count()


def clusters() -> QuerySet[Cluster]:
    """Return the clusters that live: those that were seen lately."""
    return Cluster.objects.filter(seen_at__gt=Now() - CLUSTER_SEEN).order_by("started_at")


def _adopt_waiting_inline_jobs() -> None:
    """Hand to the clusters the jobs that waited for their turn in a web process that is gone."""
    orphans = Job.objects.filter(inline=True, state=State.QUEUED, lease_until__lt=Now())
    for job in orphans:
        _adopt(job)


@_left_to_others
def _adopt(job: Job) -> bool:
    with transaction.atomic():
        orphan = Job.objects.filter(pk=job.pk, inline=True, state=State.QUEUED)
        adopted = orphan.update(inline=False, lease_until=None)
        if adopted:
            get_bell().ring("jobs", job.pk)
    return bool(adopted)


@_left_to_others
def _fail(job: Job) -> bool:
    end(job, Outcome(State.FAILED, code="worker_lost", error=WEB_PROCESS_LOST))
    return True


@_left_to_others
def _take_back(job: Job, *, lost: int) -> bool:
    """Take a job from its worker; not while the worker is in the middle of an atomic step."""
    with transaction.atomic():
        lock_session(job)
        row = Job.objects.filter(pk=job.pk).select_for_update(of=("self",), skip_locked=True)
        if not row.exists():
            return False
        if not job.cancel_code and job.lost + lost >= settings.WORKFLOW_TRIES:
            failed = Outcome(State.FAILED, code="worker_lost", error=WORKER_LOST, lost=lost)
            end(job, failed)
        else:
            give_back(job, lost=lost)
    return True
