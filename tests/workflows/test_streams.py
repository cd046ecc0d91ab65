"""follow(): every event once and in order, the old ones and the new."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from tests.chatflow.threads import close_streams
from tests.workflows.chat import NET, Chat, claimed
from workflows import lifecycle, streams
from workflows.bells import OnRing, Subscription
from workflows.events import append
from workflows.lifecycle import Outcome
from workflows.models import Event, Job, State
from workflows.streams import EventRows, JobChannels, StreamCut, channel, follow

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(chat: Chat) -> Job:
    """A job that runs, and has two events."""
    chat.send()
    running = claimed()
    say(running, 2)
    return running


@pytest_asyncio.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    streams.listeners.closing = False
    yield
    sweeper = streams.listeners._sweeper
    if sweeper is not None and streams.listeners.loop is not None:
        # Before its readers' connections are closed, lest it opens them again.
        sweeper.cancel()
        await asyncio.wait([sweeper])
    await close_streams()


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


async def read(batches: AsyncIterator[list[Event]]) -> list[int]:
    """Return the numbers in the next batch that isn't empty."""
    async with asyncio.timeout(NET):
        while True:
            if batch := await anext(batches):
                return [event.seq for event in batch]


async def read_all(batches: AsyncIterator[list[Event]]) -> list[int]:
    async with asyncio.timeout(NET):
        return [event.seq async for batch in batches for event in batch]


Live = Callable[..., Awaitable[list[int]]]


@pytest.fixture
def read_live(monkeypatch: pytest.MonkeyPatch) -> Live:
    """Return what does something once a stream waits, and reads what comes of it."""
    waits = asyncio.Event()
    events_after = streams._events_after

    async def look(job_id: int, cursor: int) -> list[Event]:
        found = await events_after(job_id, cursor)
        if not found:
            # Nothing but a ring, or the sweep, makes it look again.
            waits.set()
        return found

    async def read_live(
        batches: AsyncIterator[list[Event]], function: Callable[..., object], *args: Any
    ) -> list[int]:
        waits.clear()
        reading = asyncio.ensure_future(read(batches))
        async with asyncio.timeout(NET):
            await waits.wait()
        await elsewhere(function, *args)
        return await reading

    monkeypatch.setattr(streams, "_events_after", look)
    return read_live


async def close(batches: Any) -> None:
    await batches.aclose()


async def test_it_works(job: Job, read_live: Live) -> None:
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
            say(job, streams.BATCH)
        finish(job)

    await elsewhere(write)

    assert await read_all(follow(job.pk, 0)) == list(range(1, streams.BATCH + 4))


async def test_a_job_that_waits_has_no_events_yet(chat: Chat, job: Job) -> None:
    second = await elsewhere(chat.send)
    batches = follow(second.pk, 0)
    waiting = asyncio.ensure_future(read(batches))
    await elsewhere(finish, job)
    running = await elsewhere(claimed)
    assert running.pk == second.pk
    await elsewhere(say, running)

    assert await waiting == [1]
    await close(batches)


async def test_jobs_are_followed_apart(chat: Chat, job: Job) -> None:
    def another() -> Job:
        Chat(chat.user, "other").send()
        running = claimed()
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


async def test_idle(job: Job) -> None:
    """Now and then an empty batch, for a keep-alive; and the next event all the same."""
    batches = follow(job.pk, 2, idle=0.01)
    assert await anext(batches) == []
    assert await anext(batches) == []
    await elsewhere(say, job)

    assert await read(batches) == [3]
    await close(batches)


