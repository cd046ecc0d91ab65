"""The tasks of django.tasks, from the enqueueing to the end. Nothing else changes their rows.

As with jobs, each transition names in its UPDATE the status and the attempt that it starts from:
who finds no row has lost the race, and changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from chatflow.conf import conf
from chatflow.workflows import clock
from chatflow.workflows.bells import get_bell
from chatflow.workflows.db import atomic
from chatflow.workflows.exceptions import WorkersLost
from chatflow.workflows.models import TaskRun, TaskStatus
from chatflow.workflows.store.database import get_database

# How many may be claimed by others, one after the other, before a worker looks for something else.
CANDIDATES = 10
# What a worker reads of each of them: not the arguments, which may be long.
TAKEN_BY = ("status", "attempt", "worker_ids", "started_at")
# How many delays end at once.
BATCH = 1000

# Where runs wait: the conditions of task_run_next_in_queue and of task_run_next_of_all. They are
# written as those of jobs are, for the same reasons: see lifecycle.claims.
WAITING = "(NOT delayed AND status = 'READY')"
IN_QUEUE = f"CASE WHEN {WAITING} THEN {{true}} ELSE {{false}} END"
ANYWHERE = f"CASE WHEN NOT {WAITING} THEN {{false}} ELSE {{true}} END"

Error = dict[str, str]


def enqueue(run: TaskRun) -> None:
    """Store a new run and ring, in the caller's transaction."""
    run.delayed = run.run_after is not None
    with atomic():
        run.save(force_insert=True)
        get_bell().ring("due", run.pk)


def claim(queues: Sequence[str], worker: str) -> TaskRun | None:
    """Take the next run that is due: the first queue that has one, best priority, the oldest.

    Args:
        queues: names of queues, the most urgent first; none for all queues alike.
        worker: the identity of the process that will run it.

    Returns:
        The run, under a new attempt; None if there is none.
    """
    _end_delays()
    for queue in queues or (None,):
        for run in _waiting(queue).only(*TAKEN_BY)[:CANDIDATES]:
            if _take(run, worker):
                return _same(run).first()
    return None


def _waiting(queue: str | None) -> QuerySet[TaskRun]:
    """Return the runs that wait for a worker, in a queue or in any; the next one first."""
    database = get_database()
    condition = ANYWHERE if queue is None else IN_QUEUE
    condition = condition.format(true=database.true, false=database.false)
    # A parameter in it would keep SQLite from the index.
    waiting = TaskRun.objects.extra(where=[database.indexed(condition, True)])
    if queue is not None:
        waiting = waiting.filter(queue=queue)
    return waiting.order_by("-priority", "id")


def _end_delays() -> None:
    """Let the delayed runs whose moment has come wait for a worker, like all others."""
    # The index may have been made by another version of Django than this one.
    delayed = TaskRun.objects.extra(where=[get_database().indexed("delayed", True)])
    due = delayed.filter(run_after__lte=Now()).order_by("run_after")
    # Mostly there are none, and nothing is to be locked.
    if not due.exists():
        return
    with atomic():
        locked = due.select_for_update(skip_locked=True)
        found = list(locked.values_list("pk", flat=True)[:BATCH])
        TaskRun.objects.filter(pk__in=found).update(delayed=False)


def _take(run: TaskRun, worker: str) -> bool:
    moment = clock.now()
    return _change(
        run,
        lease=_lease(),
        status=TaskStatus.RUNNING,
        attempt=run.attempt + 1,
        worker=worker,
        worker_ids=[*run.worker_ids, worker],
        started_at=run.started_at or moment,
        last_attempted_at=moment,
    )


def renew(run: TaskRun) -> bool:
    """Renew the lease of a run; say whether the attempt still holds it."""
    return _change(run, lease=_lease())


def end(
    run: TaskRun, status: TaskStatus, *, return_value: Any = None, errors: Sequence[Error] = ()
) -> bool:
    """Store how an attempt has ended; say whether it still held the run.

    Args:
        run: as claimed.
        status: one of the last two.
        return_value: what the function returned, as JSON.
        errors: for each exception the path of its class and its traceback, as TaskError has them.
    """
    outcome = {"return_value": return_value, "errors": [*run.errors, *errors]}
    return _change(run, status=status, finished_at=clock.now(), **outcome)


def expired() -> QuerySet[TaskRun]:
    """Return the runs whose leases ran out."""
    return TaskRun.objects.filter(status=TaskStatus.RUNNING, lease_until__lt=Now())


def take_back(lost_runs: QuerySet[TaskRun], lost: int = 1) -> int:
    """Let other attempts have the runs of workers that are lost; fail those that lost too many.

    Args:
        lost_runs: the runs; one that isn't among them any more when it is to be changed is left.
        lost: 1 if the loss counts.

    Returns:
        The number of runs that were taken back.
    """
    found = lost_runs.filter(status=TaskStatus.RUNNING)
    return sum(_take_back(run, found, lost) for run in found)


def _take_back(run: TaskRun, found: QuerySet[TaskRun], lost: int) -> bool:
    if run.lost + lost >= conf.WORKFLOW_TRIES:
        path = f"{WorkersLost.__module__}.{WorkersLost.__qualname__}"
        error = {"exception_class_path": path, "traceback": str(WorkersLost())}
        return _change(
            run,
            found,
            status=TaskStatus.FAILED,
            lost=run.lost + lost,
            errors=[*run.errors, error],
            finished_at=clock.now(),
        )
    with atomic():
        given_back = _change(run, found, status=TaskStatus.READY, lost=run.lost + lost)
        if given_back:
            get_bell().ring("due", run.pk)
    return given_back


def _change(
    run: TaskRun,
    found: QuerySet[TaskRun] | None = None,
    *,
    lease: RawSQL | None = None,
    **values: Any,
) -> bool:
    """Change a run, unless somebody else has done so; say whether it was changed.

    Args:
        run: as it was found; it is changed likewise.
        found: the rows among which it still has to be; by default all.
        lease: until when it is held from now on; left out, nobody holds it any more.
        values: of its other fields.
    """
    if not _same(run, found).update(lease_until=lease, **values):
        return False
    for name, value in values.items():
        setattr(run, name, value)
    return True


def _same(run: TaskRun, found: QuerySet[TaskRun] | None = None) -> QuerySet[TaskRun]:
    """Return the row of a run, if it is among *found* and nobody has changed it meanwhile."""
    rows = TaskRun.objects.all() if found is None else found
    return rows.filter(pk=run.pk, status=run.status, attempt=run.attempt)


def _lease() -> RawSQL:
    return RawSQL(get_database().now(conf.WORKFLOW_LEASE_SECONDS), [])
