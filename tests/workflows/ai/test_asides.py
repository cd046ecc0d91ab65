"""Coroutines that call plain code in between."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from chatflow.workflows.ai.asides import Pausing
from chatflow.workflows.exceptions import Cancelled, Interrupt


class Shield:
    """Stands in for an attempt: leaving its shield raises the interruption."""

    def __init__(self) -> None:
        self.interrupt: Interrupt | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        yield
        if self.interrupt is not None:
            raise self.interrupt


@pytest.fixture
def shield() -> Shield:
    return Shield()


@pytest.fixture
def pausing(shield: Shield) -> Pausing:
    return Pausing(shield)


def has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_it_works(pausing: Pausing) -> None:
    """Plain code runs in this very thread, and no event loop does meanwhile."""

    async def work() -> list[Any]:
        await asyncio.sleep(0)
        return [await pausing.aside(threading.get_ident), await pausing.aside(has_running_loop)]

    assert pausing.run(work()) == [threading.get_ident(), False]


def test_an_exception_comes_back(pausing: Pausing) -> None:
    async def work() -> str:
        try:
            await pausing.aside(lambda: 1 // 0)
        except ZeroDivisionError:
            return "caught"
        return "nothing"

    assert pausing.run(work()) == "caught"


def test_what_the_coroutine_raises_is_raised(pausing: Pausing) -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        pausing.run(work())


def test_asides_of_many_at_once_come_one_after_the_other(pausing: Pausing) -> None:
    called: list[int] = []

    async def work() -> None:
        asides = [pausing.aside(partial(called.append, number)) for number in range(5)]
        await asyncio.gather(*asides)

    pausing.run(work())

    assert called == [0, 1, 2, 3, 4]


def test_an_interruption_drops_the_coroutine(pausing: Pausing) -> None:
    seen: list[str] = []

    def interrupted() -> None:
        raise Cancelled

    async def work() -> None:
        try:
            await pausing.aside(interrupted)
        except BaseException as error:
            seen.append(type(error).__name__)
            # Nobody calls an aside any more.
            await pausing.aside(lambda: seen.append("called"))
            raise

    with pytest.raises(Cancelled):
        pausing.run(work())

    assert seen == ["CancelledError"]


def test_what_was_paid_for_is_recorded_before_the_interruption(
    pausing: Pausing, shield: Shield
) -> None:
    called: list[str] = []

    async def work() -> None:
        # It strikes while the answer arrives.
        shield.interrupt = Cancelled()
        ordinary = pausing.aside(lambda: called.append("ordinary"))
        sure = pausing.aside(lambda: called.append("sure"), surely=True)
        await asyncio.gather(ordinary, sure)

    with pytest.raises(Cancelled):
        pausing.run(work())

    assert called == ["sure"]
