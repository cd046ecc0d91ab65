"""A vigil: whether leases that ran out say anything about those who held them.

A standstill costs time, never an attempt. A host is suspended, a container paused, a table locked
for a minute: then the leases of the living run out as well, and whoever wakes up first would take
their jobs away. So everyone asks first whether they were awake themselves.
"""

import time

from chatflow.conf import conf
from chatflow.workflows.db import connection
from chatflow.workflows.models import Job
from chatflow.workflows.store.database import get_database

# Seconds that a renewal may take once it is due, as it may have to connect anew.
RENEWAL = 2.0
# Seconds by which a look may be late in any case: machines are busy.
LATE = 1.0
# Seconds that the first look may take: nobody knows how long others have been blocked already.
BLOCKED = 0.2
# A primary key that no job has.
NOBODYS = -1


def heartbeat_interval() -> float:
    """Return the seconds from one heartbeat, which renews the lease, to the next."""
    return conf.WORKFLOW_LEASE_SECONDS / 3


def patience() -> float:
    """Return the seconds in which all who live renew their leases."""
    return heartbeat_interval() + RENEWAL


class Vigil:
    """Kept by whoever looks, again and again, for leases that ran out.

    It goes by the database's clock, as the leases do. So it sees all that may come between two
    looks: a process or a machine that stood still, with its own clocks or without them; a query
    that was blocked; a clock that was put forward. Of the time before its first look it knows
    nothing: whoever goes on to look doubts at first.

    Args:
        pace: seconds between two looks, at most.
    """

    def __init__(self, pace: float) -> None:
        self._pace = pace
        # By the database's clock.
        self._looked_at: float | None = None
        # By the monotonic clock, which stops with a suspended machine: to renew takes time awake.
        self._doubts_until = 0.0

    @property
    def pace(self) -> float:
        """Seconds between two looks."""
        # A living worker's lease has two thirds left, at least, whenever a standstill begins. One
        # that escapes the vigil is shorter than half a lease.
        return min(self._pace, heartbeat_interval())

    def keep(self) -> bool:
        """Look whether leases can be renewed just now, and how late it is.

        To be called at each look, and once more before the end of a transaction that takes over.

        Returns:
            Whether those who haven't renewed a lease that ran out are lost.

        Raises:
            DatabaseError: the database is away, or takes no writes.
        """
        before, expected = self._looked_at, self.pace + max(LATE, heartbeat_interval() / 2)
        if before is None:
            before, expected = _read_clock(), BLOCKED
        _wait_as_a_renewal_would()
        self._looked_at = _read_clock()
        if self._looked_at - before > expected:
            self.doubt()
        return time.monotonic() >= self._doubts_until

    def doubt(self) -> None:
        """Take no lease for lost until the living have had the time to renew theirs."""
        self._doubts_until = time.monotonic() + patience()


def _wait_as_a_renewal_would() -> None:
    """Write nothing into the jobs; others may keep that waiting who let everybody read."""
    Job.objects.filter(pk=NOBODYS).update(lease_until=None)


def _read_clock() -> float:
    """Return the database's clock, in seconds."""
    moment = get_database().read_clock(connection)
    return time.time() if moment is None else moment.timestamp()
