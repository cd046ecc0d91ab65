"""The watchdog: one thread in each process that runs jobs. It renews their leases, and stops them.

A job that is cancelled, runs out of time or loses its lease is interrupted where it stands: in a
worker's main thread by a signal, elsewhere at its next step, progress or AI call.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from workflows.bells import Subscription, get_bell
from workflows.exceptions import (
    AttemptLost,
    Cancelled,
    DeadlineExceeded,
    Fenced,
    Interrupt,
    ShuttingDown,
    first_line,
)
from workflows.models import Job, State
from workflows.store import lifecycle

logger = logging.getLogger(__name__)

# Seconds that interrupted code has to leave before its whole process is ended.
GRACE = 5.0
# Seconds between two signals to code that doesn't notice: one that comes just before a blocking
# call is seen only when that call returns, or at the next signal. Not too often: psycopg, which
# waits in pieces of 0.1 s, would begin the same piece anew at each of them, and never look up.
NUDGE = 0.25
# Seconds before leases are renewed again that could not be: the database may be back any moment,
# and other clusters will soon look for leases that ran out meanwhile.
RETRY = 0.2
# Seconds that an attempt runs before its watchdog listens for its cancellation. Most have ended by
# then, and PostgreSQL wakes every connection that listens for whatever anybody rings.
UNHEARD = 0.2
# Seconds without an attempt after which it listens no more.
LINGER = 5.0


def renewal() -> float:
    """Return after how many seconds a lease is renewed."""
    return settings.WORKFLOW_LEASE_SECONDS / 3


class Attempt:
    """One running attempt, as its watchdog and its context see it.

    Args:
        job: as claimed.
        limit: seconds that the job may run, over all its attempts.
        interruptible: it runs in the main thread of a worker, where a signal can stop it.
    """

    def __init__(self, job: Job, limit: float, *, interruptible: bool) -> None:
        self.job = job
        self.limit = limit
        self.deadline = time.monotonic() + max(0.0, limit - job.ran_for)
        self.renew_at = time.monotonic() + renewal()
        # When to begin to listen for its cancellation; None when that is done.
        self.listen_at: float | None = time.monotonic() + UNHEARD
        # What the watchdog is to do in its own thread, and when.
        self.alarm: tuple[float, Callable[[], None]] | None = None
        self.interruptible = interruptible
        self.interrupt: Interrupt | None = None
        self.interrupted_at = 0.0
        # The interruption was raised in the workflow's code; raised again it would disturb the
        # cleaning up.
        self.noticed = False
        self.nudged_at = 0.0
        self._shields = 0

    @property
    def key(self) -> tuple[int, int]:
        return self.job.pk, self.job.attempt

    def stop(self, interrupt: Interrupt) -> None:
        """Interrupt the attempt; only the first call counts."""
        if self.interrupt is not None:
            return
        # In this order: who sees the interruption knows since when.
        self.interrupted_at = time.monotonic()
        self.interrupt = interrupt
        self.nudge()

    def call_at(self, moment: float, action: Callable[[], None]) -> None:
        """Have the watchdog call *action*, once, at *moment*; in the place of an earlier one.

        Args:
            moment: by the monotonic clock.
            action: must be quick and must not raise.
        """
        self.alarm = (moment, action)
        get_watchdog().look_by(moment)

    def nudge(self) -> None:
        """Signal the worker's main thread, where the attempt runs in one."""
        self.nudged_at = time.monotonic()
        if self.interruptible:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def check(self) -> None:
        """Raise what the attempt was interrupted with, unless it is shielded."""
        if self.interrupt is None and time.monotonic() >= self.deadline:
            self.interrupted_at = time.monotonic()
            self.interrupt = DeadlineExceeded()
        if self.interrupt is not None and not self._shields:
            self.noticed = True
            raise self.interrupt

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Put interruptions off until the end: what is written inside is written whole."""
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


_running: Attempt | None = None


def install_signal_handler() -> None:
    """Let SIGUSR1 interrupt the attempt that runs in this process's main thread."""

    def interrupt(signum: int, frame: object) -> None:
        if _running is not None and _running.interrupt is not None and not _running.noticed:
            _running.check()

    signal.signal(signal.SIGUSR1, interrupt)


