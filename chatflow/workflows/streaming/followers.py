"""Followers: a job's events, the old ones and then the new ones as they are committed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from chatflow.workflows.models import Event
from chatflow.workflows.streaming import storage
from chatflow.workflows.streaming.listeners import listeners


class StreamCut(Exception):
    """The stream must break off, so that its client comes back: the process is shutting down, the
    job was deleted, or its events may not be read any more, which the client is told then."""


class Follower:
    """Follows a job: hands on each event after its cursor, once and in order, to the terminal one.

    A subclass says where they go. All of it happens on the loop's thread. While there is nothing
    new, a follower is this object and its place among the listeners: no coroutine waits.

    Args:
        job_id: the job's primary key.
        cursor: the last ``seq`` that the client has; 0 for all.
    """

    __slots__ = ("_following", "_rung", "_work", "channels", "cursor")

    def __init__(self, job_id: int, cursor: int) -> None:
        self.channels = (storage.channel(job_id),)
        self.cursor = cursor
        self._following = False
        self._rung = False
        self._work: asyncio.Task[None] | None = None

    async def hand_on(self, events: list[Event]) -> None:
        """Take the next events. An exception ends the following."""
        raise NotImplementedError

    def over(self, error: BaseException | None) -> None:
        """Hear, once, that no more is handed on.

        Args:
            error: StreamCut, or an exception of hand_on(); None after the job's terminal event.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Begin to follow. Listening begins before the first look, so that nothing is missed."""
        self._following = True
        self._listen()
        if listeners.closing:
            self.cut()
        else:
            self.ring()

    def stop(self) -> None:
        """Follow no longer: there is nobody to hand anything to."""
        if self._following:
            self._following = False
            self._unlisten()
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
        """Do *work* by itself: until it is done, no events are handed on. Only where is_idle."""
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
        (channel,) = self.channels
        while self._rung and self._following:
            self._rung = False
            events = await listeners.readers.events_after((channel, self.cursor))
            if not events:
                continue
            self.cursor = events[-1].seq
            await self.hand_on(events)
            if events[-1].is_terminal:
                self._end(None)
            elif len(events) == storage.BATCH:
                self._rung = True

    def _end(self, error: BaseException | None) -> None:
        if self._following:
            self._following = False
            self._unlisten()
            self.over(error)

    def _listen(self) -> None:
        listeners.add_listener(self)

    def _unlisten(self) -> None:
        listeners.remove_listener(self)
