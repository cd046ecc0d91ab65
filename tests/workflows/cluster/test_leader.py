"""The leader of a cluster, with workers that are processes."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from chatflow.workflows.bells import Ear
from chatflow.workflows.cluster.leader import Leadership
from chatflow.workflows.cluster.rings import DUE, JOB, LEADER
from tests.workflows.chat import NET

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
def leadership(ear: Quiet) -> Iterator[Leadership]:
    leadership = Leadership(ear)
    yield leadership
    leadership.close()


def be_another(leadership: Leadership, pipe: Connection) -> None:
    """Be a worker that tries to lead, says what it got, and stays until it is told to go."""
    pipe.send(leadership.lead())
    pipe.recv()


@contextmanager
def other_worker(leadership: Leadership) -> Iterator[tuple[BaseProcess, bytes]]:
    """Yield another worker that has tried to lead, and what it got; it ends with the block."""
    mine, its = forks.Pipe()
    process = forks.Process(target=be_another, args=(leadership, its), daemon=True)
    process.start()
    assert mine.poll(NET)
    yield process, mine.recv()
    mine.send("go")
    process.join(NET)


def test_it_works(leadership: Leadership, ear: Quiet) -> None:
    assert leadership.descriptors == []
    # What was rung for before it listened, nobody heard.
    assert leadership.lead() == JOB + DUE
    assert leadership.descriptors == [0]
    assert leadership.lead() == b""
    ear.heard = ["jobs", "due", "jobs"]

    assert leadership.lead() == JOB + DUE + JOB


def test_it_is_handed_over_with_the_claim(leadership: Leadership, ear: Quiet) -> None:
    assert leadership.unlisten() is None
    leadership.lead()
    assert leadership.unlisten() == "UNLISTEN"
    ear.heard = ["jobs"]
    assert leadership.hand_over() == JOB + LEADER

    assert leadership.descriptors == []
    assert leadership.hand_over() == b""
    assert leadership.lead() == JOB + DUE


def test_a_claim_in_vain(leadership: Leadership, ear: Quiet) -> None:
    """It still leads, and has to listen anew."""
    leadership.lead()
    leadership.unlisten()
    # To look at all there is covers this one.
    ear.heard = ["jobs"]

    assert leadership.lead() == JOB + DUE
    assert leadership.lead() == b""


def test_a_leader_that_has_lost_the_database_lets_go(leadership: Leadership, ear: Quiet) -> None:
    assert leadership.let_go() == b""
    leadership.lead()
    # It went with its connection.
    ear.listens = False
    assert leadership.let_go() == JOB + DUE + LEADER
    assert leadership.descriptors == []

    with other_worker(leadership) as (_, got):
        assert got == JOB + DUE


def test_one_leads(leadership: Leadership) -> None:
    with other_worker(leadership) as (_, got):
        assert got == JOB + DUE
        assert leadership.lead() == b""
        assert leadership.descriptors == []
        # It neither hears, nor has anything to hand over.
        assert leadership.unlisten() is None
        assert leadership.hand_over() == b""

    assert leadership.lead() == JOB + DUE


def test_another_leads_when_it_is_handed_over(leadership: Leadership, ear: Quiet) -> None:
    leadership.lead()
    with other_worker(leadership) as (_, got):
        assert got == b""
    leadership.unlisten()
    leadership.hand_over()

    with other_worker(leadership) as (_, got):
        assert got == JOB + DUE


def test_a_leader_that_is_killed(leadership: Leadership) -> None:
    with other_worker(leadership) as (process, _):
        assert leadership.lead() == b""
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(NET)

        assert leadership.lead() == JOB + DUE
