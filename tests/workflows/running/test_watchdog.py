"""The watchdog: leases renewed, jobs stopped, wherever they stand."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.exceptions import (
    AttemptLost,
    Cancelled,
    DeadlineExceeded,
    Interrupt,
    ShuttingDown,
)
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.running import runner, watchdog
from chatflow.workflows.running.attempt import UNHEARD, Attempt
from chatflow.workflows.running.watchdog import Watchdog
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Held
from tests.configure import configure
from tests.workflows.chat import NET, Chat, assert_log_is_sound, at_once, claimed, saved, types

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]


class Watched(Attempt):
    """An attempt that tells when it is stopped."""

    def __init__(self, job: Job, limit: float = NET, *, interruptible: bool = False) -> None:
        super().__init__(job)
        self.begin(limit, interruptible=interruptible)
        self.stopped = threading.Event()

    def stop(self, interrupt: Interrupt) -> None:
        super().stop(interrupt)
        self.stopped.set()

    def stopped_by(self) -> Interrupt | None:
        assert self.stopped.wait(NET)
        return self.interrupt


@pytest.fixture
def job(chat: Chat) -> Job:
    chat.send()
    return claimed()


@pytest.fixture
def own() -> Iterator[Watchdog]:
    """Return the watchdog of this process, and leave it idle."""
    mine = watchdog.get_watchdog()
    yield mine
    for attempt in mine.attempts():
        mine.unwatch(attempt)


class Reads:
    """The watchdog's reads of leases, to be counted and waited for."""

    def __init__(self, read: Callable[[Any], Held]) -> None:
        self._read = read
        self._done = threading.Semaphore(0)
        self.failures: list[Exception] = []
        self.seen: list[tuple[int, int]] = []
        self.count = 0

    def __call__(self, attempts: Any) -> Held:
        self.count += 1
        self.seen += attempts
        try:
            if self.failures:
                raise self.failures.pop()
            return self._read(attempts)
        finally:
            self._done.release()

    def wait_for_one(self) -> None:
        assert self._done.acquire(timeout=NET)


class Renewals(Reads):
    """Those that renew the leases."""


class Looks(Reads):
    """Those that look for cancellations only."""


@pytest.fixture
def renewals(monkeypatch: pytest.MonkeyPatch) -> Renewals:
    renewals = Renewals(lifecycle.renew)
    monkeypatch.setattr(lifecycle, "renew", renewals)
    return renewals


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks = Looks(lifecycle.held)
    monkeypatch.setattr(lifecycle, "held", looks)
    return looks


def test_it_renews(own: Watchdog, job: Job, renewals: Renewals, settings: Any) -> None:
    configure(settings, WORKFLOW_LEASE_SECONDS=0.3)
    Job.objects.filter(pk=job.pk).update(lease_until=job.created_at)
    lease = job.created_at
    own.watch(Watched(job))
    # Three times as often as the lease runs out.
    for _ in range(3):
        before = lease
        while lease == before:
            renewals.wait_for_one()
            job.refresh_from_db()
            assert job.lease_until is not None
            lease = job.lease_until
        assert lease > before


def test_a_ring_makes_it_look_and_not_write(
    own: Watchdog, job: Job, renewals: Renewals, looks: Looks, settings: Any
) -> None:
    """On SQLite a write is a ring: to answer one with the other would never end."""
    configure(settings, WORKFLOW_LEASE_SECONDS=10 * NET)
    attempt = Watched(job)
    own.watch(attempt)
    for _ in range(5):
        own.hear("cancel", None)
        looks.wait_for_one()

    assert attempt.interrupt is None
    # One at the most was still due: of an earlier test, with a shorter lease.
    assert renewals.count <= 1


