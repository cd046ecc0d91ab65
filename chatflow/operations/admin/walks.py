"""Looking through the jobs from the newest back, for as long as a page may take.

A list of the jobs that a filter leaves can't be counted or sorted by the database: where few of a
million match, it would read all of them. So it is read in stretches of primary keys, which say how
far it looked, and where to go on. What an index finds in few rows is not walked for, but named by
its keys.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from chatflow.workflows.models import Job

# Seconds that a page looks for its jobs: with all the rest of it, it has 0.3.
SECONDS = 0.15
# Keys of the first stretch; the next ones are as long as the time that is left allows.
FIRST = 2_000
MOST_AT_ONCE = 100_000
# A slow stretch is not followed by one that takes longer than this share of the time.
SHARE = 0.5
# Jobs are numbered in the order of their moments, but for those stored side by side.
SLACK = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a walk came upon.

    Args:
        rows: of its query, the newest job first.
        below: the key from which it goes on: all jobs from there up were looked at.
        is_all: there are no more.
    """

    rows: list[Any]
    below: int
    is_all: bool


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Jobs to look through.

    Args:
        jobs: a query that is neither sorted nor cut.
        from_key: the lowest key that it may have.
        below: a key that is higher than all that it may have.
        keys: of all jobs that it can find, where they are few; None: they may be any.
    """

    jobs: QuerySet[Any]
    from_key: int
    below: int
    keys: Sequence[int] | None = None

    def find(self, wanted: int, columns: Sequence[str] = (), seconds: float | None = None) -> Found:
        """Look for so many jobs, the newest first, and no longer than so many seconds.

        Args:
            wanted: how many at most.
            columns: then rows are tuples of these, with the primary key first; else jobs.
            seconds: after which no other stretch is begun; None: SECONDS. One is looked through in
                any case.
        """

        def read(jobs: QuerySet[Any], count: int) -> list[Any]:
            newest = jobs.order_by("-pk")
            return list((newest.values_list(*columns) if columns else newest)[:count])

        def key_of(row: Any) -> int:
            return int(row[0] if columns else row.pk)

        if self.keys is not None:
            keys = [key for key in self.keys if self.from_key <= key < self.below]
            rows = read(self.jobs.filter(pk__in=keys), wanted + 1)
            is_all = len(rows) <= wanted
            rows = rows[:wanted]
            return Found(
                rows=rows, below=self.from_key if is_all else key_of(rows[-1]), is_all=is_all
            )
        rows = []
        below = self.below
        for bottom, top in self._stretches(SECONDS if seconds is None else seconds):
            below = bottom
            rows += read(self.jobs.filter(pk__gte=bottom, pk__lt=top), wanted - len(rows))
            if len(rows) == wanted:
                below = key_of(rows[-1]) if rows else below
                break
        return Found(rows=rows, below=below, is_all=below <= self.from_key)

    def _stretches(self, seconds: float) -> Iterator[tuple[int, int]]:
        """Yield pairs of keys, the higher ones first, each time as many as there is time for."""
        top, size, began = self.below, FIRST, time.monotonic()
        while top > self.from_key:
            bottom = max(self.from_key, top - size)
            asked = time.monotonic()
            yield bottom, top
            took = max(1e-4, time.monotonic() - asked)
            left = seconds - (time.monotonic() - began)
            top, size = bottom, min(MOST_AT_ONCE, int(size * min(8.0, left * SHARE / took)))
            if size < FIRST:
                return


def bounds() -> tuple[int, int]:
    """Return the lowest key of all jobs, and one that is higher than all."""
    # Asked for by themselves: for both in one query SQLite would read all keys.
    keys = Job.objects.values_list("pk", flat=True)
    return keys.order_by("pk").first() or 0, (keys.order_by("-pk").first() or 0) + 1


def keys_around(moment: datetime, lowest: int, below: int) -> tuple[int, int]:
    """Return two keys: jobs below the first were sent before a moment, those from the second later.

    Between them there are no more than the FIRST stretch of a walk has.

    Args:
        moment: it is right to SLACK, if the keys follow the moments to that.
        lowest: as of bounds(); below likewise.
    """
    while below - lowest > FIRST:
        middle = (lowest + below) // 2
        next_one = Job.objects.filter(pk__gte=middle, pk__lt=below).order_by("pk")
        row = next_one.values_list("pk", "created_at").first()
        if row is None or row[1] >= moment:
            below = middle
        else:
            lowest = row[0] + 1
    return lowest, below


def few(keys: QuerySet[Any], most: int) -> list[int] | None:
    """Return primary keys, sorted as an index has them; None if there are more than so many."""
    found = list(keys[: most + 1])
    return found if len(found) <= most else None
