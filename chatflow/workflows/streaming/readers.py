"""Reading for the streams: a few threads, and one query for all that ask at the same moment."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Barrier
from typing import Any, TypeVar, cast

from django.db import Error as DatabaseError

from chatflow.workflows.exceptions import first_line
from chatflow.workflows.models import Event
from chatflow.workflows.store.outage import on_live_connection
from chatflow.workflows.streaming.storage import ChannelCursor, EventRows

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Threads, each with its connection, that read the database for all streams of a process.
READERS = 2
# Places that one query looks at, at most, to bound the memory.
LOOKS = 200


class Readers:
    """The threads that read the database for all streams of a process. Belongs to one loop.

    Args:
        storage: from which they read the events.
    """

    def __init__(self, storage: EventRows) -> None:
        self._storage = storage
        self._loop = asyncio.get_running_loop()
        self.threads = ThreadPoolExecutor(READERS, thread_name_prefix="stream-reader")
        # All are started now, so that no later stream costs one.
        everybody = Barrier(READERS)
        for _ in range(READERS):
            self.threads.submit(everybody.wait)
        # Those who wait for the events after a place.
        self._asked: dict[ChannelCursor, list[asyncio.Future[list[Event]]]] = {}
        self._looks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        self.threads.shutdown(wait=False)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call *function* in one of the threads."""
        return await self._loop.run_in_executor(self.threads, _call, function, *args)

    def events_after(self, place: ChannelCursor) -> asyncio.Future[list[Event]]:
        """Return the job's next events, at most BATCH of them; none while the database is away.

        All who ask while the threads are busy are answered together, so that a thousand rings at
        once make a few queries.
        """
        answer = self._loop.create_future()
        self._asked.setdefault(place, []).append(answer)
        if len(self._looks) < READERS:
            self._looks.add(self._loop.create_task(self._look()))
        return answer

    async def _look(self) -> None:
        try:
            await self._answer_all()
        finally:
            # At once, and not by a callback of the task: who asks in between waited for ever.
            self._looks.discard(cast(asyncio.Task[None], asyncio.current_task()))

    async def _answer_all(self) -> None:
        while asked := self._take():
            try:
                events = await self.call(self._storage.events_after, list(asked))
            except DatabaseError as error:
                logger.warning("Events could not be read (%s).", first_line(error))
                events = {}
            for place, answers in asked.items():
                for answer in answers:
                    if not answer.done():
                        answer.set_result(events.get(place, []))

    def _take(self) -> dict[ChannelCursor, list[asyncio.Future[list[Event]]]]:
        """Take out the places to look at next; those that nobody waits for any more are dropped."""
        waiting = {
            place: answers
            for place, answers in self._asked.items()
            if not all(answer.done() for answer in answers)
        }
        taken = dict(islice(waiting.items(), LOOKS))
        self._asked = dict(islice(waiting.items(), LOOKS, None))
        return taken


def _call(function: Callable[..., T], *args: Any) -> T:
    return on_live_connection(lambda: function(*args))
