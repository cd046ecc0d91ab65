"""Deleting jobs that ended long ago, a few at a time, beside live traffic.

A process delays other work on its machine by as long as it keeps a processor without a pause. So a
transaction deletes few conversations, and on PostgreSQL it rests after each of its statements; on
SQLite only after each transaction, as nobody else can write before.
"""

import functools
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import Error as DatabaseError
from django.db.models import SET_NULL, ManyToOneRel
from django.db.models.functions import Now
from django.db.models.signals import post_delete, pre_delete

from chatflow.workflows import clock
from chatflow.workflows.db import atomic, connection
from chatflow.workflows.models import Cluster, DailyUsage, Figures, Job, Session, TaskRun
from chatflow.workflows.store import figures, usage_figures
from chatflow.workflows.store.changes import forget_deleted
from chatflow.workflows.store.database import Fault, get_database, read_clock

# Jobs that one transaction checks. On SQLite everybody else's writes wait for it.
BATCH = 10
# Its rest, in times of its work. With bigger batches or less rest, live streams and sends are seen
# to slow down (make bench).
REST = 24
# Rows of figures that one statement deletes: no other row depends on them.
FIGURES = 200
# Seconds of a rest at most; shorter where rows are locked meanwhile.
LONGEST_REST = 1.0
LONGEST_REST_WITH_LOCKS = 0.05
# Seconds that a statement waits for somebody else's lock. Fewer than PostgreSQL waits until it
# checks for a deadlock, so that it never cancels somebody else's statement to end one.
LOCK_TIMEOUT = 0.2
# A cluster that was killed can't take its row away.
CLUSTER_KEPT = timedelta(days=1)


class Ended(NamedTuple):
    """A job that has ended."""

    pk: int
    root_id: int | None
    finished_at: datetime | None


class Pace:
    """Leaves the machine to the others for a multiple of the time worked on it."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def rest(self, longest: float = LONGEST_REST) -> None:
        worked = time.monotonic() - self._since
        time.sleep(min(longest, REST * worked))
        self._since = time.monotonic()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction that rests after each statement, and waits for nobody."""
        if not get_database().locks_rows:
            with atomic():
                yield
            return
        with connection.execute_wrapper(self._execute), atomic():
            get_database().limit_lock_waits(LOCK_TIMEOUT)
            yield

    def _execute(self, execute: Callable[..., Any], *statement: Any) -> Any:
        result = execute(*statement)
        self.rest(LONGEST_REST_WITH_LOCKS)
        return result


def prune(days: int) -> int:
    """Delete the jobs and tasks that ended more than *days* days ago, with steps and events.

    A conversation with a workflow is deleted as a whole: not while one of its turns is newer or
    under way, nor while its question is open. The messages of the session stay. Live jobs are not
    waited for and don't wait, on SQLite for no longer than a batch takes. Rows that somebody else
    has locked are left for another day.

    Returns:
        The number of jobs that were deleted.
    """
    # What no cluster has counted yet can't be counted later.
    figures.catch_up(Pace().rest)
    read_clock(connection)
    before = clock.now() - timedelta(days=days)
    usage_figures.catch_up(before)
    pruned, pace = 0, Pace()
    ended: list[Ended] = []
    while True:
        earlier, ended = ended, []
        try:
            with pace.transaction():
                ended = _lock_ended(before, earlier)
                over = _drop_live(ended, before)
                _delete(over)
            pruned += len(over)
        except DatabaseError as error:
            if get_database().fault(error) is not Fault.CONFLICT:
                raise
        if len(ended) < BATCH:
            break
        pace.rest()
    _prune_task_runs(before, pace)
    _prune_figures(pace)
    Cluster.objects.filter(seen_at__lt=Now() - CLUSTER_KEPT).delete()
    DailyUsage.objects.filter(day__lt=before.date()).delete()
    usage_figures.forget(days)
    forget_deleted()
    return pruned


def delete(jobs: Collection[int]) -> list[int]:
    """Delete the conversations that these jobs are turns of, as prune() does, however young.

    Args:
        jobs: primary keys; no more than one transaction may take.

    Returns:
        The keys of all jobs that were deleted.

    Raises:
        DatabaseError: somebody else was in the way for too long; then none is deleted.
    """
    turns = Job.objects.filter(pk__in=jobs).values_list("pk", "root_id")
    begun = Job.objects.filter(pk__in={root or pk for pk, root in turns}, finished_at__isnull=False)
    with Pace().transaction():
        locked = begun.order_by("pk").select_for_update(skip_locked=True)
        ended = [Ended(*row) for row in locked.values_list("pk", "root_id", "finished_at")]
        over = _drop_live(ended, datetime.max.replace(tzinfo=UTC))
        _delete(over)
    return over


