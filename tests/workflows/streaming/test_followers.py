"""Followers: every event once and in order, the old ones and the new."""

import asyncio
from typing import TypeVar

import pytest
from django.db import connection, transaction

from chatflow.workflows.models import Event, Job
from chatflow.workflows.store.events import append
from chatflow.workflows.streaming import storage
from chatflow.workflows.streaming.listeners import listeners
from chatflow.workflows.streaming.storage import channel
from tests.workflows.chat import NET, Chat, claimed, with_empty_log
from tests.workflows.streaming.following import (
    Collector,
    close,
    elsewhere,
    finish,
    follow,
    quiet,
    read,
    read_all,
    read_live,
    say,
)

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_works(job: Job) -> None:
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    assert await read_live(batches, say, job) == [3]
    assert await read_live(batches, finish, job) == [4]
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


@pytest.mark.parametrize(("cursor", "rest"), [(0, [1, 2, 3]), (1, [2, 3]), (2, [3])])
async def test_a_cursor(job: Job, cursor: int, rest: list[int]) -> None:
    await elsewhere(finish, job)

    assert await read_all(follow(job.pk, cursor)) == rest


async def test_what_a_batch_holds(job: Job) -> None:
    batch = await anext(follow(job.pk, 0))

    assert [(event.seq, event.type, event.progress) for event in batch] == [
        (1, "progress", 0),
        (2, "progress", 0),
    ]


async def test_more_than_a_batch(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        with transaction.atomic():
            say(job, storage.BATCH)
        finish(job)

    await elsewhere(write)

    assert await read_all(follow(job.pk, 0)) == list(range(1, storage.BATCH + 4))


async def test_a_job_that_waits_has_no_events_yet(chat: Chat, job: Job) -> None:
    second = await elsewhere(chat.send)
    batches = follow(second.pk, 0)
    waiting = asyncio.ensure_future(read(batches))
    await elsewhere(finish, job)
    running = await elsewhere(claimed)
    assert running.pk == second.pk

    # That it was claimed.
    assert await waiting == [1]
    await close(batches)


async def test_jobs_are_followed_apart(chat: Chat, job: Job) -> None:
    def another() -> Job:
        Chat(chat.user, "other").send()
        running = with_empty_log(claimed())
        say(running, 5)
        return running

    other = await elsewhere(another)
    mine, its = follow(job.pk, 0), follow(other.pk, 0)
    assert (await read(mine), await read(its)) == ([1, 2], [1, 2, 3, 4, 5])
    await elsewhere(say, other)
    await elsewhere(say, job)

    assert (await read(mine), await read(its)) == ([3], [6])
    await close(mine)
    await close(its)


async def test_a_rolled_back_event_is_never_seen(job: Job) -> None:
    class Rollback(Exception):
        pass

    def phantom() -> None:
        try:
            with transaction.atomic():
                say(job, 3)
                raise Rollback
        except Rollback:
            pass

    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await elsewhere(phantom)
    listeners.ring(channel(job.pk))
    await quiet()
    await elsewhere(append, job.pk, job.attempt, Event.Type.DELTA)
    batch = await anext(batches)

    assert [(event.seq, event.type) for event in batch] == [(3, "delta")]
    await close(batches)


async def test_every_client_gets_everything_once(job: Job) -> None:
    """While a worker writes, clients come, go and come back with their cursors."""

    def write() -> None:
        for _ in range(150):
            say(job)
        finish(job)

    async def client(patience: int) -> list[int]:
        seen: list[int] = []
        while True:
            batches, taken = follow(job.pk, seen[-1] if seen else 0), 0
            async for batch in batches:
                seen += [event.seq for event in batch]
                if batch and batch[-1].is_terminal:
                    return seen
                taken += 1
                if taken == patience:
                    break
            await close(batches)

    async with asyncio.timeout(NET):
        *seen, _ = await asyncio.gather(
            *(client(patience) for patience in (1, 1, 2, 3, 5, 1000)), elsewhere(write)
        )

    assert seen == [list(range(1, 154))] * 6


async def test_what_cannot_be_handed_on(job: Job) -> None:
    """The follower hears of it, and is handed nothing more."""

    class Broken(Collector):
        async def hand_on(self, events: list[Event]) -> None:
            raise ConnectionError

    await listeners.open()
    follower = Broken(job.pk, 0)
    follower.start()
    async with asyncio.timeout(NET):
        assert isinstance(await follower.handed.get(), ConnectionError)

    assert listeners.listeners_by_channel == {}
    follower.stop()


@pytest.fixture
def own_backend(job: Job) -> int:
    """Return the backend of the test's own thread, which closes its connection itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.postgresql
async def test_connections_that_are_terminated(job: Job, own_backend: int) -> None:
    def terminate() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
                [own_backend],
            )

    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    for number in (3, 4, 5):
        await elsewhere(terminate)
        assert await read_live(batches, say, job) == [number]
    await close(batches)