@contextmanager
def running(attempt: Attempt) -> Iterator[None]:
    """Run an attempt under the watchdog of this process."""
    global _running
    watchdog = get_watchdog()
    if attempt.interruptible:
        _running = attempt
    if not connection.in_atomic_block:
        # Else nobody but this thread sees the claim yet: the watchdog would take it for lost.
        watchdog.watch(attempt)
    try:
        yield
    finally:
        attempt.close()
        watchdog.unwatch(attempt)
        if attempt.interruptible:
            _running = None


class Watchdog(threading.Thread):
    """See the module."""

    def __init__(self, on_stuck: Callable[[Attempt], None] | None = None) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.pid = os.getpid()
        self._attempts: dict[tuple[int, int], Attempt] = {}
        # Reentrant, because shut_down() is called from a signal handler.
        self._lock = threading.RLock()
        self._look = threading.Event()
        # When it will look by itself.
        self._looks_at = 0.0
        self._subscription: Subscription | None = None
        # When it last had an attempt.
        self._busy_at = -LINGER
        # Something may have been cancelled.
        self._rung = False
        self._on_stuck = on_stuck or end_process
        self._reached = True

    def watch(self, attempt: Attempt) -> None:
        """Mind an attempt from now on. The thread stays asleep until something is due."""
        with self._lock:
            self._attempts[attempt.key] = attempt
            if not self.is_alive():
                self.start()
            self.look_by(_next_moment(attempt))

    def unwatch(self, attempt: Attempt) -> None:
        with self._lock:
            self._attempts.pop(attempt.key, None)
            self._busy_at = time.monotonic()

    def attempts(self) -> list[Attempt]:
        with self._lock:
            return list(self._attempts.values())

    def look_by(self, moment: float) -> None:
        """Look at the attempts no later than at *moment*."""
        with self._lock:
            if moment < self._looks_at:
                self._look.set()

    def run(self) -> None:
        while True:
            self._look.wait(self._seconds_to_next())
            self._look.clear()
            self._check_clocks()
            self._listen()
            # Not set back where it wasn't set: it may be just now.
            if rung := self._rung:
                self._rung = False
            attempts = self.attempts()
            if any(time.monotonic() >= attempt.renew_at for attempt in attempts):
                renewed = self._ask(lifecycle.renew)
                for attempt in attempts:
                    attempt.renew_at = time.monotonic() + (renewal() if renewed else RETRY)
            # On SQLite every write rings: a ring answered by a write would ring for ever.
            elif rung and not self._ask(lifecycle.held):
                _listen_later(attempts)

    def _listen(self) -> None:
        """Listen for cancellations while there are attempts for which it is worth while."""
        attempts, now = self.attempts(), time.monotonic()
        unheard = [
            each for each in attempts if each.listen_at is not None and now >= each.listen_at
        ]
        if unheard and self._subscription is None:
            try:
                # Not waited for: deadlines and leases are minded by this thread as well.
                self._subscription = get_bell().listen(("cancel",), self._on_ring, wait=False)
            except Exception as error:
                logger.warning("Cancellations can't be heard (%s).", first_line(error))
                _listen_later(unheard)
                return
        for attempt in unheard:
            attempt.listen_at = None
            # It may have been cancelled before.
            self._rung = True
        if not attempts and self._subscription is not None and now >= self._busy_at + LINGER:
            self._subscription.close(wait=False)
            self._subscription = None
            connection.close()

    def _on_ring(self, topic: str, key: int | None) -> None:
        if key is None or any(attempt.job.pk == key for attempt in self.attempts()):
            self._rung = True
            self._look.set()

    def _seconds_to_next(self) -> float:
        with self._lock:
            # An attempt that comes meanwhile has its first renewal later than this.
            moments = [time.monotonic() + renewal()]
            if not self._attempts and time.monotonic() < self._busy_at + LINGER:
                # So that one that comes soon need not wake it.
                moments.append(time.monotonic() + UNHEARD)
            moments += [_next_moment(attempt) for attempt in self._attempts.values()]
            self._looks_at = min(moments)
            return max(0.0, self._looks_at - time.monotonic())

    def _check_clocks(self) -> None:
        now = time.monotonic()
        for attempt in self.attempts():
            if attempt.alarm is not None and now >= attempt.alarm[0]:
                (_, action), attempt.alarm = attempt.alarm, None
                action()
            if attempt.interrupt is None and now >= attempt.deadline:
                attempt.stop(DeadlineExceeded())
            elif attempt.interrupt is not None:
                if now >= attempt.interrupted_at + GRACE:
                    self.unwatch(attempt)
                    if attempt.interruptible:
                        self._on_stuck(attempt)
                    else:
                        end_without(attempt)
                elif (
                    attempt.interruptible
                    and not attempt.noticed
                    and now >= attempt.nudged_at + NUDGE
                ):
                    attempt.nudge()

    def _ask(self, which_are_held: Callable[[list[tuple[int, int]]], dict[int, str]]) -> bool:
        """Stop what was cancelled or lost, and say whether the database could be asked."""
        attempts = self.attempts()
        try:
            held = which_are_held([attempt.key for attempt in attempts])
        except DatabaseError as error:
            # The lease may run out meanwhile; then the fence keeps this attempt from writing.
            if self._reached:
                logger.warning("No lease could be renewed (%s); trying again.", first_line(error))
            self._reached = False
            connection.close()
            return False
        self._reached = True
        for attempt in attempts:
            code = held.get(attempt.job.pk)
            if code:
                attempt.stop(Cancelled(code))
            elif code is None and attempt in self.attempts():
                attempt.stop(AttemptLost())
        return True


