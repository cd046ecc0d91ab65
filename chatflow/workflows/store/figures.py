"""Figures: the jobs that ended are counted once, minute by minute, not each time somebody looks.

No job's ending waits for it: one cluster reads the jobs behind their ends, by the index of these
moments. To count a minute again gives the same row, so a count that was broken off, a second
cluster or a job whose end was committed late cost nothing but another look. What was deleted
meanwhile stays counted.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from chatflow.workflows import clock, histograms
from chatflow.workflows.db import atomic, connection
from chatflow.workflows.histograms import BOUNDS
from chatflow.workflows.models import TERMINAL, Figures, Job
from chatflow.workflows.store.database import get_database, read_clock

# Seconds between two counts, and between two while there is more to catch up with.
PACE, HURRY = 10.0, 1.0
# Seconds that one of those takes at most, but for the minute that it has begun.
PATIENCE = 0.2
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# A minute is counted until it has been over for so long, and once more so much later: an end has
# its moment from before its commit.
SETTLE, LATE = timedelta(seconds=20), timedelta(minutes=10)
# How far back the first count of an installation goes.
HISTORY = timedelta(days=8)
KEPT = {Figures.Span.MINUTE: HISTORY, Figures.Span.HOUR: timedelta(days=400)}

COUNTS = (*map(str, TERMINAL), "lost", "retried", "requests", "input_tokens", "output_tokens")
SUMS = (*COUNTS, "seconds_waited", "seconds_ran", "cost_usd")
HISTOGRAMS = ("waited", "ran")
USED = ("requests", "input_tokens", "output_tokens", "cost_usd")

# The jobs that ended within a stretch of time, those alike together.
ENDED = """
    SELECT queue, workflow, state, {bucket_waited}, {bucket_ran}, count(*),
        sum(lost), sum(failures), coalesce(sum(waited), 0), coalesce(sum(ran), 0), {used}
    FROM (
        SELECT queue, workflow, state, lost, failures, usage,
            CASE WHEN started_at IS NOT NULL THEN {waited} END AS waited,
            CASE WHEN started_at IS NOT NULL THEN ran_for END AS ran
        FROM workflows_job WHERE finished_at >= %(since)s AND finished_at < %(upto)s
    ) job
    GROUP BY 1, 2, 3, 4, 5