def _prune_task_runs(before: datetime, pace: Pace) -> None:
    """Delete the tasks that ended before a moment; not while somebody else is in the way."""
    ended = TaskRun.objects.filter(finished_at__lt=before).order_by("finished_at")
    while True:
        try:
            with pace.transaction():
                locked = ended.select_for_update(skip_locked=True)
                over = list(locked.values_list("pk", flat=True)[:BATCH])
                TaskRun.objects.filter(pk__in=over).delete()
        except DatabaseError as error:
            if get_database().fault(error) is not Fault.CONFLICT:
                raise
            return
        if len(over) < BATCH:
            return
        pace.rest()


def _prune_figures(pace: Pace) -> None:
    """Delete the figures that are older than they are kept."""
    for span, kept in figures.KEPT.items():
        old = Figures.objects.filter(span=span, since__lt=clock.now() - kept).order_by("since")
        while over := list(old.values_list("pk", flat=True)[:FIGURES]):
            Figures.objects.filter(pk__in=over).delete()
            pace.rest()


def _lock_ended(before: datetime, earlier: list[Ended]) -> list[Ended]:
    """Return the next jobs that ended before a moment, the oldest first.

    They are locked, so that nobody can add a turn to a conversation that will be deleted.

    Args:
        before: the moment.
        earlier: the batch before. The jobs that it kept aren't checked again.
    """
    ended = Job.objects.filter(finished_at__lt=before)
    if earlier:
        last = earlier[-1]
        ended = ended.filter(finished_at__gte=last.finished_at)
        ended = ended.exclude(finished_at=last.finished_at, pk__lte=last.pk)
    ended = ended.order_by("finished_at", "pk").select_for_update(skip_locked=True)
    return [Ended(*row) for row in ended.values_list("pk", "root_id", "finished_at")[:BATCH]]


def _drop_live(ended: list[Ended], before: datetime) -> list[int]:
    """Return all jobs of the conversations that one of *ended* began and that ended as a whole."""
    # Not in SQL: SQLite would search the index of root for NULL, and read all of it.
    roots = {job.pk: job.pk for job in ended if job.root_id is None}
    kept: set[int] = set()
    turns = Job.objects.filter(root__in=list(roots)).values_list("pk", "root_id", "finished_at")
    later = {pk: root for pk, root, _ in turns if root is not None}
    kept.update(later[pk] for pk, _, at in turns if at is None or at >= before)
    if later:
        locked = Job.objects.filter(pk__in=later).select_for_update(skip_locked=True)
        free = set(locked.values_list("pk", flat=True))
        kept.update(root for pk, root in later.items() if pk not in free)
    roots |= later
    questions = Session.objects.filter(open_job__in=list(roots)).values_list("open_job", flat=True)
    kept.update(roots[pk] for pk in questions)
    return [pk for pk, root in roots.items() if root not in kept]


def _delete(jobs: list[int]) -> None:
    """Delete jobs with all rows that belong to them.

    One table after the other, as the ORM does it; but that collects all rows first and then sends
    all statements without a pause, for milliseconds on end.
    """
    if not jobs:
        return
    if not _is_known():
        Job.objects.filter(pk__in=jobs).delete()
        return
    # The ORM's order, so that two who delete the same rows don't wait for each other.
    for relation in sorted(_get_relations(), key=lambda each: each.on_delete is SET_NULL):
        name = relation.field.name
        pointing = relation.related_model._base_manager.filter(**{f"{name}__in": jobs})
        if relation.on_delete is SET_NULL:
            pointing.update(**{name: None})
        else:
            pointing.delete()
    with connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(jobs))
        cursor.execute(f"DELETE FROM workflows_job WHERE id IN ({marks})", jobs)


@functools.cache
def _get_relations() -> list[ManyToOneRel]:
    """Return the foreign keys to jobs; but not that of turns, which are among the deleted jobs."""
    pointing = Job._meta.get_fields(include_hidden=True)
    root = Job._meta.get_field("root")
    return [each for each in pointing if isinstance(each, ManyToOneRel) and each.field is not root]


def _is_known() -> bool:
    """Return whether only this application's models depend on jobs, and no receiver of signals.

    Else the deletion is left to the ORM, which knows a project's own models and receivers.
    """
    has_receivers = pre_delete.has_listeners(Job) or post_delete.has_listeners(Job)
    ours = Job._meta.app_label
    return not has_receivers and all(
        each.related_model._meta.app_label == ours for each in _get_relations()
    )
