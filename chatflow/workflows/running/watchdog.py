"""The watchdog: one thread in each process that runs jobs. It sends the heartbeats of their
attempts, which renew their leases, and stops the attempts that must not go on.

An attempt that is cancelled, runs out of time or loses its lease is interrupted where it stands: in
a worker's main thread by a signal, a coroutine where it awaits something, and plain code elsewhere
at its next step, progress or call of a model.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error as DatabaseError

from chatflow.workflows.bells import Subscription, get_bell
from chatflow.workflows.db import atomic, connection
from chatflow.workflows.exceptions import (
    AttemptLost,
    Cancelled,
    DeadlineExceeded,
    Fenced,
    Interrupt,
    LoopBlocked,
    ShuttingDown,
    first_line,
)
from chatflow.workflows.models import State
from chatflow.workflows.running import journal
from chatflow.workflows.running.attempt import UNHEARD, Attempt
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle import Held
from chatflow.workflows.store.outage import despite_conflicts, on_live_connection

logger = logging.getLogger(__name__)

# Seconds that interrupted code has to leave before its whole process is ended.
GRACE = 5.0
# Seconds from a heartbeat that failed to the next: the database may be back any moment, and other
# clusters will soon look for leases that ran out meanwhile.
RETRY = 0.2
# Seconds to the next heartbeat where one found the job's row locked: a lock that comes and goes is
# not to cost a lease. An atomic step may hold it for long.
LOCKED = 1.0
# Seconds to wait for somebody else's lock when a job is ended in the name of its code.
LOCK_WAIT = 0.5
# Seconds without an attempt after which the watchdog listens for no cancellation.
LINGER = 5.0

FAILED = "The workflow failed. The error has been logged."

# The attempt that runs in this process's main thread.
_running: Attempt | None = None


def install_signal_handler() -> None:
    """Let SIGUSR1 interrupt the attempt that runs in this process's main thread."""

    def interrupt(signum: int, frame: object) -> None:
        if _running is not None and _running.interrupt is not None and not _running.noticed:
            _running.check()

    signal.signal(signal.SIGUSR1, interrupt)


@contextmanager
def running(attempt: Attempt) -> Iterator[None]:
    """Run an attempt's code, which may be interrupted from its first line to its last."""
    global _running
    if attempt.interruptible:
        _running = attempt
    try:
        yield
    finally:
        attempt.close()
        if attempt.interruptible:
            _running = None


