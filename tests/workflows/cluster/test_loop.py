"""A loop worker in the test's own process: its runs, its end, and who holds it up."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from chatflow.workflows import services
from chatflow.workflows.cluster.loop import JobFetcher, LoopWorker
from chatflow.workflows.models import Job, State
from chatflow.workflows.registry import workflow
from chatflow.workflows.running import attempt, pulse, watchdog
from chatflow.workflows.running.context import Context
from chatflow.workflows.running.lanes import Lanes
from chatflow.workflows.store import lifecycle
from tests.workflows.chat import ME, NET, Chat, assert_log_is_sound, claimed, streamed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no other test's watchdog be told of cancellations."""
    monkeypatch.setattr(watchdog, "_watchdog", None)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, receiver in before.items():
        signal.signal(number, receiver)


def work_until(done: Callable[[], bool], *, concurrency: int = 100) -> LoopWorker:
    """Let a loop worker work in this, the main thread, until *done*; then tell it to stop."""
    worker = LoopWorker((), ME, concurrency, lambda: None)

    def watch() -> None:
        until = time.monotonic() + NET
        try:
            while not done() and time.monotonic() < until:
                time.sleep(0.005)
        finally:
            connection.close()
            worker.fetcher.stop()

    watching = threading.Thread(target=watch)
    watching.start()
    asyncio.run(worker.run())
    watching.join()
    return worker


def send_all(
    user: User, function: Callable[[Context], Any], count: int, **options: Any
) -> list[Job]:
    workflow("w", **options)(function)
    return [Chat(user, f"s{number}").send(workflow="w") for number in range(count)]


def are_over(jobs: list[Job]) -> bool:
    return not Job.objects.filter(pk__in=[job.pk for job in jobs], finished_at=None).exists()


def test_it_works(alice: User) -> None:
    """Many runs go on side by side: none would end without the others."""
    together = asyncio.Barrier(5)

    async def work(ctx: Context) -> str:
        await ctx.awrite("before ")
        await together.wait()
        await ctx.astep("Step", str, "done")
        await ctx.awrite("after")
        return f"Done by {ctx.session.key}."

    jobs = send_all(alice, work, 5)
    work_until(lambda: are_over(jobs))

    for job in jobs:
        job.refresh_from_db()
        assert (job.state, job.attempt) == (State.COMPLETED, 1)
        assert job.response == f"Done by {job.session.key}."
        assert streamed(job) == "before after"
        assert_log_is_sound(job)


def test_no_more_than_it_may(alice: User) -> None:
    at_once = most = 0

    async def work(ctx: Context) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return "done"

    jobs = send_all(alice, work, 6)
    work_until(lambda: are_over(jobs), concurrency=2)

    assert most == 2


def test_one_that_raises_and_one_that_is_cancelled(alice: User) -> None:
    """Each comes to its own end, and what it has begun ends with it."""
    began, left = threading.Event(), []

    async def beside() -> None:
        try:
            await asyncio.sleep(NET)
        finally:
            left.append("cancelled")

    async def work(ctx: Context) -> str:
        beside_it = asyncio.create_task(beside())
        await asyncio.sleep(0)
        if ctx.session.key == "s0":
            raise RuntimeError("as it was asked to")
        if ctx.session.key == "s1":
            began.set()
            await beside_it
        return "done"

    jobs = send_all(alice, work, 3)

    def cancel_one() -> bool:
        if began.is_set():
            services.cancel(jobs[1])
        return are_over(jobs)

    work_until(cancel_one)

    for job in jobs:
        job.refresh_from_db()
        assert_log_is_sound(job)
    assert [job.state for job in jobs] == [State.FAILED, State.CANCELLED, State.COMPLETED]
    assert left == ["cancelled"] * 3


def test_the_deadline(alice: User) -> None:
    async def work(ctx: Context) -> str:
        await asyncio.sleep(NET)
        return "never"

    jobs = send_all(alice, work, 3, max_execution_time=0.2)
    work_until(lambda: are_over(jobs))

    assert {job.state for job in Job.objects.all()} == {State.TIMEOUT}