"""


class Counting:
    """Counts what has ended, a little each time, and remembers how far it is."""

    def __init__(self) -> None:
        # The first minute that isn't counted for good; and that is to be looked at once more.
        self._next: datetime | None = None
        self._again: datetime | None = None
        self.is_behind = False

    @property
    def pace(self) -> float:
        """Seconds until the next count."""
        return HURRY if self.is_behind else PACE

    def count(self, patience: float = PATIENCE) -> None:
        """Count the minutes that are due, the oldest first.

        Args:
            patience: seconds that it may take.

        Raises:
            DatabaseError: the database is away.
        """
        read_clock(connection)
        now, until = clock.now(), time.monotonic() + patience
        if self._next is None:
            self._next = _find_beginning(now)
        if self._again is None:
            self._again = begin_of(now - LATE, MINUTE)
        self._next = _count_minutes(self._next, now, until)
        self.is_behind = self._next <= begin_of(now, MINUTE)
        self._next = min(self._next, begin_of(now - SETTLE, MINUTE))
        if not self.is_behind and self._again <= now - LATE:
            self._again = _count_minutes(self._again, now - LATE, until)


def catch_up(rest: Callable[[], None]) -> None:
    """Count all that has ended until now.

    Args:
        rest: called now and then.
    """
    counting = Counting()
    while True:
        counting.count()
        if not counting.is_behind:
            break
        rest()


def begin_of(moment: datetime, span: timedelta) -> datetime:
    """Return the beginning of the minute, the hour or whatever span a moment is in."""
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % span


def _find_beginning(now: datetime) -> datetime:
    """Return the minute from which to count: whoever did so before may not have been done."""
    minutes = Figures.objects.filter(span=Figures.Span.MINUTE).order_by("-since")
    last = minutes.values_list("since", flat=True).first()
    return begin_of(now - HISTORY if last is None else last - LATE, MINUTE)


def _count_minutes(first: datetime, last: datetime, until: float) -> datetime:
    """Count minutes, and return the one to go on with.

    Args:
        first: the first of them.
        last: a moment in the last one.
        until: when to break off, by the monotonic clock.
    """
    minute = first
    while minute <= last:
        ended = Job.objects.filter(finished_at__gte=minute).order_by("finished_at")
        moment = ended.values_list("finished_at", flat=True).first()
        if moment is None or moment > last:
            break
        # Of the minutes in between there is nothing to count.
        minute = begin_of(moment, MINUTE)
        count_minute(minute)
        minute += MINUTE
        if time.monotonic() >= until and minute <= last:
            return minute
    return begin_of(last, MINUTE) + MINUTE


def count_minute(minute: datetime) -> None:
    """Count the jobs that ended within a minute, and add up its hour."""
    counted = _read_jobs(minute)
    hour = begin_of(minute, HOUR)
    with atomic():
        changed = _keep(Figures.Span.MINUTE, minute, counted)
        # Also where two have counted other minutes of the hour at the same moment.
        if changed or minute + MINUTE == hour + HOUR:
            minutes = Figures.objects.filter(
                span=Figures.Span.MINUTE, since__gte=hour, since__lt=hour + HOUR
            )
            _keep(Figures.Span.HOUR, hour, add_up(minutes.iterator()))


def _read_jobs(minute: datetime) -> list[Figures]:
    """Return the figures of the jobs that ended within a minute."""
    database = get_database()
    query = ENDED.format(
        waited=database.seconds_since("created_at", upto="started_at"),
        bucket_waited=_bucket("waited"),
        bucket_ran=_bucket("ran"),
        used=", ".join(f"coalesce(sum({database.number('usage', key)}), 0)" for key in USED),
    )
    adapt = connection.ops.adapt_datetimefield_value
    params = {"since": adapt(minute), "upto": adapt(minute + MINUTE)}
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return add_up(_make_figures(*row) for row in cursor.fetchall())


def _bucket(column: str) -> str:
    """Return the SQL for histograms.bucket() of a column of seconds; null where that is null."""
    whens = " ".join(f"WHEN {column} < {bound} THEN {n}" for n, bound in enumerate(BOUNDS))
    return f"CASE {whens} WHEN {column} IS NOT NULL THEN {len(BOUNDS)} END"


def _make_figures(
    queue: str,
    workflow: str,
    state: str,
    waited: int | None,
    ran: int | None,
    count: int,
    lost: int,
    retried: int,
    seconds_waited: float,
    seconds_ran: float,
    *used: float,
) -> Figures:
    """Return the figures of jobs that are alike."""
    figures = Figures(queue=queue, workflow=workflow, waited=[], ran=[])
    setattr(figures, state, count)
    figures.lost, figures.retried = lost, retried
    figures.seconds_waited, figures.seconds_ran = float(seconds_waited), float(seconds_ran)
    figures.requests, figures.input_tokens, figures.output_tokens = map(int, used[:3])
    figures.cost_usd = float(used[3])
    for name, place in (("waited", waited), ("ran", ran)):
        counts = histograms.empty()
        if place is not None:
            counts[place] = count
        setattr(figures, name, counts)
    return figures


def add_up(rows: Iterable[Figures]) -> list[Figures]:
    """Return the sums of those that are of the same queue and workflow."""
    sums: dict[tuple[str, str], Figures] = {}
    for row in rows:
        whole = sums.get((row.queue, row.workflow))
        if whole is None:
            whole = Figures(queue=row.queue, workflow=row.workflow)
            whole.waited, whole.ran = histograms.empty(), histograms.empty()
            sums[row.queue, row.workflow] = whole
        for name in SUMS:
            setattr(whole, name, getattr(whole, name) + getattr(row, name))
        for name in HISTOGRAMS:
            setattr(whole, name, histograms.add([getattr(whole, name), getattr(row, name)]))
    return list(sums.values())


def _keep(span: Figures.Span, since: datetime, counted: list[Figures]) -> bool:
    """Store the figures of a stretch of time in the place of what was counted before.

    Returns:
        Whether they are other ones. Those that were of more jobs stay: some have been deleted.
    """
    found = Figures.objects.filter(span=span, since=since)
    stored = {(row.queue, row.workflow): row for row in found}
    new = []
    for row in counted:
        before = stored.get((row.queue, row.workflow))
        if before is None or (_jobs(row) >= _jobs(before) and _told(row) != _told(before)):
            row.span, row.since = span, since
            new.append(row)
    if new:
        Figures.objects.bulk_create(
            new,
            update_conflicts=True,
            unique_fields=["span", "since", "queue", "workflow"],
            update_fields=[*SUMS, *HISTOGRAMS],
        )
    return bool(new)


def _jobs(row: Figures) -> int:
    return sum(int(getattr(row, state)) for state in TERMINAL)


def _told(row: Figures) -> list[Any]:
    return [getattr(row, name) for name in (*SUMS, *HISTOGRAMS)]
