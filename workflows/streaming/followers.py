"""Followers: a job's events, the old ones and then the new ones as they are committed.

django-eventstream's own parts are used where they hold: its listener manager knows who listens to
which channel, and its storage interface reads the event rows. Its channel manager answers for the
library's own functions; the streams' permission is the edge's, which knows links and tokens. Its
``stream()`` is bypassed, because it repeats and loses events when they are committed while it
reads (its issues are listed in docs/guarantees.md), and because it never ends; so is its default
storage, which holds a thread and a database connection for every listener; and so is its
``Listener``, because an event, a queue and a set for each of them cost more than the rest.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django_eventstream.channelmanager import ChannelManagerBase
from django_eventstream.event import Event as StreamEvent
from django_eventstream.storage import StorageBase
from django_eventstream.views import ListenerManager

from workflows.bells import Subscription, get_bell
from workflows.exceptions import first_line
from workflows.models import Event, Job
from workflows.store import lifecycle
from workflows.streaming import readers
from workflows.streaming.readers import Readers

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two looks at all followed jobs: what a lost ring costs at the most.
SWEEP = 1.0
# Seconds between two looks for sync jobs whose web process is gone.
ORPHANS = 5.0


class StreamCut(Exception):
    """The stream must break off, so that its client comes back: the process is shutting down, the
    job was deleted, or its events may not be read any more, which the client is told then."""


def channel(job_id: int) -> str:
    """Return the channel on which a job's listeners listen."""
    return f"job-{job_id}"


def _job_id(channel: str) -> int:
    return int(channel.removeprefix("job-"))


class EventRows(StorageBase):  # type: ignore[misc]
    """The engine's event rows as django-eventstream's storage; a channel is a job."""

    def append_event(self, channel: str, event_type: str, data: Any) -> StreamEvent:
        raise NotImplementedError("Only workflows.events appends events.")

    def get_events(
        self, channel: str, last_id: int, limit: int = readers.BATCH
    ) -> list[StreamEvent]:
        """Return the events after *last_id*; their data is the row itself."""
        place = (_job_id(channel), last_id)
        rows = readers.events_after([place]).get(place, [])
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


class Follower:
    """Follows a job: hands on each event after its cursor, once and in order, to the terminal one.

    A subclass says what becomes of them. All of it happens on the loop's thread. While there is
    nothing new, a follower is this object and its place among the listeners: no coroutine waits.

    Args:
        job_id: the job's primary key.
        cursor: the last ``seq`` that the client has; 0 for all.
    """

    __slots__ = ("_following", "_rung", "_work", "channels", "cursor", "job_id")

    def __init__(self, job_id: int, cursor: int) -> None:
        self.job_id = job_id
        self.cursor = cursor
        # As the listener manager asks for it.
        self.channels = (channel(job_id),)
        self._following = False
        self._rung = False
        self._work: asyncio.Task[None] | None = None

    async def hand_on(self, events: list[Event]) -> None:
        """Take the next events. What it raises ends the following."""
        raise NotImplementedError

    def over(self, error: BaseException | None) -> None:
        """Hear, once, that no more is handed on.

        Args:
            error: StreamCut, or what hand_on() raised; None after the job's terminal event.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Begin to follow. Listening begins before the first look, so that nothing is missed."""
        self._following = True
        listeners.add_listener(self)
        if listeners.closing:
            self.cut()
        else:
            self.ring()

    def stop(self) -> None:
        """Follow no longer: there is nobody to hand anything to."""
        if self._following:
            self._following = False
            listeners.remove_listener(self)
        if self._work is not None:
            self._work.cancel()

    def cut(self) -> None:
        """Break off now, with StreamCut."""
        if self._following:
            self.stop()
            self.over(StreamCut())

    def ring(self) -> None:
        """Look whether there are newer events."""
        self._rung = True
        if self._following and self._work is None:
            self.begin(self._catch_up())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being looked for or handed on."""
        return self._work is None

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do *work*, which nothing is handed on meanwhile; only where is_idle."""
        self._work = asyncio.get_running_loop().create_task(work)
        self._work.add_done_callback(self._done)

    def _done(self, work: asyncio.Task[None]) -> None:
        self._work = None
        if work.cancelled():
            return
        error = work.exception()
        if error is not None:
            self._end(error)
        elif self._rung:
            self.ring()

    async def _catch_up(self) -> None:
        while self._rung and self._following:
            self._rung = False
            events = await listeners.readers.events_after((self.job_id, self.cursor))
            if not events:
                continue
            self.cursor = events[-1].seq
            await self.hand_on(events)
            if events[-1].is_terminal:
                self._end(None)
            elif len(events) == readers.BATCH:
                self._rung = True

    def _end(self, error: BaseException | None) -> None:
        if self._following:
            self._following = False
            listeners.remove_listener(self)
            self.over(error)