def test_it_rides_out_a_database_that_is_away(
    own: Watchdog, job: Job, renewals: Renewals, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configure(settings, WORKFLOW_LEASE_SECONDS=0.3)
    renewals.failures = [OperationalError("gone"), OperationalError("gone")]
    attempt = Watched(job)
    own.watch(attempt)
    for _ in range(4):
        renewals.wait_for_one()

    assert "(gone); trying again." in caplog.text
    assert attempt.interrupt is None


@pytest.mark.parametrize("code", ["cancelled", "interrupted"])
def test_cancel(own: Watchdog, job: Job, code: str) -> None:
    attempt = Watched(job)
    own.watch(attempt)
    services.cancel(job, code=code)
    interrupt = attempt.stopped_by()

    assert isinstance(interrupt, Cancelled)
    assert interrupt.code == code
    with pytest.raises(Cancelled):
        attempt.check()


def test_a_cancel_that_came_before(own: Watchdog, job: Job) -> None:
    """Between the claim and the watchdog's first look."""
    services.cancel(job)
    attempt = Watched(job)
    own.watch(attempt)

    assert isinstance(attempt.stopped_by(), Cancelled)


def test_what_it_wakes_up_for(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short job costs it nothing: no look, no query, not even the thread's attention."""
    asleep = Watchdog()
    monkeypatch.setattr(asleep, "is_alive", lambda: True)
    # It has had others lately.
    asleep.unwatch(Watched(job))
    asleep.seconds_to_next()

    asleep.watch(Watched(job, limit=10 * NET))
    assert not asleep.wakeup.is_set()
    # Somebody else's cancel.
    asleep.hear("cancel", job.pk + 1)
    assert not asleep.wakeup.is_set()
    asleep.watch(Watched(job, limit=0.05))
    assert asleep.wakeup.is_set()


def test_an_alarm_wakes_it_up(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = Watchdog()
    monkeypatch.setattr(asleep, "is_alive", lambda: True)
    attempt, called = Watched(job), []
    asleep.watch(attempt)
    asleep.seconds_to_next()

    attempt.call_at(time.monotonic() + 10 * NET, lambda: called.append("too early"))
    assert not asleep.wakeup.is_set()
    attempt.call_at(time.monotonic(), lambda: called.append("now"))
    assert asleep.wakeup.is_set()
    for _ in range(2):
        asleep.look()
    assert called == ["now"]


class Listening:
    """A doorbell that says whether it is listened to."""

    def __init__(self) -> None:
        self.count = 0

    def listen(self, topics: tuple[str, ...], on_ring: Any, *, wait: bool) -> "Listening":
        # The watchdog has other things to mind meanwhile.
        assert (topics, wait) == (("cancel",), False)
        self.count += 1
        return self

    def close(self, *, wait: bool) -> None:
        assert not wait
        self.count -= 1


def test_it_listens_for_those_that_take_longer(
    job: Job, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL wakes every connection that listens, for whatever is rung."""
    bell = Listening()
    monkeypatch.setattr(watchdog, "get_bell", lambda: bell)
    mine = Watchdog()
    monkeypatch.setattr(mine, "is_alive", lambda: True)
    attempt = Watched(job)
    mine.watch(attempt)
    mine.look()
    assert (bell.count, looks.seen.count(attempt.key)) == (0, 0)

    # It runs for a while. A cancellation before it was listened for is looked for.
    attempt.listen_at = time.monotonic()
    mine.look()
    assert (bell.count, looks.seen.count(attempt.key)) == (1, 1)
    mine.look()
    assert (bell.count, looks.seen.count(attempt.key)) == (1, 1)

    # There may be another soon; after some seconds there is none.
    mine.unwatch(attempt)
    mine.look()
    assert bell.count == 1
    monkeypatch.setattr(watchdog, "LINGER", 0.0)
    mine.look()
    assert bell.count == 0


def test_a_doorbell_that_cannot_be_listened_to(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Too many files are open, for example. The watchdog lives, and tries again."""

    class Broken:
        def listen(self, *args: Any, **options: Any) -> None:
            raise OSError("too many open files")

    monkeypatch.setattr(watchdog, "get_bell", Broken)
    mine = Watchdog()
    monkeypatch.setattr(mine, "is_alive", lambda: True)
    attempt = Watched(job)
    mine.watch(attempt)
    attempt.listen_at = time.monotonic()
    mine.look()

    assert "too many open files" in caplog.text
    assert attempt.listen_at is not None
    assert attempt.listen_at > time.monotonic() - watchdog.RETRY


def test_a_cancel_that_is_rung_for(own: Watchdog, job: Job, looks: Looks, settings: Any) -> None:
    """In an attempt that has run for a while; no renewal would find it."""
    configure(settings, WORKFLOW_LEASE_SECONDS=100 * NET)
    attempt = Watched(job, 100 * NET)
    own.watch(attempt)
    # It listens, and has looked for what was cancelled before.
    while attempt.listen_at is not None:
        looks.wait_for_one()
    assert own.subscription is not None
    assert own.subscription.ready.wait(NET)
    services.cancel(job)

    assert isinstance(attempt.stopped_by(), Cancelled)


def test_a_look_that_failed_is_repeated(
    own: Watchdog, job: Job, looks: Looks, settings: Any
) -> None:
    configure(settings, WORKFLOW_LEASE_SECONDS=100 * NET)
    looks.failures = [OperationalError("gone"), OperationalError("gone")]
    services.cancel(job)
    attempt = Watched(job, 100 * NET)
    own.watch(attempt)

    assert isinstance(attempt.stopped_by(), Cancelled)
    assert not looks.failures


def test_only_the_cancelled_one_is_stopped(own: Watchdog, chat: Chat, job: Job) -> None:
    Chat(chat.user, "other").send()
    other = claimed()
    first, second = Watched(job), Watched(other)
    own.watch(first)
    own.watch(second)
    services.cancel(other)

    assert isinstance(second.stopped_by(), Cancelled)
    assert first.interrupt is None


def test_a_lost_lease(own: Watchdog, job: Job, settings: Any) -> None:
    configure(settings, WORKFLOW_LEASE_SECONDS=0.3)
    lifecycle.give_back(job)
    claimed()
    attempt = Watched(job)
    own.watch(attempt)

    assert isinstance(attempt.stopped_by(), AttemptLost)


def test_the_deadline(own: Watchdog, job: Job) -> None:
    attempt = Watched(job, 0.05)
    own.watch(attempt)

    assert isinstance(attempt.stopped_by(), DeadlineExceeded)


@pytest.mark.usefixtures("signals")
def test_a_signal_that_is_lost(own: Watchdog, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that comes just before a blocking call doesn't end that call. The next one does."""
    sent = threading.Semaphore(0)
    monkeypatch.setattr(signal, "pthread_kill", lambda ident, number: sent.release())
    attempt = Watched(job, interruptible=True)
    own.watch(attempt)
    attempt.stop(Cancelled())
    own.look_by(0.0)
    for _ in range(3):
        assert sent.acquire(timeout=NET)
    # Once it was noticed, what cleans up after it is left in peace.
    with pytest.raises(Cancelled):
        attempt.check()
    assert attempt.noticed


def test_the_words_of_code_that_does_not_stop_stay(job: Job) -> None:
    append(job.pk, job.attempt, Event.Type.DELTA, data={"delta": "Once upon"})
    attempt = Watched(job)
    attempt.stop(Cancelled())
    watchdog.end_without(attempt)

    assert list(job.chat_messages.values_list("content", flat=True)) == ["go", "Once upon"]


@pytest.mark.postgresql
def test_code_that_does_not_stop_on_a_connection_that_was_cut(job: Job) -> None:
    """As by the server, while it idled."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()

    def cut(number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    at_once(1, cut)
    attempt = Watched(job)
    attempt.stop(Cancelled())
    watchdog.end_without(attempt)

    assert Job.objects.get(pk=job.pk).state == State.CANCELLED


def test_shut_down(own: Watchdog, job: Job) -> None:
    attempt = Watched(job)
    own.watch(attempt)
    watchdog.shut_down()

    assert isinstance(attempt.stopped_by(), ShuttingDown)


def test_an_uncommitted_claim_is_left_alone(own: Watchdog, chat: Chat, settings: Any) -> None:
    """Nobody else sees it: to the watchdog it would look lost."""
    configure(settings, QUEUE_CONNECTION="sync")
    watched: list[int] = []

    def work(ctx: Context) -> str:
        watched.append(len(own.attempts()))
        return ctx.step("Work", str, "done")

    workflow("w")(work)
    with transaction.atomic():
        inside = chat.send(workflow="w")
    outside = chat.send(workflow="w")

    assert (inside.response, outside.response) == ("done", "done")
    assert watched == [0, 1]
    assert own.attempts() == []


@pytest.mark.parametrize("transition", ["end", "give_back"])
def test_to_store_the_end_may_take_longer_than_a_lease(
    chat: Chat,
    transition: str,
    renewals: Renewals,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a supervisor would kill the worker whose answer waits for a lock on the session."""
    configure(settings, WORKFLOW_LEASE_SECONDS=0.3)
    store = getattr(lifecycle, transition)

    def wait_and_store(*args: Any, **kwargs: Any) -> Any:
        before = renewals.count
        while renewals.count <= before + 1:
            renewals.wait_for_one()
        return store(*args, **kwargs)

    def work(ctx: Context) -> str:
        if transition == "give_back":
            raise ShuttingDown
        return "done"

    workflow("w")(work)
    chat.send(workflow="w")
    job = claimed()
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, transition, wait_and_store)
        runner.run(job, interruptible=False)
    job.refresh_from_db()

    assert (job.state, job.lost) == (
        State.COMPLETED if transition == "end" else State.QUEUED,
        0,
    )
    assert watchdog.get_watchdog().attempts() == []


def test_nothing_stops_what_has_left_its_code(job: Job) -> None:
    """Only its lease is minded, until its end is stored: no deadline, and no end of its process."""
    stuck: list[Attempt] = []
    watching = Watchdog(stuck.append)
    attempt = Attempt(job)
    attempt.begin(0.0, interruptible=True)
    attempt.call_at(0.0, lambda: stuck.append(attempt))
    watching._attempts[attempt.key] = attempt
    attempt.close()
    watching.look()
    attempt.stop(ShuttingDown())
    assert attempt.interrupt is None
    # It was stopped just before.
    attempt.interrupt = DeadlineExceeded()
    watching.look()

    assert (stuck, watching.attempts()) == ([], [attempt])
    assert watching.seconds_to_next() > UNHEARD


def test_a_forked_process_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = watchdog.get_watchdog()
    assert watchdog.get_watchdog() is mine
    monkeypatch.setattr(watchdog, "_watchdog", mine)
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert watchdog.get_watchdog() is not mine


# In a worker's main thread, where a signal stops whatever runs.


@pytest.fixture
def signals() -> None:
    # It stays: a late signal of the watchdog's would end the process without it.
    watchdog.install_signal_handler()


def interrupt_while_running(
    chat: Chat, block: Callable[[], object], stop: Callable[[Job], object], **options: Any
) -> Job:
    """Run a job that blocks in this, the main thread, and have another thread stop it."""
    blocked = threading.Event()

    def work(ctx: Context) -> str:
        blocked.set()
        block()
        return "never"

    workflow("w", **options)(work)
    job = chat.send(workflow="w")

    def stop_when_blocked() -> None:
        assert blocked.wait(NET)
        stop(Job.objects.get(pk=job.pk))
        connection.close()

    thread = threading.Thread(target=stop_when_blocked)
    thread.start()
    runner.run(claimed(), interruptible=True)
    thread.join(NET)
    job.refresh_from_db()
    return job


def sleep() -> None:
    time.sleep(NET)


def spin() -> None:
    until = time.monotonic() + NET
    while time.monotonic() < until:
        pass


def wait_for_a_child() -> None:
    subprocess.run(["sleep", str(NET)], check=True)


def wait_for_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [NET])


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("block", [sleep, spin, wait_for_a_child])
def test_cancel_reaches_code_that_blocks(chat: Chat, block: Callable[[], object]) -> None:
    began = time.monotonic()
    job = interrupt_while_running(chat, block, services.cancel)

    assert (job.state, job.code) == (State.CANCELLED, "cancelled")
    assert types(job) == ["started", "cancelled"]
    # It did not wait for the code to end by itself.
    assert time.monotonic() - began < NET


@pytest.mark.postgresql
@pytest.mark.usefixtures("signals")
def test_cancel_reaches_a_query(chat: Chat) -> None:
    job = interrupt_while_running(chat, wait_for_the_database, services.cancel)

    assert job.state == State.CANCELLED
    # The connection is of use again.
    assert chat.say().state == State.COMPLETED


@pytest.mark.postgresql  # SQLite has one writer: the cancel would wait for the transaction.
@pytest.mark.usefixtures("signals")
def test_cancel_in_the_middle_of_a_transaction(chat: Chat) -> None:
    def block() -> None:
        with transaction.atomic():
            Group.objects.create(name="g")
            sleep()

    job = interrupt_while_running(chat, block, services.cancel)

    assert job.state == State.CANCELLED
    assert not saved()


@pytest.mark.usefixtures("signals")
def test_the_deadline_reaches_code_that_blocks(chat: Chat) -> None:
    job = interrupt_while_running(chat, sleep, lambda job: None, max_execution_time=0.2)

    assert (job.state, job.code) == (State.TIMEOUT, "timeout")
    assert job.error == "The request ran longer than 0.2 seconds and was stopped."


@pytest.mark.usefixtures("signals")
def test_a_worker_that_is_told_to_stop_now(chat: Chat) -> None:
    job = interrupt_while_running(chat, sleep, lambda job: watchdog.shut_down())

    assert (job.state, job.lost, job.attempt) == (State.QUEUED, 0, 1)


@pytest.mark.usefixtures("signals")
def test_an_async_workflow_is_reached_too(chat: Chat) -> None:
    blocked = threading.Event()

    async def work(ctx: Context) -> str:
        await ctx.aprogress(10)
        blocked.set()
        await asyncio.sleep(NET)
        return "never"

    workflow("w")(work)
    job = chat.send(workflow="w")

    def cancel() -> None:
        assert blocked.wait(NET)
        services.cancel(job)
        connection.close()

    thread = threading.Thread(target=cancel)
    thread.start()
    runner.run(claimed(), interruptible=True)
    thread.join(NET)
    job.refresh_from_db()

    assert job.state == State.CANCELLED
    assert_log_is_sound(job)


@pytest.mark.usefixtures("signals")
def test_a_stray_signal_interrupts_nothing(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        os.kill(os.getpid(), signal.SIGUSR1)
        return "done"

    os.kill(os.getpid(), signal.SIGUSR1)
    workflow("w")(work)
    job = chat.send(workflow="w")
    runner.run(claimed(), interruptible=True)
    job.refresh_from_db()

    assert job.state == State.COMPLETED


def test_a_renewal_that_was_blocked_is_done_again(
    job: Job, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """A lease counts from the beginning of its renewal: it may have run out by the end."""
    configure(settings, WORKFLOW_LEASE_SECONDS=15.0)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watching, attempt = Watchdog(), Attempt(job)
    attempt.listen_at = None
    watching._attempts[attempt.key] = attempt
    renew = lifecycle.renew

    def blocked(attempts: Any) -> Held:
        now[0] += 14.0
        return renew(attempts)

    now[0] = attempt.heartbeat_at
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "renew", blocked)
        watching.look()
    assert attempt.heartbeat_at < now[0]
    watching.look()

    assert attempt.heartbeat_at == now[0] + 5.0


def test_a_standstill_is_no_grace(job: Job) -> None:
    """A process that is paused just after it has interrupted its code doesn't end for it."""
    stuck: list[Attempt] = []
    watching = Watchdog(stuck.append)
    attempt = Attempt(job)
    attempt.begin(NET, interruptible=True)
    watching._attempts[attempt.key] = attempt
    attempt.noticed = True
    attempt.interrupt = ShuttingDown()
    attempt.interrupted_at = time.monotonic() - 60
    watching.forgive_standstill(60.0)
    watching.look()
    assert stuck == []
    attempt.interrupted_at -= watchdog.GRACE
    watching.forgive_standstill(0.1)
    watching.look()

    assert stuck == [attempt]


STUBBORN = """
import os, signal, sys, time
import django
django.setup()
from chatflow.workflows.running import watchdog, runner
from chatflow.workflows.store import lifecycle
from chatflow.workflows import services, workflow

watchdog.GRACE = 0.2
watchdog.install_signal_handler()

@workflow("stubborn")
def stubborn(ctx):
    told = False
    while True:
        try:
            # Inside: the interruption may come before the cancel has returned.
            if not told:
                told = True
                services.cancel(ctx.job)
            time.sleep(60)
        except BaseException:
            print("swallowed", flush=True)

job = lifecycle.claim((), lifecycle.this_process(), is_async=False)
runner.run(job, interruptible=True)
print("never")
"""


def test_code_that_swallows_its_interruption_is_ended_with_its_process(chat: Chat) -> None:
    workflow("stubborn")(lambda ctx: "done")
    job = chat.send(workflow="stubborn")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "chatflow.settings",
        "DATABASE_URL": database_url(),
    }
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * NET,
        check=False,
    )
    job.refresh_from_db()

    assert (done.returncode, done.stdout) == (1, "swallowed\n"), done.stderr
    assert "did not stop when it was told to; ending its worker." in done.stderr
    assert (job.state, job.code) == (State.CANCELLED, "cancelled")
    assert_log_is_sound(job)


def database_url() -> str:
    """Return the URL of the test's own database."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    settings = connection.settings_dict
    return f"postgres://{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{name}"
