"""The pulse of an event loop that many runs share: a thread that sees when it stands still.

A coroutine that blocks, with ``time.sleep()`` or a long computation, holds up all others of its
worker. It is named in the log after half a second, and is stopped when it goes on for too long.
Meanwhile the watchdog, a thread as well, keeps everybody's lease alive.
"""

import asyncio
import gc
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType

from chatflow.workflows.exceptions import LoopBlocked
from chatflow.workflows.running.attempt import NUDGE, Attempt
from chatflow.workflows.running.ownership import find_owner
from chatflow.workflows.running.watchdog import GRACE, end_process

logger = logging.getLogger(__name__)

# Seconds between two beats, and those after which one is missing.
BEAT = 0.1
MISSING = 0.5
# Seconds after which a loop that can't be freed is given up, and its process with it.
LAST = 2 * GRACE


def frame_of(thread: int) -> FrameType | None:
    """Return the frame in which a thread is just now; None where there is no such thread.

    Without the collector: one that began in the middle of it would stop all threads for ever
    (CPython's gh-106883).

    Args:
        thread: its ident.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(thread)
    finally:
        if collects:
            gc.enable()


class Pulse(threading.Thread):
    """Watches the event loop of the main thread. Begun where the loop runs.

    Args:
        on_block: called when the loop stands still.

    Attributes:
        blocker: the attempt that is to be stopped, as it blocks the loop.
    """

    def __init__(self, on_block: Callable[[], None]) -> None:
        super().__init__(name="pulse", daemon=True)
        self._on_block = on_block
        self.blocker: Attempt | None = None
        self._loop = asyncio.get_running_loop()
        self._main = threading.get_ident()
        self._wanted = threading.Event()
        self._beaten = threading.Event()

    def begin(self) -> None:
        """Watch from now on."""
        self._wanted.set()

    def rest(self) -> None:
        """Watch no more: nothing runs."""
        self._wanted.clear()

    def run(self) -> None:
        while self._wanted.wait():
            self._beaten.clear()
            try:
                self._loop.call_soon_threadsafe(self._beaten.set)
            except RuntimeError:
                # It is closed.
                return
            if not self._beaten.wait(MISSING):
                self._find_blocker()
            time.sleep(BEAT)

    def _find_blocker(self) -> None:
        """Name who blocks the loop, and see to it that it beats again."""
        began = time.monotonic() - MISSING
        attempt = find_owner(asyncio.current_task(self._loop))
        name = f"{attempt.job} ({attempt.job.workflow})" if attempt else "Something"
        stack = "".join(traceback.format_stack(frame_of(self._main)))
        self._on_block()
        logger.warning("%s blocks its worker, and all that runs there:\n%s", name, stack)
        while True:
            if attempt is not None:
                self._press(attempt, time.monotonic() - began, stack)
            if self._beaten.wait(NUDGE):
                break
        self.blocker = None

    def _press(self, attempt: Attempt, seconds: float, stack: str) -> None:
        """Take note for how long an attempt has blocked the loop, and stop it when that is over."""
        attempt.blocked = f"It blocked its worker for {seconds:.1f} seconds:\n{stack}"
        if seconds < GRACE:
            return
        self.blocker = attempt
        attempt.stop(LoopBlocked())
        if seconds >= LAST:
            end_process(attempt)
        signal.pthread_kill(self._main, signal.SIGUSR1)

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Interrupt the blocker where it stands. The main thread's handler of SIGUSR1."""
        attempt = find_owner(asyncio.current_task(self._loop)) if self.blocker else None
        if attempt is not None and attempt is self.blocker and attempt.interrupt is not None:
            raise attempt.interrupt