class Listeners(ListenerManager):  # type: ignore[misc]
    """Who listens in this process, and the doorbell that wakes them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.closing = False
        self._sweep_now = asyncio.Event()
        self._subscription: Subscription | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._readers: Readers | None = None

    @property
    def readers(self) -> Readers:
        assert self._readers is not None
        return self._readers

    async def open(self) -> None:
        """Begin to listen to the doorbell; the running event loop is the streams' own."""
        if self.loop is not None:
            return
        self.loop = asyncio.get_running_loop()
        self.closing = False
        self._sweep_now = asyncio.Event()
        self._readers = Readers()
        self._sweeper = self.loop.create_task(self._sweep_for_ever())
        listen = get_bell().listen
        self._subscription = await self._readers.call(listen, ("events",), self._on_ring)

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
            readers.close()

    def cut_all(self) -> None:
        """Cut every stream of this process, also those to come. On the loop's thread."""
        self.closing = True
        for name in list(self.listeners_by_channel):
            for follower in self._followers(name):
                follower.cut()

    def ring(self, channel: str) -> None:
        for follower in self._followers(channel):
            follower.ring()

    def _followers(self, channel: str) -> list[Follower]:
        with self.lock:
            return list(self.listeners_by_channel.get(channel, ()))

    def _on_ring(self, topic: str, key: int | None) -> None:
        """Pass a ring on to the loop. In the doorbell's thread; an unfollowed job costs nothing."""
        loop = self.loop
        if loop is None or loop.is_closed() or not self.listeners_by_channel:
            return
        if key is None:
            loop.call_soon_threadsafe(self._sweep_now.set)
        elif channel(key) in self.listeners_by_channel:
            loop.call_soon_threadsafe(self.ring, channel(key))

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
            await self.readers.call(lifecycle.reap_inline)
        except DatabaseError as error:
            logger.warning("Orphaned jobs could not be looked for (%s).", first_line(error))

    async def _sweep(self) -> None:
        """Ring for the jobs that have moved on: one query for all of them."""
        places = {
            (follower.job_id, follower.cursor)
            for followers in self.listeners_by_channel.values()
            for follower in followers
        }
        if not places:
            return
        try:
            moved = await self.readers.call(readers.moved, list(places))
        except DatabaseError as error:
            logger.warning("The followed jobs could not be looked at (%s).", first_line(error))
            return
        for job_id, head in moved.items():
            for follower in self._followers(channel(job_id)):
                if head is None:
                    follower.cut()
                elif follower.cursor < head:
                    follower.ring()


listeners = Listeners()


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for *event*, but not longer."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def in_reader(function: Callable[..., T], *args: Any) -> T:
    """Call *function* in one of the few threads that read the database for all streams."""
    await listeners.open()
    return await listeners.readers.call(function, *args)


async def open_streams() -> None:
    """Start what serves the streams of this process: the doorbell and the sweep."""
    await listeners.open()


def cut_streams() -> None:
    """Cut every stream of this process, also those to come. On the loop's thread."""
    listeners.cut_all()


async def close_streams() -> None:
    """Cut every stream of this process, and stop listening."""
    await listeners.close()
