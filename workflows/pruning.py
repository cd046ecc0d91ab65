"""Deleting what ended long ago, a little at a time, beside live traffic.

Whatever runs on a machine makes other work there late, by as long as it keeps a processor without a
pause. So no statement is about more than a few jobs, and after each the others have the machine.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import CASCADE, SET_NULL, ManyToOneRel
from django.utils import timezone

from workflows.models import Cluster, DailyUsage, Job, Session

# Jobs that one transaction looks at. SQLite lets everybody else's writes wait for it.
BATCH = 10
# How many times as long as it has worked it rests then, and for how many seconds at most. With
# bigger batches or less rest, live streams and sends are seen to slow down (make bench).
REST = 24
LONGEST_REST = 1.0
# A cluster that was killed can't take its row away.
CLUSTER_KEPT = timedelta(days=1)


class Ended(NamedTuple):
    """What there is to know of a job that has ended."""

    pk: int
    root_id: int | None
    finished_at: datetime | None


class Pace:
    """Leaves the machine to the others, in proportion to what was taken of it."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def rest(self) -> None:
        worked = time.monotonic() - self._since
        time.sleep(min(LONGEST_REST, REST * worked))
        self._since = time.monotonic()

    def within_transactions(self) -> AbstractContextManager[None]:
        """Rest after each statement; but not on SQLite, where the others would wait meanwhile."""
        if connection.vendor == "sqlite":
            return nullcontext()
        return connection.execute_wrapper(self._execute)

    def _execute(self, execute: Callable[..., Any], *statement: Any) -> Any:
        result = execute(*statement)
        self.rest()
        return result


def prune(days: int) -> int:
    """Delete the jobs that ended more than *days* days ago, with their steps and events.

    A conversation with a workflow is deleted as a whole: not while one of its turns is newer or
    under way, nor while its question is open. The messages of the session stay. Live jobs are not
    waited for and don't wait, on SQLite for no longer than a batch takes.

    Returns:
        How many jobs were deleted.
    """
    before = timezone.now() - timedelta(days=days)
    pruned, pace = 0, Pace()
    last: Ended | None = None
    while True:
        with pace.within_transactions(), transaction.atomic():
            ended = _lock_ended(before, last)
            over = _without_live(ended, before)
            _delete(over)
        pruned += len(over)
        if len(ended) < BATCH:
            break
        last = ended[-1]
        pace.rest()
    Cluster.objects.filter(seen_at__lt=timezone.now() - CLUSTER_KEPT).delete()
    DailyUsage.objects.filter(day__lt=before.date()).delete()
    return pruned


def _lock_ended(before: datetime, last: Ended | None) -> list[Ended]:
    """Return the next jobs that ended before a moment, the oldest first.

    They are locked, so that nobody can add a turn to what will be deleted; those that somebody else
    has locked are left for another day.
    """
    ended = Job.objects.filter(finished_at__lt=before)
    if last is not None:
        # What an earlier batch has kept isn't looked at again.
        ended = ended.filter(finished_at__gte=last.finished_at)
        ended = ended.exclude(finished_at=last.finished_at, pk__lte=last.pk)
    ended = ended.order_by("finished_at", "pk").select_for_update(skip_locked=True)
    return [Ended(*row) for row in ended.values_list("pk", "root_id", "finished_at")[:BATCH]]


def _without_live(ended: list[Ended], before: datetime) -> list[int]:
    """Return all jobs of the conversations that one of *ended* began and that ended as a whole."""
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
    return [pk for pk, root in roots.items() if root not in kept]


def _delete(jobs: list[int]) -> None:
    """Delete jobs with what belongs to them, one table after the other.

    A queryset's delete() does the same, but gathers everything first, for milliseconds on end.
    """
    if not jobs:
        return
    for relation in Job._meta.get_fields(include_hidden=True):
        # The turns of a conversation are among the jobs.
        if isinstance(relation, ManyToOneRel) and relation.field is not Job._meta.get_field("root"):
            name = relation.field.name
            pointing = relation.related_model._base_manager.filter(**{f"{name}__in": jobs})
            if relation.on_delete is SET_NULL:
                pointing.update(**{name: None})
            elif relation.on_delete is CASCADE:
                pointing.delete()
    with connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(jobs))
        cursor.execute(f"DELETE FROM workflows_job WHERE id IN ({marks})", jobs)