async def test_an_idle_stream_costs_no_query(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    get_events = EventRows.get_events

    def counted(self: EventRows, *args: Any) -> Any:
        looks.append(args[0])
        return get_events(self, *args)

    monkeypatch.setattr(EventRows, "get_events", counted)
    monkeypatch.setattr(streams, "SWEEP", NET)
    batches = follow(job.pk, 2, idle=0.01)
    await anext(batches)
    # A ring that comes with the opening may still be on its way.
    await anext(batches)
    before = len(looks)
    for _ in range(20):
        assert await anext(batches) == []

    assert len(looks) <= before + 20
    await close(batches)


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

    batches = follow(job.pk, 0, idle=0.2)
    assert await read(batches) == [1, 2]
    await elsewhere(phantom)
    assert await anext(batches) == []
    await elsewhere(append, job.pk, job.attempt, Event.Type.DELTA)
    async with asyncio.timeout(NET):
        while not (batch := await anext(batches)):
            pass

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


class Deaf(Subscription):
    """A doorbell that never rings."""

    def run(self) -> None:
        pass


class DeafBell:
    def listen(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        subscription = Deaf(topics, on_ring)
        subscription.start()
        return subscription


async def test_a_ring_wakes_it(job: Job, read_live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the sweep that brings new events."""
    monkeypatch.setattr(streams, "SWEEP", 10 * NET)
    batches = follow(job.pk, 0, idle=10 * NET)
    assert await read(batches) == [1, 2]
    assert await read_live(batches, say, job) == [3]
    assert await read_live(batches, finish, job) == [4]


async def test_a_lost_ring(job: Job, read_live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """All followed jobs are looked at from time to time."""
    monkeypatch.setattr(streams, "get_bell", DeafBell)
    assert streams.SWEEP <= 1.0
    batches = follow(job.pk, 0, idle=10 * NET)
    assert await read(batches) == [1, 2]
    assert await read_live(batches, say, job) == [3]
    assert await read_live(batches, finish, job) == [4]


async def test_the_sweep_is_one_query_for_all(
    chat: Chat, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "get_bell", DeafBell)
    swept: list[list[str]] = []
    both = asyncio.Event()
    heads_of = streams._heads_of
    loop = asyncio.get_running_loop()

    def counted(channels: list[str]) -> dict[str, int]:
        swept.append(sorted(channels))
        if len(channels) == 2:
            loop.call_soon_threadsafe(both.set)
        return heads_of(channels)

    monkeypatch.setattr(streams, "_heads_of", counted)
    other = await elsewhere(chat.send)
    mine, its = follow(job.pk, 2, idle=0.01), follow(other.pk, 0, idle=0.01)
    await anext(mine)
    await anext(its)
    async with asyncio.timeout(NET):
        await both.wait()

    assert swept[-1] == sorted([channel(job.pk), channel(other.pk)])
    await close(mine)
    await close(its)


async def test_a_database_that_is_away(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream stays, and catches up by itself."""
    monkeypatch.setattr(streams, "SWEEP", 0.01)
    get_events, heads_of = EventRows.get_events, streams._heads_of
    failures = iter(range(6))

    def away() -> None:
        for _ in failures:
            raise OperationalError("server closed the connection unexpectedly")

    def events(self: EventRows, *args: Any) -> Any:
        away()
        return get_events(self, *args)

    def heads(channels: list[str]) -> dict[str, int]:
        away()
        return heads_of(channels)

    monkeypatch.setattr(EventRows, "get_events", events)
    monkeypatch.setattr(streams, "_heads_of", heads)
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await elsewhere(finish, job)

    assert await read_all(batches) == [3]


@pytest.fixture
def own_backend(job: Job) -> int:
    """Return the backend of the test's own thread, which closes its connection itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.postgresql
async def test_connections_that_are_terminated(job: Job, own_backend: int, read_live: Live) -> None:
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


# The end of the process.


async def test_streams_are_cut(job: Job) -> None:
    batches = follow(job.pk, 0)
    await read(batches)
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    await close_streams()

    with pytest.raises(StreamCut):
        async with asyncio.timeout(NET):
            await waiting
    assert streams.listeners.count() == 0


async def test_streams_are_cut_between_two_batches(job: Job) -> None:
    batches = follow(job.pk, 0)
    await read(batches)
    streams.listeners.cut_all()

    with pytest.raises(StreamCut):
        await anext(batches)


async def test_streams_open_again(job: Job) -> None:
    await streams.open_streams()
    await close_streams()
    with pytest.raises(StreamCut):
        await anext(follow(job.pk, 0))
    await streams.open_streams()
    await elsewhere(finish, job)

    assert await read_all(follow(job.pk, 0)) == [1, 2, 3]


async def test_close_twice() -> None:
    await streams.open_streams()
    await close_streams()
    await close_streams()


# Listeners.


async def test_listeners_leave_nothing(job: Job) -> None:
    listeners = streams.listeners
    first, second, third = (follow(job.pk, 0) for _ in range(3))
    for batches in (first, second, third):
        await read(batches)
    assert listeners.count() == 3
    await close(first)
    waiting = asyncio.ensure_future(anext(second))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert listeners.count() == 1
    await elsewhere(finish, job)
    assert await read(third) == [3]
    with pytest.raises(StopAsyncIteration):
        await anext(third)

    assert listeners.count() == 0
    assert listeners.listeners_by_channel == {}


async def test_orphaned_sync_jobs_are_looked_for(
    chat: Chat, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no cluster, a web process that lives finds the jobs of one that died."""
    monkeypatch.setattr(streams, "SWEEP", 0.01)

    def orphan() -> Job:
        made = Chat(chat.user, "other").send(mode="sync")
        past = timezone.now() - timedelta(seconds=1)
        Job.objects.filter(pk=made.pk).update(lease_until=past)
        return made

    made = await elsewhere(orphan)
    async with asyncio.timeout(NET):
        batches = follow(made.pk, 0)
        assert await read(batches) == [1]

    await elsewhere(made.refresh_from_db)
    assert (made.state, made.code) == (State.FAILED, "worker_lost")


# django-eventstream's interfaces.


def test_who_may_listen(job: Job, alice: User, bob: User) -> None:
    may = JobChannels().can_read_channel

    assert may(alice, channel(job.pk))
    assert not may(bob, channel(job.pk))
    assert not may(None, channel(job.pk))
    assert not may(AnonymousUser(), channel(job.pk))
    assert not may(alice, channel(job.pk + 1))


def test_the_storage(job: Job) -> None:
    storage = EventRows()

    assert storage.get_current_id(channel(job.pk)) == 2
    assert storage.get_current_id(channel(job.pk + 1)) == 0
    assert [event.id for event in storage.get_events(channel(job.pk), 0)] == [1, 2]
    assert [event.id for event in storage.get_events(channel(job.pk), 0, limit=1)] == [1]
    assert storage.get_events(channel(job.pk), 2) == []
    with pytest.raises(NotImplementedError):
        storage.append_event(channel(job.pk), "message", {})