def _listen_later(attempts: list[Attempt]) -> None:
    """Have them looked after again soon, as if they weren't listened for yet."""
    for attempt in attempts:
        attempt.listen_at = time.monotonic() + RETRY


def _next_moment(attempt: Attempt) -> float:
    """Return when the watchdog has something to do for an attempt."""
    moments = [attempt.renew_at]
    if attempt.listen_at is not None:
        moments.append(attempt.listen_at)
    if attempt.alarm is not None:
        moments.append(attempt.alarm[0])
    if attempt.interrupt is None:
        moments.append(attempt.deadline)
    else:
        moments.append(attempt.interrupted_at + GRACE)
        if attempt.interruptible and not attempt.noticed:
            moments.append(attempt.nudged_at + NUDGE)
    return min(moments)


def end_without(attempt: Attempt) -> None:
    """End a job whose code is blocked in a web process; the fence stops it when it goes on."""
    try:
        lifecycle.end(attempt.job, outcome_of(attempt.interrupt, attempt.limit))
    except (Fenced, Interrupt):
        # It has just ended, or it is somebody else's by now.
        pass
    except DatabaseError as error:
        logger.error("%s could not be ended (%s).", attempt.job, first_line(error))
        connection.close()


def end_process(attempt: Attempt) -> None:
    """End a job whose code ignores its interruption, and this process with it."""
    logger.error("%s did not stop when it was told to; ending its worker.", attempt.job)
    try:
        lifecycle.end(attempt.job, outcome_of(attempt.interrupt, attempt.limit))
    except Exception as error:
        logger.error(
            "%s could not be ended (%s); its lease will run out.", attempt.job, first_line(error)
        )
    finally:
        os._exit(1)


def outcome_of(interrupt: Interrupt | None, limit: float) -> lifecycle.Outcome:
    """Return how a job ends that was interrupted."""
    if isinstance(interrupt, Cancelled):
        return lifecycle.cancelled(interrupt.code)
    if isinstance(interrupt, DeadlineExceeded):
        error = lifecycle.TIMED_OUT.format(limit=limit)
        return lifecycle.Outcome(State.TIMEOUT, code="timeout", error=error)
    raise interrupt or AttemptLost()


def shut_down() -> None:
    """Interrupt every attempt of this process, so that its job goes back to the queue."""
    for attempt in get_watchdog().attempts():
        attempt.stop(ShuttingDown())


_watchdog: Watchdog | None = None
_watchdog_lock = threading.RLock()


def get_watchdog() -> Watchdog:
    """Return the watchdog of this process; a forked process gets one of its own."""
    global _watchdog
    with _watchdog_lock:
        if _watchdog is None or _watchdog.pid != os.getpid():
            _watchdog = Watchdog()
        return _watchdog
