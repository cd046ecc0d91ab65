"""The database's clock, as this process knows it.

The moments of rows are the database's, for the clocks of the hosts need not agree. A statement asks
the database itself; Python code that compares a row's moment with the present takes the present
from here, without a query. Each new connection reads the database's clock, and the time since then
is counted by a clock that nobody sets.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

logger = logging.getLogger(__name__)

# Seconds by which this host's clock may differ from the database's without a warning.
TOLERANCE = 2.0
# Linux has a clock that goes on while the machine is suspended.
_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True)
class Reading:
    """The time by the database's clock, and ticks() at that moment."""

    moment: datetime
    ticks: float


_reading: Reading | None = None
_warned = False


def ticks() -> float:
    """Return the seconds since some moment in the past; no clock that is set changes them."""
    return time.clock_gettime(_COUNTER)


def now() -> datetime:
    """Return the present by the database's clock; by this host's own where that was never read."""
    if _reading is None:
        return datetime.now(UTC)
    return _reading.moment + timedelta(seconds=ticks() - _reading.ticks)


def seconds_since(moment: datetime) -> float:
    """Return how many seconds ago a row's *moment* was, at least 0.

    A row that was written just now may be a little ahead: now() is as exact as a query is quick.
    """
    return max(0.0, (now() - moment).total_seconds())


def skew() -> float:
    """Return by how many seconds this host's clock is ahead of the database's; less than 0: behind.

    It is exact to the time that a query takes.
    """
    return (timezone.now() - now()).total_seconds()


def keep(moment: datetime, sent: float) -> None:
    """Remember a fresh reading of the database's clock; warn if this host's clock differs.

    Args:
        moment: the database's.
        sent: ticks() before it was asked. It looked at its clock between then and now.
    """
    global _reading, _warned
    took = ticks() - sent
    _reading = Reading(moment, sent + took / 2)
    off = abs(skew()) > TOLERANCE + took / 2
    if off and not _warned:
        logger.warning("%s; expiries and limits go by the database's.", describe(skew()))
    _warned = off


def describe(seconds: float) -> str:
    """Return a skew() of so many *seconds* in words."""
    side = "ahead of" if seconds > 0 else "behind"
    return f"This host's clock is {abs(seconds):.1f} s {side} the database's"
