"""The pen that many runs share: it writes the words of all of them in one statement.

A model's words come in pieces, many times a second. With a hundred runs in a process, a statement
and a commit for each piece would keep the database busy with nothing else. So there is never more
than one such statement under way: whatever comes meanwhile waits for the next one.
"""

import logging
import math
import threading
import time
from collections.abc import Callable

from django.db import Error as DatabaseError

from chatflow.workflows.db import connection
from chatflow.workflows.exceptions import first_line
from chatflow.workflows.running.event_writer import RECONNECT, EventWriter
from chatflow.workflows.store import events, lifecycle
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.outage import is_passing

logger = logging.getLogger(__name__)

# Seconds until a writer is looked at again that was writing itself.
SOON = 0.01
# Seconds from the end of one statement to the beginning of the next, at least: others write too.
GAP = 0.004


class SharedPen(threading.Thread):
    """The thread that holds it.

    Args:
        on_lost: called with the key of an attempt that has lost its job.
    """

    def __init__(self, on_lost: Callable[[tuple[int, int]], None]) -> None:
        super().__init__(name="pen", daemon=True)
        self._on_lost = on_lost
        self._changed = threading.Condition()
        # Who has words, and when they may be shown, by the monotonic clock.
        self._waiting: dict[EventWriter, float] = {}
        self._rests_until = 0.0
        # When it looks again by itself.
        self._looks_at = 0.0
        self._closing = False

    def bring(self, writer: EventWriter) -> None:
        """Write the writer's words soon. May be called from any thread."""
        self._put(writer, writer.send_at)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self.join()

    def run(self) -> None:
        while writers := self._take():
            self.write(writers)
            self._rests_until = time.monotonic() + GAP
        connection.close()

    def write(self, writers: list[EventWriter]) -> None:
        """Write the words of these writers; what can't be written now is tried again soon."""
        try:
            get_database().leave_replaced()
            for writer in writers:
                if writer.is_unconfirmed:
                    writer.send()
            self._write_together([writer for writer in writers if writer.has_words])
        except DatabaseError as error:
            logger.warning("No words could be shown (%s); trying again.", first_line(error))
            connection.close()
            self._bring_back(writers, RECONNECT)

    def _write_together(self, writers: list[EventWriter]) -> None:
        lent = {writer: words for writer in writers if (words := writer.lend()) is not None}
        self._bring_back([writer for writer in writers if writer not in lent], SOON)
        if not lent:
            return
        try:
            seqs = events.append_words([(*writer.key, words) for writer, words in lent.items()])
        except DatabaseError as error:
            for writer in lent:
                writer.take_back(unconfirmed=is_passing(error))
            if is_passing(error):
                raise
            # Each run finds out for itself at its next write, which begins with these words.
            logger.exception("No words could be shown.")
            return
        missed = [writer for writer in lent if writer.key[0] not in seqs]
        for writer in lent:
            writer.take_back(seqs.get(writer.key[0]))
        self._look_after(missed)

    def _look_after(self, missed: list[EventWriter]) -> None:
        """Find out whether the jobs of these writers were lost, or only locked by others."""
        if not missed:
            return
        # Even where the database has gone away just now: they are known not to be written.
        self._bring_back(missed, 0.0)
        held = lifecycle.held(writer.key for writer in missed).codes
        for writer in missed:
            if writer.key[0] not in held:
                with self._changed:
                    self._waiting.pop(writer, None)
                self._on_lost(writer.key)

    def _bring_back(self, writers: list[EventWriter], seconds: float) -> None:
        for writer in writers:
            if writer.has_words:
                self._put(writer, max(writer.send_at, time.monotonic() + seconds))

    def _put(self, writer: EventWriter, moment: float) -> None:
        with self._changed:
            if writer not in self._waiting:
                self._waiting[writer] = moment
                # While it rests it looks at nothing: to wake it would only cost.
                if max(moment, self._rests_until) < self._looks_at:
                    self._changed.notify()

    def _take(self) -> list[EventWriter]:
        """Wait for writers whose words may be shown, and take them; none at the end."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                due = [writer for writer, moment in self._waiting.items() if moment <= now]
                if due and now >= self._rests_until:
                    for writer in due:
                        del self._waiting[writer]
                    return due
                moments = [self._rests_until] if due else [*self._waiting.values()]
                self._looks_at = min(moments, default=math.inf)
                self._changed.wait(self._looks_at - now if moments else None)
        return []
