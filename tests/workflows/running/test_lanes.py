"""Lanes: few threads for the engine, others for authors' code, and one call of a run at a time."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import OperationalError

from chatflow.workflows.running.lanes import LANES, Lanes, call_plain, is_alone
from tests.workflows.chat import NET


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    lanes = Lanes()
    yield lanes
    lanes.engine.shutdown()
    lanes.authors.shutdown()


def thread() -> str:
    return threading.current_thread().name


def in_run(lanes: Lanes, work: Coroutine[Any, Any, Any]) -> Any:
    async def run() -> Any:
        async with lanes.context():
            return await work

    return asyncio.run(run())


def test_it_works(lanes: Lanes) -> None:
    async def work() -> tuple[str, str, str]:
        return await sync_to_async(thread)(), await call_plain(thread), await lanes.call(thread)

    engine, plain, own = in_run(lanes, work())

    assert engine.startswith("lane")
    assert plain.startswith("plain")
    assert own.startswith("lane")


def test_many_runs_share_few_threads(lanes: Lanes) -> None:
    async def run() -> str:
        async with lanes.context():
            return await sync_to_async(thread)()

    async def all_runs() -> list[str]:
        return await asyncio.gather(*(asyncio.create_task(run()) for _ in range(20)))

    assert len(set(asyncio.run(all_runs()))) <= LANES


def test_the_calls_of_a_run_do_not_overlap(lanes: Lanes) -> None:
    at_once, most = 0, 0

    def call() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.001)
        at_once -= 1

    async def work() -> None:
        calls = [sync_to_async(call)() if even else call_plain(call) for even in (0, 1) * 10]
        await asyncio.gather(*calls)

    in_run(lanes, work())

    assert most == 1


def test_a_run_whose_own_code_blocks_holds_up_no_other(lanes: Lanes) -> None:
    release, others = threading.Event(), []

    async def blocked() -> None:
        async with lanes.context():
            await call_plain(release.wait, NET)

    async def other() -> None:
        async with lanes.context():
            others.append(await sync_to_async(thread)())

    async def both() -> None:
        blocking = [asyncio.create_task(blocked()) for _ in range(LANES + 1)]
        await asyncio.gather(*(asyncio.create_task(other()) for _ in range(3)))
        release.set()
        await asyncio.gather(*blocking)

    asyncio.run(both())

    assert len(others) == 3


def test_an_error_and_a_call_that_was_given_up(lanes: Lanes) -> None:
    release = threading.Event()
    called: list[int] = []

    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            await call_plain(lambda: 1 // 0)
        first = asyncio.create_task(call_plain(release.wait, NET))
        second = asyncio.create_task(call_plain(called.append, 2))
        await asyncio.sleep(0)
        assert not is_alone()
        second.cancel()
        await asyncio.wait({second})
        release.set()
        await first
        # The line goes on behind it.
        await call_plain(called.append, 3)

    in_run(lanes, work())

    assert called == [3]


@pytest.mark.parametrize(("error", "closed"), [(OperationalError(), 1), (ValueError(), 0)])
def test_a_query_that_failed(
    error: Exception, closed: int, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection may be broken, and be one of the author's own: the next gets a new one."""
    looked: list[str] = []

    def fail() -> None:
        # Behind the look that a lane takes when it has idled.
        monkeypatch.setattr(
            "chatflow.workflows.running.lanes.close_old_connections",
            lambda: looked.append(thread()),
        )
        raise error

    with pytest.raises(type(error)):
        in_run(lanes, sync_to_async(fail)())
    assert len(looked) == closed


def test_plain_code_that_awaits_in_turn(lanes: Lanes) -> None:
    """It has the run's turn, and what it awaits doesn't wait behind it."""

    async def inner() -> str:
        return await call_plain(thread)

    async def work() -> str:
        return await call_plain(async_to_sync(inner))

    assert in_run(lanes, work()).startswith("plain")


def test_without_lanes() -> None:
    """In a web process a run has a thread to itself."""

    async def work() -> str:
        assert not is_alone()
        return await call_plain(thread)

    assert async_to_sync(work)() == thread()


def test_alone(lanes: Lanes) -> None:
    async def work() -> bool:
        await sync_to_async(thread)()
        while not is_alone():
            await asyncio.sleep(0)
        return is_alone()

    assert in_run(lanes, work())
