"""Waiting in line, which holds no thread."""

import asyncio

import pytest

from chatflow.access import line
from chatflow.access.line import Line, turned_away


class Visit:
    """Somebody who waits, and stays until told to leave."""

    def __init__(self, queue: Line, address: str = "192.0.2.1") -> None:
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.turned_away: bool | None = None
        self.done = asyncio.ensure_future(self._visit(queue, address))

    async def _visit(self, queue: Line, address: str) -> None:
        async with queue.place(address):
            self.turned_away = turned_away.get()
            self.inside.set()
            await self.leave.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_works() -> None:
    queue = Line(2)
    visits = [Visit(queue) for _ in range(4)]
    await settle()
    assert [each.inside.is_set() for each in visits] == [True, True, False, False]
    visits[0].leave.set()
    await settle()
    # Those who came first are first.
    assert [each.inside.is_set() for each in visits] == [True, True, True, False]
    for each in visits:
        each.leave.set()
    await asyncio.gather(*(each.done for each in visits))
    assert [each.turned_away for each in visits] == [False] * 4
    assert not queue._waiting


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "PATIENCE", 0.01)
    queue = Line(1)
    first, second = Visit(queue), Visit(queue)
    second.leave.set()
    await second.done
    assert (first.turned_away, second.turned_away) == (False, True)
    first.leave.set()
    await first.done
    # The one who had no place gave none back.
    third, fourth = Visit(queue), Visit(queue)
    await settle()
    assert (third.inside.is_set(), fourth.inside.is_set()) == (True, False)
    for each in (third, fourth):
        each.leave.set()
        await each.done


async def test_one_address_leaves_room_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "OF_ONE", 1)
    queue = Line(1)
    many = [Visit(queue) for _ in range(3)]
    await settle()
    other = Visit(queue, "192.0.2.2")
    for each in (*many, other):
        each.leave.set()
        await each.done
    # One is in, one waits.
    assert [each.turned_away for each in many] == [False, False, True]
    assert other.turned_away is False
