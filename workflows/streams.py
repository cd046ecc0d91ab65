"""follow(): a job's events, the old ones and then the new ones as they are committed.

django-eventstream's own parts are used where they hold: its listener manager knows who listens to
which channel, and its storage interface reads the event rows. Its channel manager answers for the
library's own functions; the streams' permission is the edge's, which knows links and tokens. Its
``stream()`` is bypassed, because it repeats and loses events when they are committed while it
reads (its issues are listed in docs/guarantees.md), and because it never ends; so is its default
storage, which holds a thread and a database connection for every listener.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django.db import connection
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.event import Event as StreamEvent
from django_eventstream.storage import StorageBase
from django_eventstream.views import Listener, ListenerManager

from workflows import lifecycle
from workflows.bells import Subscription, get_bell
from workflows.exceptions import first_line
from workflows.models import Event, Job

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Events that one look at the database brings.
BATCH = 500
# Threads, each with its connection, that read the database for all streams of a process.
READERS = 2
# Seconds between two looks at all followed jobs: what a lost ring costs at the most.
SWEEP = 1.0
# Seconds between two looks for sync jobs whose web process is gone.
ORPHANS = 5.0


class StreamCut(Exception):
    """The stream must break off, so that its client comes back: the process is shutting down, or
    the job was deleted, which the client is told then."""


def channel(job_id: int) -> str:
    """Return the channel on which a job's listeners listen."""
    return f"job-{job_id}"


class EventRows(StorageBase):  # type: ignore[misc]
    """The engine's event rows as django-eventstream's storage; a channel is a job."""

    def append_event(self, channel: str, event_type: str, data: Any) -> StreamEvent:
        raise NotImplementedError("Only workflows.events appends events.")

    def get_events(self, channel: str, last_id: int, limit: int = BATCH) -> list[StreamEvent]:
        """Return the events after *last_id*; their data is the row itself."""
        rows = Event.objects.filter(job_id=_job_id(channel), seq__gt=last_id).order_by("seq")
        return [StreamEvent(channel, row.type, row, id=row.seq) for row in rows[:limit]]

    def get_current_id(self, channel: str) -> int:
        job = Job.objects.filter(pk=_job_id(channel)).values_list("last_seq", flat=True)
        return job.first() or 0


class JobChannels(ChannelManagerBase):  # type: ignore[misc]
    """Who may listen to a job's channel: its owner."""

    def can_read_channel(self, user: Any, channel: str) -> bool:
        if user is None or not user.is_authenticated:
            return False
        return Job.objects.visible_to(user).filter(pk=_job_id(channel)).exists()

    def is_channel_reliable(self, channel: str) -> bool:
        return True


def _job_id(channel: str) -> int:
    return int(channel.removeprefix("job-"))


