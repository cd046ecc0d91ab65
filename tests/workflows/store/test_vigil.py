"""The vigil: a standstill costs time, never an attempt."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from chatflow.workflows import workflow
from chatflow.workflows.models import Job, State
from chatflow.workflows.running import runner
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Vigil, vigil
from tests.configure import configure
from tests.workflows.chat import NET, Chat, claimed, until_a_lock_is_waited_for

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = 15.0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return the database's clock and this process's, to be moved."""
    clocks = {"database": 1000.0, "own": 5000.0}
    monkeypatch.setattr(vigil, "_read_clock", lambda: clocks["database"])
    monkeypatch.setattr(time, "monotonic", lambda: clocks["own"])
    return clocks


def go_on(clocks: dict[str, float], seconds: float, *, asleep: float = 0.0) -> None:
    clocks["database"] += seconds + asleep
    clocks["own"] += seconds


@pytest.fixture(autouse=True)
def lease(settings: Any) -> None:
    configure(settings, WORKFLOW_LEASE_SECONDS=LEASE)


def test_who_looks_at_its_pace_trusts_what_it_sees(clocks: dict[str, float]) -> None:
    mine = Vigil(1.0)
    for late in (0.0, 0.5, 2.0):
        assert mine.keep()
        go_on(clocks, 1.0 + late)

    assert mine.keep()


def test_after_a_standstill_the_living_get_the_time_to_renew(clocks: dict[str, float]) -> None:
    mine = Vigil(1.0)
    mine.keep()
    go_on(clocks, 1.0, asleep=60.0)
    renewal = 0.0
    while not mine.keep():
        renewal += 1.0
        go_on(clocks, 1.0)

    assert LEASE / 3 + vigil.RENEWAL <= renewal <= LEASE / 3 + vigil.RENEWAL + 1


def test_a_machine_that_is_suspended_once_more_gets_the_time_anew(
    clocks: dict[str, float],
) -> None:
    mine = Vigil(1.0)
    mine.keep()
    go_on(clocks, 1.0, asleep=60.0)
    for _ in range(3):
        assert not mine.keep()
        go_on(clocks, 1.0, asleep=60.0)
        assert not mine.keep()
        go_on(clocks, 1.0)
        assert not mine.keep()


@pytest.mark.parametrize("lease", [3.0, 6.0, 15.0, 60.0, 600.0])
@pytest.mark.parametrize("pace", [1.0, 2.0, 5.0])
def test_no_standstill_that_costs_a_living_lease_escapes(
    clocks: dict[str, float], settings: Any, lease: float, pace: float
) -> None:
    """Two thirds of a lease are left when it begins, at least."""
    configure(settings, WORKFLOW_LEASE_SECONDS=lease)
    mine = Vigil(pace)
    mine.keep()
    go_on(clocks, 0.0, asleep=lease * 2 / 3 + 0.01)

    assert not mine.keep()


def test_a_first_look_that_is_blocked_however_shortly(
    clocks: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows how long others have been blocked before."""
    blocked = iter([1000.0, 1000.5])
    monkeypatch.setattr(vigil, "_read_clock", lambda: next(blocked))

    assert not Vigil(1.0).keep()


def test_an_outage_is_a_standstill_too(clocks: dict[str, float]) -> None:
    mine = Vigil(1.0)
    assert mine.keep()
    mine.doubt()
    go_on(clocks, LEASE / 3)
    assert not mine.keep()


# What is decided by it, on real locks.


def lock_table(mode: str) -> None:
    # On SQLite a transaction locks everything anyway.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE workflows_job IN {mode} MODE")


LOCKS: dict[str, Callable[[Job], None]] = {
    # A migration that changes the table, and one that builds an index: that lets others read.
    "no reads": lambda job: lock_table("ACCESS EXCLUSIVE"),
    "no writes": lambda job: lock_table("SHARE"),
    "its session": lifecycle.lock_session,
}


@pytest.fixture
def job(chat: Chat, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A running job, whose lease has just run out; a standstill of 0.3 seconds is one."""
    monkeypatch.setattr(vigil, "LATE", 0.1)
    configure(settings, WORKFLOW_LEASE_SECONDS=0.6)
    chat.send()
    taken = claimed()
    Job.objects.update(lease_until=taken.created_at)
    return taken


@contextmanager
def locked(job: Job, lock: str) -> Iterator[None]:
    """Have somebody else hold a lock for longer than the leases of the living last."""
    begun = threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                LOCKS[lock](job)
                begun.set()
                time.sleep(0.7)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(NET)
    yield
    holder.join(NET)


@pytest.mark.parametrize("lock", LOCKS)
def test_whoever_was_blocked_takes_nothing_over(job: Job, lock: str) -> None:
    """Even at its first look: a cluster may be started in the middle of a migration."""
    with locked(job, lock):
        assert lifecycle.reap(Vigil(1.0)) == 0
    job.refresh_from_db()

    assert (job.state, job.lost, job.attempt) == (State.PROCESSING, 0, 1)


@pytest.mark.parametrize("lock", ["no reads", "no writes"])
def test_whoever_was_blocked_kills_nobody(job: Job, lock: str) -> None:
    with locked(job, lock):
        assert lifecycle.stuck_workers([job.worker], Vigil(1.0)) == set()


@pytest.mark.postgresql
def test_a_worker_whose_answer_waits_for_its_session_is_not_stuck(
    chat: Chat, settings: Any
) -> None:
    """Nobody else is blocked by that lock: it is the worker that has to renew its lease."""
    configure(settings, WORKFLOW_LEASE_SECONDS=0.6)
    workflow("w")(lambda ctx: "done")
    chat.send(workflow="w")
    job = claimed()
    lease = job.lease_until

    def work() -> None:
        try:
            runner.run(job, interruptible=False)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    with transaction.atomic():
        lifecycle.lock_session(job)
        worker.start()
        until_a_lock_is_waited_for()
        until = time.monotonic() + NET
        while lease == job.lease_until:
            assert time.monotonic() < until, "It doesn't renew its lease."
            job.refresh_from_db(fields=["lease_until"])
        assert lifecycle.stuck_workers([job.worker], Vigil(1.0)) == set()
    worker.join(NET)
    job.refresh_from_db()

    assert (job.state, job.response) == (State.COMPLETED, "done")


@pytest.mark.parametrize("lock", LOCKS)
def test_whoever_was_blocked_fails_no_sync_job(job: Job, lock: str) -> None:
    Job.objects.update(inline=True)
    with locked(job, lock):
        assert lifecycle.reap_inline(Vigil(1.0)) == 0
    job.refresh_from_db()

    assert job.state == State.PROCESSING


def test_a_lease_that_was_renewed_meanwhile(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the lock."""
    lock_session = lifecycle.lock_session

    def renew_first(found: Job) -> None:
        lifecycle.renew([(found.pk, found.attempt)])
        lock_session(found)

    monkeypatch.setattr("chatflow.workflows.store.lifecycle.reaping.lock_session", renew_first)

    assert lifecycle.reap(Vigil(1.0)) == 0
    assert Job.objects.get().state == State.PROCESSING