class Watchdog(threading.Thread):
    """See the module.

    Args:
        on_stuck: called with an attempt in a worker's main thread that ignores its interruption;
            by default its process is ended.

    Attributes:
        pid: the process that it belongs to.
        wakeup: set, it has the thread look at once.
        subscription: hears of cancellations, while there is one.
        is_told: somebody else listens for cancellations, and calls hear().
    """

    def __init__(self, on_stuck: Callable[[Attempt], None] | None = None) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.pid = os.getpid()
        self.wakeup = threading.Event()
        self.subscription: Subscription | None = None
        self.is_told = False
        self._on_stuck = on_stuck or end_process
        self._attempts: dict[tuple[int, int], Attempt] = {}
        # Reentrant, because shut_down() is called from a signal handler.
        self._lock = threading.RLock()
        # When it will look by itself, and when it last had an attempt.
        self._looks_at = 0.0
        self._busy_at = -LINGER
        # An attempt may have been cancelled.
        self._rung = False
        # The database was there at the last heartbeat.
        self._reached = True

    def watch(self, attempt: Attempt) -> None:
        """Watch an attempt from now on. The thread stays asleep until something is due."""
        with self._lock:
            self._attempts[attempt.key] = attempt
            attempt.wake_by = self.look_by
            if not self.is_alive():
                self.start()
            self.look_by(_next_moment(attempt))

    def unwatch(self, attempt: Attempt) -> None:
        """Let go of an attempt."""
        with self._lock:
            self._attempts.pop(attempt.key, None)
            self._busy_at = time.monotonic()

    def attempts(self) -> list[Attempt]:
        """Return the watched attempts."""
        with self._lock:
            return list(self._attempts.values())

    def lose(self, key: tuple[int, int]) -> None:
        """Stop an attempt that was found to have lost its job."""
        for attempt in self.attempts():
            if attempt.key == key:
                attempt.stop(AttemptLost())

    def look_by(self, moment: float) -> None:
        """Look at the attempts no later than at *moment*, by the monotonic clock."""
        with self._lock:
            if moment < self._looks_at:
                self.wakeup.set()

    def hear(self, topic: str, key: int | None) -> None:
        """Look at once if the job *key*, or any at all, may have been cancelled."""
        if key is None or any(attempt.job.pk == key for attempt in self.attempts()):
            self._rung = True
            self.wakeup.set()

    def run(self) -> None:
        """Look at the attempts whenever something is due."""
        while True:
            self.wakeup.wait(self.seconds_to_next())
            self.wakeup.clear()
            self.forgive_standstill(time.monotonic() - self._looks_at)
            self.look()

    def forgive_standstill(self, late: float) -> None:
        """Leave interrupted code its grace, if the whole process has stood still.

        Args:
            late: seconds that this look comes later than it was meant to.
        """
        if late >= GRACE / 2:
            for attempt in self.attempts():
                attempt.interrupted_at = min(attempt.interrupted_at + late, time.monotonic())

    def seconds_to_next(self) -> float:
        """Return the seconds until something is due."""
        with self._lock:
            # An attempt that comes meanwhile has its first heartbeat later than this.
            moments = [time.monotonic() + lifecycle.heartbeat_interval()]
            if not self._attempts and time.monotonic() < self._busy_at + LINGER:
                # So that one that comes soon need not wake it.
                moments.append(time.monotonic() + UNHEARD)
            moments += [_next_moment(attempt) for attempt in self._attempts.values()]
            self._looks_at = min(moments)
            return max(0.0, self._looks_at - time.monotonic())

    def look(self) -> None:
        """See to the attempts' due alarms, deadlines, heartbeats and cancellations."""
        for attempt in self.attempts():
            self._check_clock(attempt)
        self._listen()
        # Not set back where it wasn't set: it may be just now.
        if rung := self._rung:
            self._rung = False
        attempts = self.attempts()
        if any(time.monotonic() >= attempt.heartbeat_at for attempt in attempts):
            # The lease counts from there, however long the renewal is blocked.
            began = time.monotonic()
            held = self._check_leases(lifecycle.renew)
            for attempt in attempts:
                attempt.heartbeat_at = _next_heartbeat(attempt, held, began)
        # On SQLite every write rings: a ring answered by a write would ring for ever.
        elif rung and self._check_leases(lifecycle.held) is None:
            _listen_later(attempts)

    def _check_clock(self, attempt: Attempt) -> None:
        """Call an attempt's alarm, stop it at its deadline, and see to it that it stops."""
        now = time.monotonic()
        if attempt.is_closed:
            return
        if attempt.alarm is not None and now >= attempt.alarm[0]:
            (_, action), attempt.alarm = attempt.alarm, None
            action()
        if attempt.interrupt is None:
            if now >= attempt.deadline:
                attempt.stop(DeadlineExceeded())
        elif now >= attempt.interrupted_at + GRACE:
            self.unwatch(attempt)
            if attempt.interruptible:
                self._on_stuck(attempt)
            else:
                end_without(attempt)
        elif attempt.nudge_at is not None and now >= attempt.nudge_at:
            attempt.nudge()

    def _listen(self) -> None:
        """Listen for cancellations while there are attempts for which it is worth while."""
        attempts, now = self.attempts(), time.monotonic()
        unheard = [
            each
            for each in attempts
            if each.listen_at is not None and now >= each.listen_at and not each.is_closed
        ]
        if unheard and self.subscription is None and not self.is_told:
            try:
                # Not waited for: deadlines and heartbeats are this thread's as well.
                self.subscription = get_bell().listen(("cancel",), self.hear, wait=False)
            except Exception as error:
                logger.warning("Cancellations can't be heard (%s).", first_line(error))
                _listen_later(unheard)
                return
        for attempt in unheard:
            attempt.listen_at = None
            # It may have been cancelled before.
            self._rung = True
        if not attempts and self.subscription is not None and now >= self._busy_at + LINGER:
            self.subscription.close(wait=False)
            self.subscription = None
            connection.close()

    def _check_leases(self, read: Callable[[list[tuple[int, int]]], Held]) -> Held | None:
        """Stop the attempts that were cancelled or have lost their lease.

        Args:
            read: renews the leases, or only reads them.

        Returns:
            What *read* returned; None if the database was away.
        """
        attempts = self.attempts()
        try:
            held = on_live_connection(lambda: read([attempt.key for attempt in attempts]))
        except DatabaseError as error:
            # The lease may run out meanwhile; then the fence keeps this attempt from writing.
            if self._reached:
                logger.warning("No lease could be renewed (%s); trying again.", first_line(error))
            self._reached = False
            return None
        self._reached = True
        for attempt in attempts:
            code = held.codes.get(attempt.job.pk)
            if code:
                attempt.stop(Cancelled(code))
            elif code is None and attempt in self.attempts():
                attempt.stop(AttemptLost())
        return held


