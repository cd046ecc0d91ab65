"""A job that speaks, and followers that a test reads from."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeVar

from django.db import connection

from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.streaming.followers import Follower
from chatflow.workflows.streaming.listeners import listeners
from tests.workflows.chat import NET, Chat, claimed, with_empty_log

T = TypeVar("T")


def running(chat: Chat, session: str, count: int) -> Job:
    """Return a job that runs, and has so many events."""
    Chat(chat.user, session).send()
    job = with_empty_log(claimed())
    for number in range(count):
        append(job.pk, job.attempt, Event.Type.PROGRESS, progress=number, data={"n": number})
    return job


def say(job: Job, count: int = 1) -> None:
    for _ in range(count):
        append(job.pk, job.attempt, Event.Type.PROGRESS)


def finish(job: Job) -> None:
    lifecycle.end(job, Outcome(State.COMPLETED))


async def elsewhere(function: Callable[..., T], *args: Any) -> T:
    """Call *function* in a thread that has a connection of its own, as a worker has."""

    def call() -> T:
        try:
            return function(*args)
        finally:
            connection.close()

    return await asyncio.to_thread(call)


class Collector(Follower):
    """Keeps what it is handed, and at last what it hears of the end."""

    def __init__(self, job_id: int, cursor: int) -> None:
        super().__init__(job_id, cursor)
        self.handed: asyncio.Queue[list[Event] | BaseException | None] = asyncio.Queue()

    async def hand_on(self, events: list[Event]) -> None:
        self.handed.put_nowait(events)

    def over(self, error: BaseException | None) -> None:
        self.handed.put_nowait(error)


async def follow(job_id: int, cursor: int) -> AsyncGenerator[list[Event], None]:
    """Yield what a follower is handed, to the end or to what ends it."""
    await listeners.open()
    follower = Collector(job_id, cursor)
    follower.start()
    try:
        while batch := await follower.handed.get():
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        follower.stop()


async def read(batches: AsyncIterator[list[Event]]) -> list[int]:
    """Return the numbers in the next batch."""
    async with asyncio.timeout(NET):
        return [event.seq for event in await anext(batches)]


async def read_all(batches: AsyncIterator[list[Event]]) -> list[int]:
    async with asyncio.timeout(NET):
        return [event.seq async for batch in batches for event in batch]


async def quiet() -> None:
    """Wait until every follower has read all that there is: nothing but a ring wakes it."""
    async with asyncio.timeout(NET):
        while not all(
            follower.is_idle
            for followers in listeners.listeners_by_channel.values()
            for follower in followers
        ):
            await asyncio.sleep(0.001)


async def read_live(
    batches: AsyncIterator[list[Event]], function: Callable[..., object], *args: Any
) -> list[int]:
    """Do something once the streams wait, and read what comes of it."""
    live = asyncio.ensure_future(read(batches))
    await asyncio.sleep(0)
    await quiet()
    await elsewhere(function, *args)
    return await live


async def close(batches: Any) -> None:
    await batches.aclose()
