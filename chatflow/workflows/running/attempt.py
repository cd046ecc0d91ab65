"""One running attempt: how long it may run, and the interruption that stops it."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chatflow.workflows.exceptions import DeadlineExceeded, Interrupt
from chatflow.workflows.models import Job
from chatflow.workflows.store.lifecycle import heartbeat_interval

# Seconds that an attempt runs before its watchdog listens for its cancellation. Most have ended by
# then, and PostgreSQL wakes every connection that listens for whatever anybody rings.
UNHEARD = 0.2
# Seconds between two signals to code that doesn't notice: one that comes just before a blocking
# call is seen only when that call returns, or at the next signal. Not too often: psycopg, which
# waits in pieces of 0.1 s, would begin the same piece anew at each of them, and never look up.
NUDGE = 0.25
# The same for a coroutine, which notices at once, and may wait for something when it cleans up.
NUDGE_COROUTINE = 1.0


class Attempt:
    """One running attempt, as its watchdog and its record see it.

    Args:
        job: as claimed.

    Attributes:
        limit: seconds that the job may run, over all its attempts; endless until its code begins.
        interruptible: it runs in the main thread of a worker, where a signal can stop it.
        deadline: when its time is over; this and all other moments are by the monotonic clock.
        heartbeat_at: when its lease is to be renewed.
        listen_at: when to begin to listen for its cancellation; None when that is done.
        alarm: a call that its watchdog is to make, and when.
        wake_by: tells its watchdog to look by a moment; set by the watchdog that watches it.
        interrupt: the reason why it is to stop.
        interrupted_at: since when.
        noticed: the interruption was raised in the workflow's code; raised again it would disturb
            the cleaning up.
        nudged_at: when it was last signalled.
        is_closed: the workflow's code has been left; its end is still to be stored.
        cancel: cancels its coroutine, where the workflow is one; from any thread.
        abandon: tells that its job was ended without its coroutine; from any thread.
        blocked: for the admin, where the coroutine has held up its event loop: for how long and
            where it stood.
    """

    def __init__(self, job: Job) -> None:
        now = time.monotonic()
        self.job = job
        self.limit = math.inf
        self.interruptible = False
        self.deadline = math.inf
        self.heartbeat_at = now + heartbeat_interval()
        self.listen_at: float | None = now + UNHEARD
        self.alarm: tuple[float, Callable[[], None]] | None = None
        self.wake_by: Callable[[float], None] | None = None
        self.interrupt: Interrupt | None = None
        self.interrupted_at = 0.0
        self.noticed = False
        self.nudged_at = 0.0
        self.is_closed = False
        self.cancel: Callable[[], None] | None = None
        self.abandon: Callable[[], None] | None = None
        self.blocked = ""
        self._shields = 0

    def begin(self, limit: float, *, interruptible: bool) -> None:
        """Count its time from now on.

        Args:
            limit: seconds that the job may run, over all its attempts.
            interruptible: it runs in the main thread of a worker, where a signal can stop it.
        """
        self.limit = limit
        self.interruptible = interruptible
        self.deadline = time.monotonic() + max(0.0, limit - self.job.ran_for)
        if self.wake_by is not None:
            self.wake_by(self.deadline)

    @property
    def key(self) -> tuple[int, int]:
        """The job's primary key and the attempt's number, which the lease belongs to."""
        return self.job.pk, self.job.attempt

    def check(self) -> None:
        """Raise the interruption, if there is one, unless the attempt is shielded."""
        if self.interrupt is None and time.monotonic() >= self.deadline:
            self.interrupted_at = time.monotonic()
            self.interrupt = DeadlineExceeded()
        if self.interrupt is not None and not self._shields:
            self.noticed = True
            raise self.interrupt

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Put interruptions off until the end: writes inside of it are finished."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if self.interrupt is not None:
            self.check()

    def close(self) -> None:
        """Put interruptions off for ever: the workflow's code has been left."""
        self._shields += 1
        self.is_closed = True

    def stop(self, interrupt: Interrupt) -> None:
        """Interrupt the attempt; only the first call counts, and none once it is closed."""
        if self.interrupt is not None or self.is_closed:
            return
        # In this order: who sees the interruption knows since when.
        self.interrupted_at = time.monotonic()
        self.interrupt = interrupt
        self.nudge()

    @property
    def nudge_at(self) -> float | None:
        """When to nudge it again; None while it isn't to stop, has noticed or can't be reached."""
        if self.interrupt is None or self.noticed:
            return None
        if self.cancel is not None:
            return self.nudged_at + NUDGE_COROUTINE
        return self.nudged_at + NUDGE if self.interruptible else None

    def nudge(self) -> None:
        """Cancel the attempt's coroutine, or signal the main thread where the attempt runs."""
        self.nudged_at = time.monotonic()
        if self.cancel is not None:
            self.cancel()
        elif self.interruptible:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def cancel_by(self, cancel: Callable[[], None]) -> None:
        """Let *cancel* stop the attempt from now on; it is called at once if it is to stop already.

        Args:
            cancel: may be called from any thread.
        """
        self.cancel = cancel
        if self.interrupt is not None:
            self.nudge()

    def call_at(self, moment: float, action: Callable[[], None]) -> None:
        """Have the watchdog call *action*, once, at *moment*; in the place of an earlier one.

        Nobody calls it for an attempt that isn't watched.

        Args:
            moment: by the monotonic clock.
            action: must be quick and must not raise.
        """
        self.alarm = (moment, action)
        if self.wake_by is not None:
            self.wake_by(moment)
