"""Histograms of durations: lists of counts over fixed buckets, which can be added up.

A quantile that is read from one is exact to the width of its bucket.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain

# Seconds at which a bucket ends; the last one has no end.
BOUNDS = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    *(20, 30, 60, 120, 300, 600, 1800, 3600),
)
BUCKETS = len(BOUNDS) + 1


def empty() -> list[int]:
    """Return the histogram of nothing."""
    return [0] * BUCKETS


def bucket(seconds: float) -> int:
    """Return the place of the bucket that a duration falls into."""
    return bisect_right(BOUNDS, seconds)


def add(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Return the sum.

    Raises:
        ValueError: one has other buckets.
    """
    rows = list(histograms)
    if any(len(row) != BUCKETS for row in rows):
        raise ValueError(f"A histogram has {BUCKETS} buckets.")
    # There may be thousands: all in one list, the counts of a bucket stand at equal distances.
    counts = list(chain.from_iterable(rows))
    return [sum(counts[place::BUCKETS]) for place in range(BUCKETS)]


def quantile(counts: Sequence[int], part: float) -> float | None:
    """Return the duration below which that part of all lies; None of nothing.

    Args:
        counts: a histogram.
        part: from 0 to 1.
    """
    before, wanted = 0, part * sum(counts)
    for place, count in enumerate(counts):
        if count and before + count >= wanted:
            low = BOUNDS[place - 1] if place else 0.0
            high = BOUNDS[place] if place < len(BOUNDS) else low
            return low + (high - low) * (wanted - before) / count
        before += count
    return None
