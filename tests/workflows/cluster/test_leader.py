"""The front of a cluster, with workers that are processes."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from tests.workflows.chat import NET
from workflows.bells import Ear
from workflows.cluster.leader import Front
from workflows.cluster.rings import DUE, FRONT, JOB

forks = multiprocessing.get_context("fork")


class Quiet(Ear):
    """An ear that hears what it is told."""

    def __init__(self) -> None:
        self.listens = False
        self.heard: list[str] = []

    def listen(self) -> bool:
        before, self.listens = self.listens, True
        return not before

    def unlisten(self) -> str | None:
        before, self.listens = self.listens, False
        return "UNLISTEN" if before else None

    def hear(self) -> list[str]:
        heard, self.heard = self.heard, []
        return heard

    def fileno(self) -> int:
        return 0


@pytest.fixture
def ear() -> Quiet:
    return Quiet()


@pytest.fixture
def front(ear: Quiet) -> Iterator[Front]:
    front = Front(ear)
    yield front
    front.close()


def stand_there(front: Front, pipe: Connection) -> None:
    """Be a worker that enters, says what it got, and stays until it is told to go."""
    pipe.send(front.enter())
    pipe.recv()


@contextmanager
def other_worker(front: Front) -> Iterator[tuple[BaseProcess, bytes]]:
    """Yield another worker that has tried to enter, and what it got; it ends with the block."""
    mine, its = forks.Pipe()
    process = forks.Process(target=stand_there, args=(front, its), daemon=True)
    process.start()
    assert mine.poll(NET)
    yield process, mine.recv()
    mine.send("go")
    process.join(NET)


def test_it_works(front: Front, ear: Quiet) -> None:
    assert front.descriptors == []
    # What was rung for before it listened, nobody heard.
    assert front.enter() == JOB + DUE
    assert front.descriptors == [0]
    assert front.enter() == b""
    ear.heard = ["jobs", "due", "jobs"]

    assert front.enter() == JOB + DUE + JOB


def test_it_is_left_with_the_claim(front: Front, ear: Quiet) -> None:
    assert front.leaving() is None
    front.enter()
    assert front.leaving() == "UNLISTEN"
    ear.heard = ["jobs"]
    assert front.leave() == JOB + FRONT

    assert front.descriptors == []
    assert front.leave() == b""
    assert front.enter() == JOB + DUE


def test_a_claim_in_vain(front: Front, ear: Quiet) -> None:
    """It stays in front, and has to listen anew."""
    front.enter()
    front.leaving()
    # To look at all there is covers this one.
    ear.heard = ["jobs"]

    assert front.enter() == JOB + DUE
    assert front.enter() == b""


def test_who_has_lost_the_database_leaves(front: Front, ear: Quiet) -> None:
    assert front.abandon() == b""
    front.enter()
    # It went with its connection.
    ear.listens = False
    assert front.abandon() == JOB + DUE + FRONT
    assert front.descriptors == []

    with other_worker(front) as (_, got):
        assert got == JOB + DUE


def test_one_is_in_front(front: Front) -> None:
    with other_worker(front) as (_, got):
        assert got == JOB + DUE
        assert front.enter() == b""
        assert front.descriptors == []
        # Neither does it hear, nor can it leave.
        assert front.leaving() is None
        assert front.leave() == b""

    assert front.enter() == JOB + DUE


def test_who_comes_second_gets_in_when_it_is_left(front: Front, ear: Quiet) -> None:
    front.enter()
    with other_worker(front) as (_, got):
        assert got == b""
    front.leaving()
    front.leave()

    with other_worker(front) as (_, got):
        assert got == JOB + DUE


def test_the_front_of_a_worker_that_is_killed(front: Front) -> None:
    with other_worker(front) as (process, _):
        assert front.enter() == b""
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(NET)

        assert front.enter() == JOB + DUE
