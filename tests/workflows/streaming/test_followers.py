"""Followers: every event once and in order, the old ones and the new."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from tests.chatflow.threads import close_streams
from tests.workflows.chat import NET, Chat, claimed, with_empty_log
from workflows.bells import OnRing, Subscription
from workflows.models import Event, Job, State
from workflows.store import lifecycle
from workflows.store.database.base import Place
from workflows.store.events import append
from workflows.store.lifecycle import Outcome
from workflows.streaming import followers, readers
from workflows.streaming.followers import EventRows, Follower, JobChannels, StreamCut, channel

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(chat: Chat) -> Job:
    """A job that runs, and has two events."""
    chat.send()
    running = with_empty_log(claimed())
    say(running, 2)
    return running


@pytest_asyncio.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    followers.listeners.closing = False
    yield
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
    await followers.open_streams()
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
            for followers in followers.listeners.listeners_by_channel.values()
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
            say(job, readers.BATCH)
        finish(job)

    await elsewhere(write)

    assert await read_all(follow(job.pk, 0)) == list(range(1, readers.BATCH + 4))


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


async def test_an_idle_stream_costs_no_look(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a sweep nor a ring for another job makes it look."""
    monkeypatch.setattr(followers, "SWEEP", 0.01)
    looks: list[Sequence[Place]] = []
    sweeps = asyncio.Semaphore(0)
    events_after, moved = readers.events_after, readers.moved
    loop = asyncio.get_running_loop()

    def look(places: Sequence[Place]) -> dict[Place, list[Event]]:
        looks.append(places)
        return events_after(places)

    def sweep(places: Sequence[Place]) -> dict[int, int | None]:
        loop.call_soon_threadsafe(sweeps.release)
        return moved(places)

    monkeypatch.setattr(readers, "events_after", look)
    monkeypatch.setattr(readers, "moved", sweep)
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await quiet()
    looks.clear()
    for _ in range(3):
        await sweeps.acquire()

    assert looks == []
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

    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await elsewhere(phantom)
    followers.listeners.ring(channel(job.pk))
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


class Deaf(Subscription):
    """A doorbell that never rings."""

    def run(self) -> None:
        pass


class DeafBell:
    def listen(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        subscription = Deaf(topics, on_ring)
        subscription.start()
        return subscription


async def test_a_ring_wakes_it(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the sweep that brings new events."""
    monkeypatch.setattr(followers, "SWEEP", 10 * NET)
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    assert await read_live(batches, say, job) == [3]
    assert await read_live(batches, finish, job) == [4]


async def test_a_lost_ring(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """All followed jobs are looked at from time to time."""
    monkeypatch.setattr(followers, "get_bell", DeafBell)
    assert followers.SWEEP <= 1.0
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    assert await read_live(batches, say, job) == [3]
    assert await read_live(batches, finish, job) == [4]


async def test_the_sweep_is_one_query_for_all(
    chat: Chat, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "get_bell", DeafBell)
    monkeypatch.setattr(followers, "SWEEP", 0.01)
    swept: list[Sequence[Place]] = []
    both = asyncio.Event()
    moved = readers.moved
    loop = asyncio.get_running_loop()

    def counted(places: Sequence[Place]) -> dict[int, int | None]:
        swept.append(sorted(places))
        if len(places) == 2:
            loop.call_soon_threadsafe(both.set)
        return moved(places)

    monkeypatch.setattr(readers, "moved", counted)
    other = await elsewhere(chat.send)
    mine, its = follow(job.pk, 0), follow(other.pk, 0)
    assert await read(mine) == [1, 2]
    waiting = asyncio.ensure_future(read(its))
    async with asyncio.timeout(NET):
        await both.wait()

    assert swept[-1] == sorted([(job.pk, 2), (other.pk, 0)])
    waiting.cancel()
    await close(mine)


async def test_a_deleted_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its streams break off: whoever comes back is told."""
    monkeypatch.setattr(followers, "SWEEP", 0.01)
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await elsewhere(job.delete)

    with pytest.raises(StreamCut):
        await read(batches)


async def test_a_database_that_is_away(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream stays, and catches up by itself."""
    monkeypatch.setattr(followers, "SWEEP", 0.01)
    failures = iter(range(6))

    def at_first_away(function: Callable[[Any], T]) -> Callable[[Any], T]:
        def call(places: Any) -> T:
            for _ in failures:
                raise OperationalError("server closed the connection unexpectedly")
            return function(places)

        return call

    monkeypatch.setattr(readers, "events_after", at_first_away(readers.events_after))
    monkeypatch.setattr(readers, "moved", at_first_away(readers.moved))
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await elsewhere(finish, job)

    assert await read_all(batches) == [3]


async def test_what_cannot_be_handed_on(job: Job) -> None:
    """The follower hears of it, and is handed nothing more."""

    class Broken(Collector):
        async def hand_on(self, events: list[Event]) -> None:
            raise ConnectionError

    await followers.open_streams()
    follower = Broken(job.pk, 0)
    follower.start()
    async with asyncio.timeout(NET):
        assert isinstance(await follower.handed.get(), ConnectionError)

    assert followers.listeners.listeners_by_channel == {}
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


# The end of the process.


async def test_streams_are_cut(job: Job) -> None:
    batches = follow(job.pk, 0)
    await read(batches)
    waiting = asyncio.ensure_future(read(batches))
    await asyncio.sleep(0)
    await close_streams()

    with pytest.raises(StreamCut):
        async with asyncio.timeout(NET):
            await waiting
    assert followers.listeners.listeners_by_channel == {}


async def test_streams_are_cut_between_two_batches(job: Job) -> None:
    batches = follow(job.pk, 0)
    await read(batches)
    followers.cut_streams()

    with pytest.raises(StreamCut):
        await anext(batches)


async def test_streams_open_again(job: Job) -> None:
    await followers.open_streams()
    followers.cut_streams()
    with pytest.raises(StreamCut):
        await anext(follow(job.pk, 0))
    await close_streams()
    await followers.open_streams()
    await elsewhere(finish, job)

    assert await read_all(follow(job.pk, 0)) == [1, 2, 3]


async def test_close_twice() -> None:
    await followers.open_streams()
    await close_streams()
    await close_streams()


# Listeners.


async def test_listeners_leave_nothing(job: Job) -> None:
    listeners = followers.listeners
    first, second, third = (follow(job.pk, 0) for _ in range(3))
    for batches in (first, second, third):
        await read(batches)
    assert len(listeners.listeners_by_channel[channel(job.pk)]) == 3
    await close(first)
    waiting = asyncio.ensure_future(anext(second))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(listeners.listeners_by_channel[channel(job.pk)]) == 1
    await elsewhere(finish, job)
    assert await read(third) == [3]
    with pytest.raises(StopAsyncIteration):
        await anext(third)

    assert listeners.listeners_by_channel == {}


async def test_orphaned_sync_jobs_are_looked_for(
    chat: Chat, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no cluster, a web process that lives finds the jobs of one that died."""
    monkeypatch.setattr(followers, "SWEEP", 0.01)

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
