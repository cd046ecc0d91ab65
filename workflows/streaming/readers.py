"""Reading for the streams: a few threads, and one query for all that ask at the same moment."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Barrier
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django.db import connection

from workflows.exceptions import first_line
from workflows.models import Event
from workflows.store.database import get_database
from workflows.store.database.base import Place
from workflows.store.rows import columns, from_row

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Threads, each with its connection, that read the database for all streams of a process.
READERS = 2
# Events of a job that one look brings, and jobs that are looked at in one query: what they bound
# is memory.
BATCH = 100
LOOKS = 200

# Numbers are gapless, so this is as good as a LIMIT for each job.
EVENTS = """
    WITH place (job_id, seq) AS ({places})
    SELECT place.seq, {columns} FROM place
    JOIN workflows_event event ON event.job_id = place.job_id
        AND event.seq > place.seq AND event.seq <= place.seq + %(batch)s
    ORDER BY event.job_id, place.seq, event.seq
"""
MOVED = """
    WITH place (job_id, seq) AS ({places})
    SELECT place.job_id, job.last_seq FROM place
    LEFT JOIN workflows_job job ON job.id = place.job_id
    WHERE job.id IS NULL OR job.last_seq > place.seq
"""


class Readers:
    """The threads that read the database for all streams of a process. Belongs to one loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.threads = ThreadPoolExecutor(READERS, thread_name_prefix="stream-reader")
        # All are started now, so that no later stream costs one.
        everybody = Barrier(READERS)
        for _ in range(READERS):
            self.threads.submit(everybody.wait)
        # Who waits for what came after a place.
        self._asked: dict[Place, list[asyncio.Future[list[Event]]]] = {}
        self._looks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        self.threads.shutdown(wait=False)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call *function* in one of the threads."""
        return await self._loop.run_in_executor(self.threads, _call, function, *args)

    def events_after(self, place: Place) -> asyncio.Future[list[Event]]:
        """Return the job's next events, at most BATCH of them; none while the database is away.

        Whoever asks while the threads are busy is answered together with all others who do, so
        that a thousand rings at once make a few queries.
        """
        answer = self._loop.create_future()
        self._asked.setdefault(place, []).append(answer)
        if len(self._looks) < READERS:
            look = self._loop.create_task(self._look())
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        return answer

    async def _look(self) -> None:
        while asked := self._take():
            try:
                events = await self.call(events_after, list(asked))
            except DatabaseError as error:
                logger.warning("Events could not be read (%s).", first_line(error))
                events = {}
            for place, answers in asked.items():
                for answer in answers:
                    if not answer.done():
                        answer.set_result(events.get(place, []))

    def _take(self) -> dict[Place, list[asyncio.Future[list[Event]]]]:
        """Return what to look at next, without what nobody waits for any more."""
        waiting = {
            place: answers
            for place, answers in self._asked.items()
            if not all(answer.done() for answer in answers)
        }
        taken = dict(islice(waiting.items(), LOOKS))
        self._asked = dict(islice(waiting.items(), LOOKS, None))
        return taken


def events_after(places: Sequence[Place]) -> dict[Place, list[Event]]:
    """Return the next events, at most BATCH, after each of the places; one query for all."""
    database = get_database()
    table, params = database.places(places)
    found: dict[Place, list[Event]] = {}
    query = EVENTS.format(places=table, columns=columns(Event, "event"))
    for row in database.fetch_all(query, {**params, "batch": BATCH}):
        values = iter(row)
        seq, event = next(values), from_row(Event, values)
        found.setdefault((event.job_id, seq), []).append(event)
    return found


def moved(places: Sequence[Place]) -> dict[int, int | None]:
    """Return the last ``seq`` of the jobs that are past their places; None for a deleted one."""
    database = get_database()
    table, params = database.places(places)
    return dict(database.fetch_all(MOVED.format(places=table), params))


def _call(function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except DatabaseError:
        # The next reader shall not meet the broken connection.
        connection.close()
        raise
