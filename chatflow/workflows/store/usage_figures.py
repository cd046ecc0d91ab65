"""What was used by day, user, workflow and model: rolled up from the jobs that have ended.

A request to a model is a step, which tells its tokens; the figures are their sums, whether the job
completed or failed. A mark says up to which job they are in. It moves in the transaction that adds
them, from where it was read, so each job is counted once, whoever is killed or counts beside it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError

from chatflow.workflows import clock
from chatflow.workflows.ai.names import OFFLINE
from chatflow.workflows.db import atomic, connection
from chatflow.workflows.models import Job, Step, UsageFigures, UsageMark
from chatflow.workflows.store.database import read_clock

# Jobs of one part. Their steps are read without a lock; what is written are a few rows.
PART = 500
# An ending is one statement, which tells the moment at which it began. After this long it has
# committed.
SETTLED = timedelta(seconds=30)
# Days that the figures are kept at least: as many as compare a month with that of last year.
KEPT = 400
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
SUMS = ("requests", "input_tokens", "output_tokens", "cost", "unpriced")

# The user's key, the workflow, the model, the day.
Key = tuple[Any, str, str, date]


@dataclass
class Sums:
    """What was used, as in UsageFigures."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0

    def add(self, other: "Sums | UsageFigures") -> None:
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def roll_up(until: datetime | None = None) -> bool:
    """Add the next jobs that have ended to the figures; one short transaction.

    Args:
        until: jobs that ended before; by default all whose ending is settled.

    Returns:
        Whether there are more.
    """
    if until is None:
        read_clock(connection)
        until = clock.now() - SETTLED
    mark = UsageMark.objects.first()
    if mark is None:
        # Two that do so at once add the same row.
        UsageMark.objects.bulk_create(
            [UsageMark(pk=1, finished_at=BEGINNING)], ignore_conflicts=True
        )
        return True
    ended = list(_next_jobs(mark, until))
    if not ended:
        return False
    used = _sum_up([job for job in ended if job.usage])
    last = ended[-1]
    try:
        with atomic():
            here = UsageMark.objects.filter(finished_at=mark.finished_at, job=mark.job)
            if here.update(finished_at=last.finished_at, job=last.pk):
                _add(used)
    except IntegrityError:
        # A user was deleted, and the jobs too: the next look doesn't find them.
        return True
    return len(ended) == PART


def catch_up(until: datetime) -> None:
    """Add all jobs that ended before a moment, one part after the other."""
    while roll_up(until):
        pass


def forget(days: int) -> None:
    """Delete figures that are older than *days* days, and than KEPT."""
    before = clock.now().date() - timedelta(days=max(days, KEPT))
    UsageFigures.objects.filter(day__lt=before).delete()


def _next_jobs(mark: UsageMark, until: datetime) -> Iterable[Job]:
    ended = Job.objects.filter(finished_at__gte=mark.finished_at, finished_at__lt=until)
    ended = ended.exclude(finished_at=mark.finished_at, pk__lte=mark.job)
    fields = ("pk", "user_id", "workflow", "usage", "finished_at")
    return ended.order_by("finished_at", "pk").only(*fields)[:PART]


def _sum_up(jobs: list[Job]) -> dict[Key, Sums]:
    """Return what the requests of some jobs used, each on the day on which it was answered."""
    by_key = {job.pk: job for job in jobs}
    asked = Step.objects.filter(job__in=list(by_key), usage__isnull=False)
    sums: dict[Key, Sums] = defaultdict(Sums)
    for pk, told, at in asked.values_list("job_id", "usage", "created_at"):
        usage: dict[str, Any] = told or {}
        job, model = by_key[pk], str(usage.get("model", ""))[:100]
        price = usage.get("cost_usd", 0 if model == OFFLINE else None)
        sums[job.user_id, job.workflow, model, at.astimezone(UTC).date()].add(
            Sums(
                requests=1,
                input_tokens=usage["input_tokens"],
                output_tokens=usage["output_tokens"],
                cost=Decimal(str(price or 0)),
                unpriced=int(price is None),
            )
        )
    return sums


def _add(used: dict[Key, Sums]) -> None:
    """Add to the rows that are there, and to new ones. Whoever moved the mark does so alone."""
    if not used:
        return
    users, _, _, days = zip(*used, strict=True)
    for row in UsageFigures.objects.filter(user__in=set(users), day__in=set(days)):
        if (key := (row.user_id, row.workflow, row.model, row.day)) in used:
            used[key].add(row)
    rows = [
        UsageFigures(
            user_id=user,
            workflow=workflow,
            model=model,
            day=day,
            **{name: getattr(sums, name) for name in SUMS},
        )
        for (user, workflow, model, day), sums in used.items()
    ]
    UsageFigures.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["user", "day", "workflow", "model"],
        update_fields=SUMS,
    )
