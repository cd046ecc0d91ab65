"""How the jobs fared that ended lately: over an hour, a day or a week, in slots of time.

Read from the rows that the clusters count (store.figures), never from the jobs: as quick with a
million of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from chatflow.workflows import clock, histograms
from chatflow.workflows.models import Figures
from chatflow.workflows.store.figures import HOUR, begin_of

SUMS = (
    *("completed", "failed", "timeout", "cancelled", "lost", "retried"),
    *("requests", "input_tokens", "output_tokens", "cost_usd"),
)
COLUMNS = ("since", "queue", "workflow", *SUMS, "waited", "ran")


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


@dataclass
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
    _waited: list[Sequence[int]] = field(default_factory=list, repr=False)
    _ran: list[Sequence[int]] = field(default_factory=list, repr=False)

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
        return histograms.quantile(histograms.add(self._waited), part)

    def ran(self, part: float) -> float | None:
        """Return for how many seconds at most that part of the jobs has run; None of none."""
        return histograms.quantile(histograms.add(self._ran), part)

    def take(self, row: dict[str, Any]) -> None:
        """Add the figures of a row."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + row[name])
        self._waited.append(row["waited"])
        self._ran.append(row["ran"])


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
    slots = {first + number * stretch.slot: Total() for number in range(stretch.slots)}
    found = Report(stretch, slots, {}, {}, Total())
    for row in _rows(stretch.span, first):
        slot = slots.get(begin_of(row["since"], stretch.slot))
        if slot is None:
            # This host's clock has fallen behind.
            continue
        for total in (
            slot,
            found.whole,
            found.queues.setdefault(row["queue"], Total()),
            found.workflows.setdefault(row["workflow"], Total()),
        ):
            total.take(row)
    return found


def failing() -> tuple[Total, Total]:
    """Return the figures of the last hour, and of the 24 before that: do failures rise?"""
    now = clock.now()
    lately, before = Total(), Total()
    for row in _rows(Figures.Span.MINUTE, now - HOUR):
        lately.take(row)
    for row in _rows(Figures.Span.HOUR, now - 25 * HOUR):
        if row["since"] <= now - 2 * HOUR:
            before.take(row)
    return lately, before


def _rows(span: Figures.Span, since: datetime) -> Iterator[dict[str, Any]]:
    yield from Figures.objects.filter(span=span, since__gte=since).values(*COLUMNS)