def _listen_later(attempts: list[Attempt]) -> None:
    """Look for their cancellations again soon, as if nobody listened for them yet."""
    for attempt in attempts:
        attempt.listen_at = time.monotonic() + RETRY


def _next_heartbeat(attempt: Attempt, held: Held | None, began: float) -> float:
    """Return when an attempt's lease is to be renewed again.

    Args:
        attempt: one whose lease was to be renewed.
        held: how that went; None if the database was away.
        began: when it was begun.
    """
    if held is None:
        return time.monotonic() + RETRY
    pause = lifecycle.heartbeat_interval()
    return began + (min(LOCKED, pause) if attempt.job.pk in held.locked else pause)


def _next_moment(attempt: Attempt) -> float:
    """Return when the watchdog has something to do for an attempt."""
    if attempt.is_closed:
        return attempt.heartbeat_at
    moments = [attempt.heartbeat_at]
    if attempt.listen_at is not None:
        moments.append(attempt.listen_at)
    if attempt.alarm is not None:
        moments.append(attempt.alarm[0])
    if attempt.interrupt is None:
        moments.append(attempt.deadline)
    else:
        moments.append(attempt.interrupted_at + GRACE)
        if attempt.nudge_at is not None:
            moments.append(attempt.nudge_at)
    return min(moments)


def end_without(attempt: Attempt) -> None:
    """End a job whose code doesn't stop and can't be killed; the fence keeps it from writing."""
    try:
        end_interrupted(attempt)
    except (Fenced, Interrupt):
        # It has just ended, or it is somebody else's by now.
        pass
    except DatabaseError as error:
        logger.error("%s could not be ended (%s).", attempt.job, first_line(error))
        connection.close()
    finally:
        if attempt.abandon is not None:
            attempt.abandon()


def end_process(attempt: Attempt) -> None:
    """End a job whose code ignores its interruption, and this process with it."""
    logger.error("%s did not stop when it was told to; ending its worker.", attempt.job)
    try:
        end_interrupted(attempt)
    except Exception as error:
        logger.error(
            "%s could not be ended (%s); its lease will run out.", attempt.job, first_line(error)
        )
    finally:
        os._exit(1)


def end_interrupted(attempt: Attempt) -> lifecycle.Outcome:
    """End a job in the name of its code, which doesn't stop when it is told to."""
    outcome = outcome_of(attempt.interrupt, attempt.limit)

    def end() -> lifecycle.Outcome:
        with atomic():
            # Others' leases are to be renewed meanwhile, by this thread.
            get_database().limit_lock_waits(LOCK_WAIT)
            return lifecycle.end(attempt.job, outcome)

    # The watchdog's connection may have idled until the server closed it.
    ended = on_live_connection(lambda: despite_conflicts(end))
    journal.tell_end(attempt.job, ended)
    return ended


def outcome_of(interrupt: Interrupt | None, limit: float) -> lifecycle.Outcome:
    """Return how a job ends that was interrupted.

    Raises:
        Interrupt: this one doesn't end it.
    """
    if isinstance(interrupt, Cancelled):
        return lifecycle.cancelled(interrupt.code)
    if isinstance(interrupt, DeadlineExceeded):
        error = lifecycle.TIMED_OUT.format(limit=limit)
        return lifecycle.Outcome(State.TIMEOUT, code="timeout", error=error)
    if isinstance(interrupt, LoopBlocked):
        traceback = (LoopBlocked.__doc__ or "").strip()
        return lifecycle.Outcome(
            State.FAILED, code="workflow_failed", error=FAILED, traceback=traceback
        )
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
