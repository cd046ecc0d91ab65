"""The pen of a run: it appends its events, through outages, and its words some at a time."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from workflows.exceptions import AttemptLost, Fenced, first_line
from workflows.models import Event, Job, State
from workflows.running.watchdog import Attempt
from workflows.store import events
from workflows.store.outage import database_answers, is_outage

logger = logging.getLogger(__name__)

# Seconds between two tries to reach a database that is away.
RECONNECT = 0.2
# Words that follow each other faster than this, in seconds, are shown together: a model's tokens
# would each cost a row, a commit and a frame. So many characters don't wait.
PACE = 0.05
BULK = 2000


class Writing:
    """Writes events of a running attempt; every write begins with the words that still wait."""

    def __init__(self, job: Job, attempt: Attempt) -> None:
        self.job = job
        self._attempt = attempt
        # Who writes holds it: the workflow, or the watchdog with words that nothing follows.
        self._pen = threading.RLock()
        # Words that wait, and those of them that are being written.
        self._words: deque[str] = deque()
        self._sending = ""
        self._send_at = 0.0
        # Where the head of the log was before a write of which it isn't known whether it stands.
        self._doubt: int | None = None

    def flush(self) -> None:
        """Show the words that wait."""
        with self._writing():
            pass

    def _say(self, words: str) -> None:
        """Show more words, soon; at once unless others have only just been shown."""
        self._words.append(words)
        if time.monotonic() >= self._send_at or sum(map(len, self._words)) >= BULK:
            self.flush()
        elif len(self._words) == 1 and not connection.in_atomic_block:
            # Else they are seen at the commit, and the row is locked until then.
            self._attempt.call_at(self._send_at, self._send_from_watchdog)

    def _unsay(self) -> None:
        """Forget the words that wait."""
        self._words.clear()
        self._sending = ""

    def _send(self, write: Callable[[Callable[[], None]], None]) -> None:
        while self._sending or self._words:
            if not self._sending:
                # What an earlier try may have written stays by itself.
                self._sending = "".join(self._words.popleft() for _ in range(len(self._words)))
            write(self._append_words)
            self._sending = ""
            self._send_at = time.monotonic() + PACE

    def _append_words(self) -> None:
        self.job.last_seq = events.append(
            self.job.pk, self.job.attempt, Event.Type.DELTA, data={"delta": self._sending}
        )

    def _send_from_watchdog(self) -> None:
        """Show the words that wait, while the workflow does something else."""
        if not self._pen.acquire(blocking=False):
            # Whoever writes has begun with them.
            return
        try:
            self._send(self._once)
        except (Fenced, AttemptLost):
            # The workflow will notice by itself.
            pass
        except DatabaseError as error:
            logger.warning("%s: its words could not be shown (%s).", self.job, first_line(error))
            connection.close()
            self._attempt.call_at(time.monotonic() + RECONNECT, self._send_from_watchdog)
        finally:
            self._pen.release()

    def _append(
        self,
        type: Event.Type,
        *,
        progress: int = 0,
        message: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        progress = min(99, max(0, progress))

        def append() -> None:
            self.job.last_seq = events.append(
                self.job.pk, self.job.attempt, type, progress=progress, message=message, data=data
            )

        with self._writing():
            self._persist(append)
        self.job.progress = max(self.job.progress, progress)
        self.job.progress_message = message or self.job.progress_message

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write without being interrupted; a stale attempt stops here."""
        with self._pen, self._attempt.shielded():
            try:
                self._send(self._persist)
                yield
            except Fenced:
                raise AttemptLost from None

    def _persist(self, write: Callable[[], None]) -> None:
        """Write; and if the database goes away meanwhile, wait for it and write then."""
        while True:
            try:
                return self._once(write)
            except DatabaseError as error:
                if connection.in_atomic_block or not is_outage(error):
                    raise
            self._wait_for_database()

    def _once(self, write: Callable[[], None]) -> None:
        """Write, unless it is what was written already, without a confirmation, at the last try.

        Every write appends an event, and nobody else appends to the job: so the head of the log
        tells whether it stands.
        """
        if self._doubt is not None and self._stands(self._doubt):
            return
        head = self.job.last_seq
        try:
            write()
        except DatabaseError as error:
            if not connection.in_atomic_block and is_outage(error):
                self._doubt = head
            raise

    def _stands(self, head: int) -> bool:
        mine = Job.objects.filter(pk=self.job.pk, attempt=self.job.attempt)
        job = mine.filter(state=State.PROCESSING).first()
        if job is None:
            raise AttemptLost
        self._doubt = None
        self.job.last_seq = job.last_seq
        return job.last_seq > head

    def _wait_for_database(self) -> None:
        while not database_answers():
            if self._attempt.interrupt is not None:
                raise self._attempt.interrupt
            time.sleep(RECONNECT)
