"""The pen of a run: it appends its events, through outages, and its words some at a time."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any, TypeVar

from django.db import Error as DatabaseError

from chatflow.workflows.db import atomic, connection, in_atomic_block
from chatflow.workflows.exceptions import AttemptLost, Fenced, first_line
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.running.attempt import Attempt
from chatflow.workflows.store import events
from chatflow.workflows.store.outage import (
    database_answers,
    despite_conflicts,
    is_outage,
    is_passing,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two tries to reach a database that is away.
RECONNECT = 0.2
# Words that follow each other faster than this, in seconds, are shown together: a model's tokens
# would each cost a row, a commit and a frame. So many characters don't wait.
PACE = 0.05
BULK = 2000


class EventWriter:
    """Writes the events of a running attempt; every write begins with the words that still wait.

    Args:
        job: as claimed; its progress and its head of the log follow each write.
        attempt: the running one; it isn't interrupted in the middle of a write.
        bring: where a shared pen writes the words of many runs, brings it this writer when there
            are some.

    Attributes:
        send_at: when words may be shown again, by the monotonic clock.
    """

    def __init__(self, job: Job, attempt: Attempt, bring: "Bring | None" = None) -> None:
        self._job = job
        self._attempt = attempt
        self._bring = bring
        # Who writes holds it: the workflow, or the watchdog with words that nothing follows.
        self._pen = threading.RLock()
        # Words that wait, and those of them that are being written.
        self._words: deque[str] = deque()
        self._sending = ""
        self.send_at = 0.0
        # A write was not confirmed, and may have been committed: the head of the log before it.
        self._unconfirmed: int | None = None
        # Transactions of the workflow's that are open; until they end, nobody else writes.
        self._transactions = 0

    @property
    def key(self) -> tuple[int, int]:
        """The job's primary key and the attempt's number."""
        return self._attempt.key

    @property
    def is_shared(self) -> bool:
        """Whether a shared pen writes the words."""
        return self._bring is not None

    def append(
        self,
        type: Event.Type,
        *,
        progress: int = 0,
        message: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Append an event.

        Args:
            type: of the event.
            progress: percent; the job's own never goes back.
            message: what the workflow is doing now.
            data: JSON, as the event's type has it.

        Raises:
            AttemptLost: somebody else owns the job now.
        """
        progress = min(99, max(0, progress))

        def append() -> None:
            self._job.last_seq = events.append(
                self._job.pk, self._job.attempt, type, progress=progress, message=message, data=data
            )

        with self.writing():
            self.persist(append)
        self._job.progress = max(self._job.progress, progress)
        self._job.progress_message = message or self._job.progress_message

    def show(self, words: str) -> None:
        """Append more words, soon; at once unless others have only just been shown."""
        self._words.append(words)
        if self._bring is not None:
            if not self._transactions and not in_atomic_block():
                # Else they are seen at the commit, and the row is locked until then.
                self._bring(self)
        elif time.monotonic() >= self.send_at or sum(map(len, self._words)) >= BULK:
            self.flush()
        elif len(self._words) == 1 and not connection.in_atomic_block:
            self._attempt.call_at(self.send_at, self._send_from_watchdog)

    def flush(self) -> None:
        """Append the words that wait."""
        with self.writing():
            pass

    def forget(self, head: int) -> None:
        """Drop the words that wait, and whatever was rolled back behind the event *head*."""
        self._words.clear()
        self._sending = ""
        self._job.last_seq = head

    @contextmanager
    def in_transaction(self) -> Iterator[None]:
        """Leave the words to the workflow's own writes: it has a transaction meanwhile.

        Who else would write might wait for the end of that, which might wait for this pen.
        """
        with self._pen:
            self._transactions += 1
        try:
            yield
        finally:
            self._transactions -= 1
            if self._bring is not None and self.has_words:
                self._bring(self)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write without being interrupted; a stale attempt stops here.

        Raises:
            AttemptLost: somebody else owns the job now.
        """
        with self._pen, self._attempt.shielded():
            try:
                self._send(self.persist)
                yield
            except Fenced:
                raise AttemptLost from None

    def persist(self, write: Callable[[], None]) -> None:
        """Call *write*, again if the database goes away meanwhile, until it is written once.

        Args:
            write: appends an event, and whatever belongs to it in the same transaction.
        """
        self.wait_out(lambda: self._write_once(write))

    def wait_out(self, query: Callable[[], T]) -> T:
        """Call *query*, again while the database is away or others are in its way.

        It is tried until the attempt is interrupted. Inside of a transaction of the workflow's it
        is tried a few times: all that the transaction holds is locked meanwhile.

        Args:
            query: a statement or a transaction of the engine's, which may be repeated.
        """
        if connection.in_atomic_block:
            return despite_conflicts(query)
        for pause in pauses():
            try:
                return query()
            except DatabaseError as error:
                if not is_passing(error):
                    raise
                if is_outage(error):
                    # The next connection may lead to another server.
                    connection.close()
            self._wait_for_database(pause)
        raise AssertionError("A query neither returned nor raised.")

    def read(self, query: Callable[[], T]) -> T:
        """Do the same with a query that only reads, and so is no transaction by itself."""
        if not connection.in_atomic_block:
            return self.wait_out(query)

        def read_in_savepoint() -> T:
            # PostgreSQL answers nothing more in a transaction in which a query has failed.
            with atomic():
                return query()

        return self.wait_out(read_in_savepoint)

    def _send(self, write: Callable[[Callable[[], None]], None]) -> None:
        while self._sending or self._words:
            self._gather()
            write(self._append_words)
            self._sending = ""
            self.send_at = time.monotonic() + PACE

    def _gather(self) -> None:
        if not self._sending:
            # The words of an unconfirmed write stay by themselves.
            self._sending = "".join(self._words.popleft() for _ in range(len(self._words)))

    def _append_words(self) -> None:
        self._job.last_seq = events.append(
            self._job.pk, self._job.attempt, Event.Type.DELTA, data={"delta": self._sending}
        )

    # For a shared pen, in its thread.

    def lend(self) -> str | None:
        """Lend the pen, and return the words to be written with it.

        Returns:
            The words, not empty; then take_back() must follow, in the same thread. None where
            there are none, or they are to be sent by send().
        """
        if not self._pen.acquire(blocking=False):
            return None
        if not self._transactions and self._unconfirmed is None:
            self._gather()
            if self._sending:
                return self._sending
        self._pen.release()
        return None

    def take_back(self, seq: int | None = None, *, unconfirmed: bool = False) -> None:
        """Take back the pen that lend() has lent.

        Args:
            seq: of the event with the words; None where they weren't written.
            unconfirmed: nobody knows whether they were.
        """
        if seq is not None:
            self._job.last_seq, self._sending = seq, ""
        elif unconfirmed:
            self._unconfirmed = self._job.last_seq
        else:
            # By itself they would stay; more may be written with them the next time.
            self._words.appendleft(self._sending)
            self._sending = ""
        self.send_at = time.monotonic() + PACE
        self._pen.release()

    @property
    def has_words(self) -> bool:
        """Whether words wait that a shared pen may write."""
        return not self._transactions and bool(self._words or self._sending)

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the last write may have been committed, or not."""
        return self._unconfirmed is not None

    def send(self) -> None:
        """Append the words that wait, while the workflow does something else.

        Raises:
            DatabaseError: it failed; the words wait on.
        """
        if not self._pen.acquire(blocking=False):
            # Whoever writes has begun with them.
            return
        try:
            if not self._transactions:
                self._send(self._write_once)
        except (Fenced, AttemptLost):
            # The workflow will notice by itself.
            pass
        finally:
            self._pen.release()

    # Inside.

    def _send_from_watchdog(self) -> None:
        try:
            self.send()
        except DatabaseError as error:
            logger.warning("%s: its words could not be shown (%s).", self._job, first_line(error))
            connection.close()
            self._attempt.call_at(time.monotonic() + RECONNECT, self._send_from_watchdog)

    def _write_once(self, write: Callable[[], None]) -> None:
        """Write, unless the last try was committed, though its confirmation was lost.

        Every write appends an event, and nobody else appends to the job: so the head of the log
        tells whether it was.
        """
        if self._unconfirmed is not None and self._was_committed(self._unconfirmed):
            return
        head = self._job.last_seq
        try:
            write()
        except DatabaseError as error:
            # After a conflict too: it may have been the ring's, behind the commit.
            if not connection.in_atomic_block and is_passing(error):
                self._unconfirmed = head
            raise

    def _was_committed(self, head: int) -> bool:
        """Return whether the unconfirmed write, before which the log ended at *head*, stands."""
        mine = Job.objects.filter(pk=self._job.pk, attempt=self._job.attempt)
        job = mine.filter(state=State.PROCESSING).first()
        if job is None:
            raise AttemptLost
        self._unconfirmed = None
        self._job.last_seq = job.last_seq
        return job.last_seq > head

    def _wait_for_database(self, pause: float) -> None:
        while pause or not database_answers():
            if self._attempt.interrupt is not None:
                raise self._attempt.interrupt
            time.sleep(pause or RECONNECT)
            pause = 0.0


# Brings a writer whose words wait to a shared pen.
Bring = Callable[[EventWriter], None]


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before each further try of what must succeed in the end.

    The first failure may just be that of a connection that idled too long.
    """
    return chain([0.0], repeat(RECONNECT))