class Listeners(ListenerManager):  # type: ignore[misc]
    """Who listens in this process, and the doorbell that wakes them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.closing = False
        self._sweep_now = asyncio.Event()
        self._subscription: Subscription | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._readers: ThreadPoolExecutor | None = None
        # How far each followed job was when it was last swept, by channel.
        self._heads: dict[str, int] = {}

    async def open(self) -> None:
        """Begin to listen to the doorbell; the running event loop is the streams' own."""
        if self.loop is not None:
            return
        self.loop = asyncio.get_running_loop()
        self.closing = False
        self._sweep_now = asyncio.Event()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="stream-reader")
        self._sweeper = self.loop.create_task(self._sweep_for_ever())
        self._subscription = await self.in_reader(get_bell().listen, ("events",), self._on_ring)

    async def close(self) -> None:
        """Cut all streams, and stop listening."""
        self.cut_all()
        # Taken out first: a second call, while this one waits, finds nothing to close.
        sweeper, subscription, readers = self._sweeper, self._subscription, self._readers
        self.loop = self._sweeper = self._subscription = self._readers = None
        if sweeper is not None:
            sweeper.cancel()
        if subscription is not None:
            await asyncio.to_thread(subscription.close)
        if readers is not None:
            readers.shutdown(wait=False)

    def cut_all(self) -> None:
        """Let every follow() of this process raise StreamCut. To be called on the loop's thread."""
        self.closing = True
        self.wake_all()

    def count(self) -> int:
        """Return how many streams are open."""
        return sum(len(listeners) for listeners in list(self.listeners_by_channel.values()))

    async def in_reader(self, function: Callable[..., T], *args: Any) -> T:
        """See in_reader() below."""
        assert self.loop is not None
        return await self.loop.run_in_executor(self._readers, _read, function, *args)

    def wake(self, channel: str) -> None:
        with self.lock:
            for listener in self.listeners_by_channel.get(channel, ()):
                listener.aevent.set()

    def cut(self, channel: str) -> None:
        """Let the channel's follow() raise StreamCut: its job was deleted."""
        with self.lock:
            for listener in self.listeners_by_channel.get(channel, ()):
                listener.error = "gone"
                listener.aevent.set()

    def forget(self, channel: str) -> None:
        """Let the next sweep wake the channel's listeners, though it was swept already."""
        self._heads.pop(channel, None)

    def wake_all(self) -> None:
        for name in list(self.listeners_by_channel):
            self.wake(name)

    def _on_ring(self, topic: str, key: int | None) -> None:
        """Pass a ring on to the loop. In the doorbell's thread; an unfollowed job costs nothing."""
        loop = self.loop
        if loop is None or loop.is_closed() or not self.listeners_by_channel:
            return
        if key is None:
            loop.call_soon_threadsafe(self._sweep_now.set)
        elif channel(key) in self.listeners_by_channel:
            loop.call_soon_threadsafe(self.wake, channel(key))

    async def _sweep_for_ever(self) -> None:
        """Sweep at every ring that names no job, and every second without one."""
        looked_after = 0.0
        while True:
            await _within(SWEEP, self._sweep_now)
            self._sweep_now.clear()
            await self._sweep()
            if time.monotonic() - looked_after >= ORPHANS:
                looked_after = time.monotonic()
                await self._fail_orphans()

    async def _fail_orphans(self) -> None:
        try:
            await self.in_reader(lifecycle.reap_inline)
        except DatabaseError as error:
            logger.warning("Orphaned jobs could not be looked for (%s).", first_line(error))

    async def _sweep(self) -> None:
        """Wake the listeners of the jobs that have moved on: one query for all of them."""
        followed = list(self.listeners_by_channel)
        if not followed:
            self._heads.clear()
            return
        try:
            heads = await self.in_reader(_heads_of, followed)
        except DatabaseError as error:
            logger.warning("The followed jobs could not be looked at (%s).", first_line(error))
            return
        for name in followed:
            if name not in heads:
                self.cut(name)
            elif self._heads.get(name) != heads[name]:
                self.wake(name)
        self._heads = heads


def _heads_of(channels: list[str]) -> dict[str, int]:
    jobs = Job.objects.filter(pk__in=[_job_id(name) for name in channels])
    return {channel(pk): seq for pk, seq in jobs.values_list("pk", "last_seq")}


def _read(function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except DatabaseError:
        # The next reader shall not meet the broken connection.
        connection.close()
        raise


listeners = Listeners()
rows = EventRows()


async def follow(
    job_id: int, cursor: int, *, idle: float = 15.0
) -> AsyncGenerator[list[Event], None]:
    """Yield the job's events after *cursor*, in batches, and return after the terminal one.

    Args:
        job_id: the job's primary key.
        cursor: the last ``seq`` that the client has; 0 for all.
        idle: after so many seconds without an event an empty batch is yielded (a keep-alive).

    Raises:
        StreamCut: the process is shutting down, or the job was deleted.
    """
    listener = Listener()
    listener.channels = {channel(job_id)}
    # Listening begins before the first look, so that nothing is committed unseen in between.
    listeners.add_listener(listener)
    try:
        while True:
            listener.aevent.clear()
            if listeners.closing or listener.error:
                raise StreamCut
            batch = await _events_after(job_id, cursor)
            if batch:
                cursor = batch[-1].seq
                yield batch
                if batch[-1].is_terminal:
                    return
            elif not await _within(idle, listener.aevent):
                yield []
    finally:
        listeners.remove_listener(listener)


async def _events_after(job_id: int, cursor: int) -> list[Event]:
    """Read events; while the database is away, answer with none: the sweep looks again."""
    try:
        found = await in_reader(rows.get_events, channel(job_id), cursor)
    except DatabaseError as error:
        logger.warning("The events of job %d could not be read (%s).", job_id, first_line(error))
        listeners.forget(channel(job_id))
        return []
    return [event.data for event in found]


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for *event*; say whether it came in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def in_reader(function: Callable[..., T], *args: Any) -> T:
    """Call *function* in one of the few threads that read the database for all streams."""
    await listeners.open()
    return await listeners.in_reader(function, *args)


async def open_streams() -> None:
    """Start what serves the streams of this process: the doorbell and the sweep."""
    await listeners.open()


async def close_streams() -> None:
    """End all streams of this process with StreamCut."""
    await listeners.close()
