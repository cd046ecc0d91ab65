"""The listeners: rings, lost rings, and the end of the process."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from chatflow.workflows.bells import OnRing, Subscription
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Vigil, vigil
from chatflow.workflows.streaming import listeners as module
from chatflow.workflows.streaming.followers import StreamCut
from chatflow.workflows.streaming.listeners import listeners
from chatflow.workflows.streaming.storage import ChannelCursor, channel
from tests.chatflow.threads import close_streams
from tests.configure import configure
from tests.workflows.chat import NET, Chat
from tests.workflows.streaming.following import (
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


async def test_listeners_leave_nothing(job: Job) -> None:
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
    monkeypatch.setattr(module, "SWEEP", 10 * NET)
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    assert await read_live(batches, say, job) == [3]
    assert await read_live(batches, finish, job) == [4]


async def test_a_lost_ring(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """All followed jobs are looked at from time to time."""
    monkeypatch.setattr(module, "get_bell", DeafBell)
    assert module.SWEEP <= 1.0
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    assert await read_live(batches, say, job) == [3]
    assert await read_live(batches, finish, job) == [4]


async def test_the_sweep_is_one_query_for_all(
    chat: Chat, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "get_bell", DeafBell)
    monkeypatch.setattr(module, "SWEEP", 0.01)
    swept: list[Sequence[ChannelCursor]] = []
    both = asyncio.Event()
    moved = listeners.storage.moved
    loop = asyncio.get_running_loop()

    def counted(places: Sequence[ChannelCursor]) -> dict[str, int | None]:
        swept.append(sorted(places))
        if len(places) == 2:
            loop.call_soon_threadsafe(both.set)
        return moved(places)

    monkeypatch.setattr(listeners.storage, "moved", counted)
    other = await elsewhere(chat.send)
    mine, its = follow(job.pk, 0), follow(other.pk, 0)
    assert await read(mine) == [1, 2]
    waiting = asyncio.ensure_future(read(its))
    async with asyncio.timeout(NET):
        await both.wait()

    assert swept[-1] == sorted([(channel(job.pk), 2), (channel(other.pk), 0)])
    waiting.cancel()
    await close(mine)


async def test_an_idle_stream_costs_no_look(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a sweep nor a ring for another job makes it look."""
    monkeypatch.setattr(module, "SWEEP", 0.01)
    looks: list[Sequence[ChannelCursor]] = []
    sweeps = asyncio.Semaphore(0)
    events_after, moved = listeners.storage.events_after, listeners.storage.moved
    loop = asyncio.get_running_loop()

    def look(places: Sequence[ChannelCursor]) -> dict[ChannelCursor, list[Event]]:
        looks.append(places)
        return events_after(places)

    def sweep(places: Sequence[ChannelCursor]) -> dict[str, int | None]:
        loop.call_soon_threadsafe(sweeps.release)
        return moved(places)

    monkeypatch.setattr(listeners.storage, "events_after", look)
    monkeypatch.setattr(listeners.storage, "moved", sweep)
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await quiet()
    looks.clear()
    for _ in range(3):
        await sweeps.acquire()

    assert looks == []
    await close(batches)


async def test_a_deleted_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its streams break off: whoever comes back is told."""
    monkeypatch.setattr(module, "SWEEP", 0.01)
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await elsewhere(job.delete)

    with pytest.raises(StreamCut):
        await read(batches)


async def test_a_database_that_is_away(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream stays, and catches up by itself."""
    monkeypatch.setattr(module, "SWEEP", 0.01)
    failures = iter(range(6))

    def at_first_away(function: Callable[[Any], T]) -> Callable[[Any], T]:
        def call(places: Any) -> T:
            for _ in failures:
                raise OperationalError("server closed the connection unexpectedly")
            return function(places)

        return call

    rows = listeners.storage
    monkeypatch.setattr(rows, "events_after", at_first_away(rows.events_after))
    monkeypatch.setattr(rows, "moved", at_first_away(rows.moved))
    batches = follow(job.pk, 0)
    assert await read(batches) == [1, 2]
    await elsewhere(finish, job)

    assert await read_all(batches) == [3]


async def test_orphaned_sync_jobs_are_looked_for(
    chat: Chat, job: Job, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no cluster, a web process that lives finds the jobs of one that died."""
    monkeypatch.setattr(module, "SWEEP", 0.01)
    monkeypatch.setattr(module, "ORPHANS", 0.01)
    # It doubts at first, until the living have had the time to renew their leases.
    monkeypatch.setattr(vigil, "RENEWAL", 0.1)
    configure(settings, WORKFLOW_LEASE_SECONDS=0.6)

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


async def test_nobody_is_an_orphan_just_after_an_outage(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All looks keep one vigil, and so each knows how the one before it went."""
    monkeypatch.setattr(module, "SWEEP", 0.01)
    monkeypatch.setattr(module, "ORPHANS", 0.01)
    vigils: list[Vigil] = []
    loop, looked = asyncio.get_running_loop(), asyncio.Semaphore(0)

    def look(vigil: Vigil) -> int:
        vigils.append(vigil)
        loop.call_soon_threadsafe(looked.release)
        if len(vigils) == 1:
            raise OperationalError("gone")
        return 0

    monkeypatch.setattr(lifecycle, "reap_inline", look)
    batches = follow(job.pk, 0)
    await read(batches)
    async with asyncio.timeout(NET):
        for _ in range(3):
            await looked.acquire()
    await close(batches)

    assert len(set(vigils)) == 1
    assert not await elsewhere(vigils[0].keep)


class Watching:
    """Listens for a user, and never gets as far as the latest change."""

    def __init__(self, user: User) -> None:
        self.user_id = user.pk
        self.cursor = 0
        self.swept = (0, 0)
        self.rings = 0

    def ring_user(self) -> None:
        self.rings += 1

    def cut(self) -> None:
        pass


@contextmanager
def long_transaction() -> Iterator[None]:
    """Let another connection have a transaction that writes; on PostgreSQL."""
    began, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            connection.cursor().execute("SELECT pg_current_xact_id()")
            began.set()
            assert may_end.wait(NET)
        connection.close()

    writing = threading.Thread(target=write)
    writing.start()
    assert began.wait(NET)
    try:
        yield
    finally:
        may_end.set()
        writing.join()


async def test_a_change_is_swept_up_once(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while another transaction keeps it from being certain."""
    monkeypatch.setattr(module, "get_bell", DeafBell)
    monkeypatch.setattr(module, "SWEEP", 10 * NET)
    await listeners.open()
    # Elsewhere one writes at a time.
    with long_transaction() if connection.vendor == "postgresql" else nullcontext():
        watching = Watching(chat.user)
        listeners.add_user(watching)
        for changes in (1, 2):
            await elsewhere(chat.send)
            for _ in range(3):
                await listeners._sweep_users()
            assert watching.rings == changes
        listeners.remove_user(watching)


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
    assert listeners.listeners_by_channel == {}


async def test_streams_are_cut_between_two_batches(job: Job) -> None:
    batches = follow(job.pk, 0)
    await read(batches)
    listeners.cut_all()

    with pytest.raises(StreamCut):
        await anext(batches)


async def test_streams_open_again(job: Job) -> None:
    await listeners.open()
    listeners.cut_all()
    with pytest.raises(StreamCut):
        await anext(follow(job.pk, 0))
    await close_streams()
    await listeners.open()
    await elsewhere(finish, job)

    assert await read_all(follow(job.pk, 0)) == [1, 2, 3]


async def test_close_twice() -> None:
    await listeners.open()
    await close_streams()
    await close_streams()
