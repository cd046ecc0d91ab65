"""What was used by day, user, workflow and model: rolled up from the jobs that have ended.

A request to a model is a step, which tells its tokens; the figures are their sums, whether the job
completed or failed. A mark says up to which job they are in. It moves in the transaction that adds
them, from where it was read, so each job is counted once, whoever is killed or counts beside it.

Weeks and months that are over are added up once more, for whoever asks about a year. What comes to
their days later comes to them too.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError
from django.db.models import F

from chatflow.workflows import clock
from chatflow.workflows.ai.names import OFFLINE
from chatflow.workflows.db import atomic, connection
from chatflow.workflows.models import Job, Step, UsageFigures, UsageMark, UsageSums, Used
from chatflow.workflows.store.database import read_clock

# Jobs of one part. Their steps are read without a lock; what is written are a few rows.
PART = 500
# An ending is one statement, which tells the moment at which it began. After this long it has
# committed.
SETTLED = timedelta(seconds=30)
# Days that the figures are kept at least: as many as compare a month with that of last year.
KEPT = 400
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK, MONTH = UsageSums.Span.WEEK, UsageSums.Span.MONTH
SUMS = ("requests", "input_tokens", "output_tokens", "cost", "unpriced")

# The user's key, the workflow, the model, the day; of UsageSums the first day, and the span.
Key = tuple[Any, ...]

# A week or a month of all users, from its days.
ADD_UP = """
    INSERT INTO workflows_usagesums (user_id, workflow, model, span, since, {columns})
    SELECT user_id, workflow, model, %s, %s, {sums}
    FROM workflows_usagefigures WHERE day >= %s AND day < %s GROUP BY user_id, workflow, model
"""


@dataclass
class Sums:
    """What was used, as in UsageFigures."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0

    def add(self, other: "Sums | Used") -> None:
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


def sum_up() -> bool:
    """Add up the weeks and months that end on the next day on which some do; one transaction.

    Returns:
        Whether there may be more.
    """
    # Most looks find that none is over, and lock nothing.
    if _find_next() is None:
        return False
    with atomic():
        # Nobody adds to the days meanwhile: whoever does so moves the mark first.
        UsageMark.objects.update(summed_upto=F("summed_upto"))
        found = _find_next()
        if found is None:
            # Another cluster was quicker.
            return False
        first, upto = found
        for span in (WEEK, MONTH):
            if end_of(span, first) == upto:
                _add_up(span, begin_of(span, first), upto)
        UsageMark.objects.update(summed_upto=upto)
    return True


def begin_of(span: str, day: date) -> date:
    """Return the first day of the week or month that a day is in."""
    return day.replace(day=1) if span == MONTH else day - day.weekday() * DAY


def end_of(span: str, day: date) -> date:
    """Return the first day behind that week or month."""
    if span == MONTH:
        return begin_of(MONTH, begin_of(MONTH, day) + 31 * DAY)
    return begin_of(WEEK, day) + 7 * DAY


def forget(days: int) -> None:
    """Delete figures that are older than *days* days, and than KEPT."""
    before = clock.now().date() - timedelta(days=max(days, KEPT))
    UsageFigures.objects.filter(day__lt=before).delete()
    # A month goes when all of its days have gone.
    UsageSums.objects.filter(since__lt=before - 31 * DAY).delete()


def _find_next() -> tuple[date, date] | None:
    """Return from which day on weeks and months are to be added up, and the next end of one.

    None while that is still to come, or where nothing was used yet.
    """
    mark = UsageMark.objects.first()
    days = UsageFigures.objects.order_by("day").values_list("day", flat=True)
    first = (mark.summed_upto if mark is not None else None) or days.first()
    if first is None:
        return None
    upto = min(end_of(span, first) for span in (WEEK, MONTH))
    # A day later than need be: most that comes late has come by then.
    return (first, upto) if upto < clock.now().date() else None


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
    """Add to the days, and to their weeks and months that are added up. Who moved the mark does."""
    if not used:
        return
    upto = UsageMark.objects.values_list("summed_upto", flat=True).get()
    late: dict[Key, Sums] = defaultdict(Sums)
    for (user, workflow, model, day), sums in used.items():
        for span in (WEEK, MONTH):
            if upto is not None and end_of(span, day) <= upto:
                late[user, workflow, model, begin_of(span, day), span].add(sums)
    _add_to(UsageFigures, ("user_id", "workflow", "model", "day"), used)
    if late:
        _add_to(UsageSums, ("user_id", "workflow", "model", "since", "span"), late)


def _add_to(model: type[Used], names: tuple[str, ...], used: dict[Key, Sums]) -> None:
    """Add to the rows that are there, and to new ones.

    Args:
        model: of the rows.
        names: of the columns that the keys consist of.
        used: what there is to add. What stands in the rows is added to it.
    """
    within = {f"{name}__in": {key[place] for key in used} for place, name in enumerate(names)}
    for row in model._default_manager.filter(**within):
        if (key := tuple(getattr(row, name) for name in names)) in used:
            used[key].add(row)
    rows = [model(**dict(zip(names, key, strict=True)), **vars(sums)) for key, sums in used.items()]
    model._default_manager.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=[name.removesuffix("_id") for name in names],
        update_fields=SUMS,
    )


def _add_up(span: str, since: date, upto: date) -> None:
    sums = ", ".join(f"sum({name})" for name in SUMS)
    with connection.cursor() as cursor:
        cursor.execute(
            ADD_UP.format(columns=", ".join(SUMS), sums=sums), [span, since, since, upto]
        )
