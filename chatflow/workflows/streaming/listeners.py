"""The listeners of this process: who follows which job, and the doorbell that wakes them.

django-eventstream's listener manager keeps them. docs/libraries.md lists which parts of that
library are used, and which are not and why.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from django.db import Error as DatabaseError
from django_eventstream.views import ListenerManager

from chatflow.workflows.bells import Subscription, get_bell, user_key
from chatflow.workflows.exceptions import advice
from chatflow.workflows.logs import Outage
from chatflow.workflows.store import changes, lifecycle
from chatflow.workflows.store.lifecycle import Vigil
from chatflow.workflows.streaming.readers import Readers
from chatflow.workflows.streaming.storage import EventRows, channel

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two looks at all followed jobs: the most that a lost ring costs.
SWEEP = 1.0
# Seconds between two looks for sync jobs whose web process is gone.
ORPHANS = 5.0


class Listener(Protocol):
    """One that listens to a job's channel."""

    # As the listener manager asks for it.
    channels: tuple[str, ...]
    # The last ``seq`` that it has.
    cursor: int

    def ring(self) -> None:
        """Look whether there are newer events."""

    def cut(self) -> None:
        """Break off now."""


class UserListener(Protocol):
    """One that listens to all of a user's conversations."""

    # The user's primary key.
    user_id: Any
    # The number up to which it has all changes.
    cursor: int
    # What the sweep that rang it last had found: the number of the latest change, and the number
    # up to which all were certain.
    swept: tuple[int, int]

    def ring_user(self) -> None:
        """Look whether the user's conversations have changed."""

    def cut(self) -> None:
        """Break off now."""


class Watcher(Protocol):
    """One that watches something else than jobs, and finds out by itself what is new."""

    def cut(self) -> None:
        """Break off now."""


class Listeners(ListenerManager):  # type: ignore[misc]
    """Who listens in this process. It belongs to the thread of the loop that opened it.

    ``closing`` says that every new listener is to be cut at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.storage = EventRows()
        self._outage = Outage()
        # Who listens for a user, by the key that is rung for the user.
        self._for_users: dict[int, set[UserListener]] = {}
        self._watchers: set[Watcher] = set()
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
        self._readers = Readers(self.storage)
        self._sweeper = self.loop.create_task(self._sweep_for_ever())
        listen = get_bell().listen
        self._subscription = await self._readers.call(listen, ("events", "sessions"), self._on_ring)

    async def in_reader(self, function: Callable[..., T], *args: Any) -> T:
        """Call *function* in one of the few threads that read the database for all streams."""
        await self.open()
        return await self.readers.call(function, *args)

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
        """Cut every stream of this process, also those to come."""
        self.closing = True
        for name in list(self.listeners_by_channel):
            for listener in self._listening(name):
                listener.cut()
        for watcher in [*self._watching(), *self._watchers]:
            watcher.cut()

    def add_watcher(self, watcher: Watcher) -> None:
        """Have it cut when all streams are."""
        self._watchers.add(watcher)

    def remove_watcher(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def add_user(self, listener: UserListener) -> None:
        """Let it hear of the changes to its user's conversations."""
        self._for_users.setdefault(user_key(listener.user_id), set()).add(listener)

    def remove_user(self, listener: UserListener) -> None:
        key = user_key(listener.user_id)
        self._for_users[key].discard(listener)
        if not self._for_users[key]:
            del self._for_users[key]

    def _watching(self) -> list[UserListener]:
        return [each for listening in self._for_users.values() for each in listening]

    def _ring_users(self, key: int) -> None:
        for listener in list(self._for_users.get(key, ())):
            listener.ring_user()

    def ring(self, channel: str) -> None:
        """Have all who listen to the channel look."""
        for listener in self._listening(channel):
            listener.ring()

    def _listening(self, channel: str) -> list[Listener]:
        with self.lock:
            return list(self.listeners_by_channel.get(channel, ()))

    def _on_ring(self, topic: str, key: int | None) -> None:
        """Pass a ring on to the loop. In the doorbell's thread; an unfollowed job costs nothing."""
        loop = self.loop
        if loop is None or loop.is_closed():
            return
        if key is None:
            if self.listeners_by_channel or self._for_users:
                loop.call_soon_threadsafe(self._sweep_now.set)
        elif topic == "sessions":
            if key in self._for_users:
                loop.call_soon_threadsafe(self._ring_users, key)
        elif channel(key) in self.listeners_by_channel:
            loop.call_soon_threadsafe(self.ring, channel(key))

    async def _sweep_for_ever(self) -> None:
        """Sweep at every ring that names no job, and every second without one."""
        vigil, looked_after = Vigil(ORPHANS), 0.0
        vigil.doubt()
        while True:
            await _within(SWEEP, self._sweep_now)
            self._sweep_now.clear()
            await self._sweep()
            await self._sweep_users()
            if time.monotonic() - looked_after >= vigil.pace:
                looked_after = time.monotonic()
                await self._fail_orphans(vigil)

    async def _fail_orphans(self, vigil: Vigil) -> None:
        try:
            await self.readers.call(lifecycle.reap_inline, vigil)
            self._outage.end()
        except DatabaseError as error:
            vigil.doubt()
            if self._outage.is_news():
                logger.warning("Orphaned jobs could not be looked for (%s).", advice(error))

    async def _sweep(self) -> None:
        """Ring for the jobs that have moved on: one query for all of them."""
        places = {
            (name, listener.cursor)
            for name, listening in self.listeners_by_channel.items()
            for listener in listening
        }
        if not places:
            return
        try:
            moved = await self.readers.call(self.storage.moved, list(places))
        except DatabaseError as error:
            if self._outage.is_news():
                logger.warning("The followed jobs could not be looked at (%s).", advice(error))
            return
        for name, head in moved.items():
            for listener in self._listening(name):
                if head is None:
                    listener.cut()
                elif listener.cursor < head:
                    listener.ring()

    async def _sweep_users(self) -> None:
        """Ring for the users whose conversations have changed: a few queries for all of them."""
        watching = self._watching()
        if not watching:
            return
        cursors: dict[Any, int] = {}
        for each in watching:
            cursors[each.user_id] = min(each.cursor, cursors.get(each.user_id, each.cursor))
        try:
            moved, upto = await self.readers.call(changes.moved, cursors)
        except DatabaseError as error:
            if self._outage.is_news():
                logger.warning("The conversations could not be looked at (%s).", advice(error))
            return
        for each in watching:
            newest = moved.get(each.user_id)
            if newest is None:
                # So that the next look has fewer rows to read.
                each.cursor = max(each.cursor, upto)
            elif each.swept != (newest, upto):
                # A long transaction of anybody's keeps changes from being certain: they aren't
                # looked at again and again until it has ended.
                each.swept = newest, upto
                each.ring_user()


listeners = Listeners()


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for *event*, but not longer."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