def test_what_does_not_stop_is_left_behind(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its job is ended in its name, and the worker goes on."""
    monkeypatch.setattr(watchdog, "GRACE", 0.3)
    monkeypatch.setattr(attempt, "NUDGE_COROUTINE", 0.05)
    nudged, release = [], threading.Event()

    async def work(ctx: Context) -> str:
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                nudged.append(1)
        return "never"

    jobs = send_all(alice, work, 1, max_execution_time=0.1)

    def let_go() -> bool:
        if over := are_over(jobs):
            # asyncio waits for it at the end of the loop.
            release.set()
        return over

    work_until(let_go)

    assert Job.objects.get().state == State.TIMEOUT
    assert len(nudged) > 1


def test_told_to_give_back(alice: User) -> None:
    began = threading.Barrier(4, timeout=NET)

    async def work(ctx: Context) -> str:
        await asyncio.to_thread(began.wait)
        await asyncio.sleep(NET)
        return "never"

    send_all(alice, work, 3)

    def give_back() -> bool:
        began.wait()
        # Only whoever fetches no more may give back: it would be given the same again.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
        return True

    work_until(give_back)

    assert {(job.state, job.lost, job.failures) for job in Job.objects.all()} == {("queued", 0, 0)}


def test_one_that_blocks(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named, stopped where it stands, and explained to the admin; others go on."""
    monkeypatch.setattr(pulse, "MISSING", 0.1)
    monkeypatch.setattr(pulse, "GRACE", 0.3)

    async def work(ctx: Context) -> str:
        if ctx.session.key == "s1":
            time.sleep(NET)
        await asyncio.sleep(0.05)
        return "done"

    jobs = send_all(alice, work, 3)
    work_until(lambda: are_over(jobs))

    for job in jobs:
        job.refresh_from_db()
    assert [job.state for job in jobs] == [State.COMPLETED, State.FAILED, State.COMPLETED]
    assert f"{jobs[1]} (w) blocks its worker" in caplog.text
    assert "time.sleep(NET)" in jobs[1].traceback
    assert "asyncio.to_thread()" in jobs[1].traceback
    assert jobs[1].error == watchdog.FAILED


def test_one_that_blocks_for_a_moment(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on, and the admin is told."""
    monkeypatch.setattr(pulse, "MISSING", 0.05)

    async def work(ctx: Context) -> str:
        await asyncio.sleep(0.01)
        time.sleep(0.3)
        # The pulse comes back in between.
        await asyncio.sleep(0.5)
        return "done"

    [job] = send_all(alice, work, 1)
    work_until(lambda: are_over([job]))
    job.refresh_from_db()

    assert (job.state, job.response) == (State.COMPLETED, "done")
    assert job.traceback.startswith("It blocked its worker for 0.")


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    lanes = Lanes()
    yield lanes
    lanes.close()


def test_plain_jobs_are_others(alice: User, lanes: Lanes) -> None:
    workflow("plain")(lambda ctx: "done")
    Chat(alice).send(workflow="plain")
    fetcher = JobFetcher((), ME, lanes)

    assert fetcher._look(b"") is None
    assert claimed().workflow == "plain"


def test_a_claim_without_word_of_it(alice: User, lanes: Lanes) -> None:
    """What the worker runs stays its own; what it doesn't know of goes back."""

    async def work(ctx: Context) -> str:
        return "done"

    send_all(alice, work, 2)
    fetcher = JobFetcher((), ME, lanes)
    package = fetcher._look(b"")
    assert package is not None
    known = package["args"][0]
    unknown = claimed()
    fetcher._take_back_unknown()

    assert Job.objects.get(pk=known.pk).state == State.PROCESSING
    assert Job.objects.get(pk=unknown.pk).state == State.QUEUED
    fetcher.done(known)
    fetcher._take_back_unknown()
    assert Job.objects.get(pk=known.pk).state == State.QUEUED
    assert lifecycle.reap_worker(ME.id)
