"""How the jobs fared that ended lately: over an hour, a day or a week, in slots of time.

Read from the rows that the clusters count (store.figures), never from the jobs: as quick with a
million of these.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db.models import QuerySet, Sum, TextField
from django.db.models.functions import Cast

from chatflow.workflows import clock, histograms
from chatflow.workflows.models import Figures
from chatflow.workflows.store.figures import HOUR, begin_of

SUMS = (
    *("completed", "failed", "timeout", "cancelled", "lost", "retried"),
    *("requests", "input_tokens", "output_tokens", "cost_usd"),
)
COLUMNS = ("since", "queue", "workflow", *SUMS)
# The values of these, and the two histograms.
Row = tuple[Any, ...]


class Stretch(Enum):
    """A stretch of time up to now: how long a slot of it is, how many there are, of which rows."""

    HOUR = timedelta(minutes=1), 60, Figures.Span.MINUTE
    DAY = timedelta(hours=1), 24, Figures.Span.HOUR
    WEEK = timedelta(hours=6), 28, Figures.Span.HOUR

    @property
    def slot(self) -> timedelta:
        return self.value[0]

    @property
    def slots(self) -> int:
        return self.value[1]

    @property
    def span(self) -> Figures.Span:
        return self.value[2]

    def beginning(self, now: datetime) -> datetime:
        """Return when the first slot begins, so that the last one is under way."""
        return begin_of(now, self.slot) - (self.slots - 1) * self.slot


@dataclass(frozen=True, kw_only=True)
class Total:
    """The figures of many jobs together; the names are those of the model."""

    completed: int = 0
    failed: int = 0
    timeout: int = 0
    cancelled: int = 0
    lost: int = 0
    retried: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    # Histograms.
    waits: Sequence[int] = ()
    runs: Sequence[int] = ()

    @property
    def ended(self) -> int:
        return self.completed + self.unsuccessful + self.cancelled

    @property
    def unsuccessful(self) -> int:
        return self.failed + self.timeout

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def waited(self, part: float) -> float | None:
        """Return for how many seconds at most that part of the jobs has waited; None of none."""
        return histograms.quantile(self.waits, part)

    def ran(self, part: float) -> float | None:
        """Return for how many seconds at most that part of the jobs has run; None of none."""
        return histograms.quantile(self.runs, part)


@dataclass(frozen=True)
class Report:
    """The figures of a stretch of time.

    Args:
        stretch: which one.
        slots: by the moment when they begin, in order; those in which nothing ended too.
        queues: by the queues' names.
        workflows: by the workflows' names.
        whole: all of them.
    """

    stretch: Stretch
    slots: dict[datetime, Total]
    queues: dict[str, Total]
    workflows: dict[str, Total]
    whole: Total


def report(stretch: Stretch) -> Report:
    """Return the figures of a stretch of time up to now."""
    first = stretch.beginning(clock.now())
    rows = _read(stretch.span, first)
    slots: dict[datetime, list[Row]] = {
        first + number * stretch.slot: [] for number in range(stretch.slots)
    }
    queues: dict[str, list[Row]] = {}
    workflows: dict[str, list[Row]] = {}
    # Many rows are of the same moment.
    slot_of = {since: begin_of(since, stretch.slot) for since in {row[0] for row in rows}}
    for row in rows:
        # One beyond the last slot is there if this host's clock has fallen behind.
        slots.setdefault(slot_of[row[0]], []).append(row)
        queues.setdefault(row[1], []).append(row)
        workflows.setdefault(row[2], []).append(row)
    return Report(
        stretch,
        {since: _add(found) for since, found in slots.items()},
        {name: _add(found) for name, found in queues.items()},
        {name: _add(found) for name, found in workflows.items()},
        _add(rows),
    )


def _read(span: Figures.Span, since: datetime) -> list[Row]:
    """Return the rows from a moment on: there may be thousands."""
    texts = (Cast("waited", TextField()), Cast("ran", TextField()))
    found = Figures.objects.filter(span=span, since__gte=since).order_by("since")
    rows = list(found.values_list(*COLUMNS, *texts))
    # To decode all of them at once takes a fraction of the time.
    waits, runs = (json.loads(f"[{','.join(row[place] for row in rows)}]") for place in (-2, -1))
    return [(*row[:-2], *each) for row, *each in zip(rows, waits, runs, strict=True)]


def _add(rows: Sequence[Row]) -> Total:
    if not rows:
        return Total()
    _, _, _, *sums, waits, runs = zip(*rows, strict=True)
    counts = dict(zip(SUMS, map(sum, sums), strict=True))
    return Total(**counts, waits=histograms.add(waits), runs=histograms.add(runs))


def failing() -> tuple[Total, Total]:
    """Return the counts of the last hour, and of the 24 before that: do failures rise?"""
    now = clock.now()
    lately = Figures.objects.filter(span=Figures.Span.MINUTE, since__gte=now - HOUR)
    before = Figures.objects.filter(
        span=Figures.Span.HOUR, since__gte=now - 25 * HOUR, since__lte=now - 2 * HOUR
    )
    return _count(lately), _count(before)


def _count(rows: QuerySet[Figures]) -> Total:
    found = rows.aggregate(**{name: Sum(name, default=0) for name in SUMS})
    return Total(**found)
