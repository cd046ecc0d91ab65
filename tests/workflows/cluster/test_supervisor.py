"""The cluster's parent process. What it does to real processes, tests/acceptance shows."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django_q.cluster import Sentinel
from django_q.signals import post_spawn

from chatflow.workflows.cluster import supervisor as module
from chatflow.workflows.cluster.supervisor import Supervisor
from chatflow.workflows.models import Cluster, Job, State
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import HOST
from tests.workflows.chat import NET, Chat, claimed
from tests.workflows.faults import make_outage
from tests.workflows.running.test_watchdog import database_url

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]


class Worker:
    """A worker process, as the supervisor sees it."""

    def __init__(self, pid: int = 1, *, alive: bool = True, exitcode: int | None = None) -> None:
        self.pid = pid
        self.identity = f"worker-{pid}"
        self.alive = alive
        self.exitcode = exitcode
        self.seconds = SimpleNamespace(value=-1.0)
        self.timer = SimpleNamespace(get_obj=lambda: self.seconds)

    def is_alive(self) -> bool:
        return self.alive

    def kill(self) -> None:
        self.alive, self.exitcode = False, -signal.SIGKILL

    def join(self) -> None:
        pass


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """Return a supervisor whose new workers are made up."""
    cluster = Supervisor(workers=2)
    monkeypatch.setattr(cluster, "spawn_worker", lambda: cluster.pool.append(Worker(99)))
    # It has been there for a while.
    monkeypatch.setattr(cluster.presence.vigil, "_doubts_until", 0.0)
    yield cluster
    os.close(cluster.task_queue.wait_fd)
    os.close(cluster.task_queue._wake)


def test_it_works(cluster: Supervisor) -> None:
    cluster.pool = [Worker(1), Worker(2)]
    cluster.mind_workers()

    assert [worker.pid for worker in cluster.pool] == [1, 2]


def test_it_is_known_before_it_imports_the_models(
    cluster: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes seconds, in which its plain workers work: it must not look as if nobody did.

    And the doorbell tells them of jobs.
    """
    known: list[int] = []
    heard: list[bool] = []

    def warm_up() -> None:
        known.append(lifecycle.clusters_alive())
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "warm_up", warm_up)
    monkeypatch.setattr(cluster.task_queue, "listen", lambda: heard.append(True))
    meanings: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", meanings.__setitem__)
    try:
        with pytest.raises(KeyboardInterrupt):
            cluster.run()
    finally:
        post_spawn.disconnect(cluster._on_spawn)
    assert (known, heard) == ([1], [True])
    # Workers have it from here, until they have handlers: a drain may come before.
    assert meanings[signal.SIGUSR2] == signal.SIG_IGN


@pytest.mark.parametrize(("exitcode", "lost"), [(-9, 1), (1, 1), (0, 1)])
def test_a_dead_worker_is_replaced_and_its_job_taken_back(
    cluster: Supervisor, chat: Chat, exitcode: int, lost: int
) -> None:
    job = chat.send()
    lifecycle.claim((), lifecycle.Worker("worker-1"), is_async=True)
    cluster.pool = [Worker(1, alive=False, exitcode=exitcode), Worker(2)]
    cluster.mind_workers()
    job.refresh_from_db()

    assert [worker.pid for worker in cluster.pool] == [2, 99]
    assert (job.state, job.lost) == (State.QUEUED, lost)


def test_the_same_host_and_pid_may_be_another_worker(cluster: Supervisor, chat: Chat) -> None:
    """It runs in another container, or in this one before it was started again."""
    job = chat.send()
    lifecycle.claim((), lifecycle.Worker("worker-of-another", HOST, 1), is_async=True)
    cluster.pool = [Worker(1, alive=False, exitcode=-9)]
    cluster.mind_workers()
    job.refresh_from_db()

    assert job.state == State.PROCESSING


def test_a_dead_workers_job_that_is_still_locked(
    cluster: Supervisor, chat: Chat, monkeypatch: Any
) -> None:
    """The database has yet to undo its atomic step, or is away: the job is taken a bit later."""
    chat.send()
    lifecycle.claim((), lifecycle.Worker("worker-1"), is_async=True)
    tried = []

    def not_yet(worker: str, *, count: bool) -> bool:
        tried.append(worker)
        if len(tried) == 1:
            raise make_outage()
        return False

    cluster.pool = [Worker(1, alive=False, exitcode=-9)]
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "reap_worker", not_yet)
        cluster.mind_workers()
        cluster.reap()
    assert Job.objects.get().state == State.PROCESSING
    cluster.reap()

    assert (Job.objects.get().state, Job.objects.get().lost) == (State.QUEUED, 1)
    assert tried == ["worker-1", "worker-1"]


def stand_still(cluster: Supervisor) -> None:
    """Have the cluster stand still for a minute, as its looks see it."""
    assert cluster.presence.vigil.keep()
    assert cluster.presence.vigil._looked_at is not None
    cluster.presence.vigil._looked_at -= 60.0


@pytest.mark.parametrize("stood_still", [True, False])
def test_a_stuck_worker_is_killed_but_not_after_a_standstill(
    cluster: Supervisor, chat: Chat, stood_still: bool
) -> None:
    """Its lease ran out, and it is about to renew it: not even its own supervisor touches it."""
    chat.send()
    taken = lifecycle.claim((), lifecycle.Worker("worker-1"), is_async=True)
    assert taken is not None
    Job.objects.update(lease_until=taken.created_at)
    mine, idle = cluster.pool = [Worker(1), Worker(2)]
    if stood_still:
        stand_still(cluster)
    cluster.reap()
    job = Job.objects.get()

    assert (mine.alive, idle.alive) == (stood_still, True)
    assert (job.state, job.lost) == ((State.PROCESSING, 0) if stood_still else (State.QUEUED, 1))


def test_a_task_that_swallows_its_timeout(cluster: Supervisor) -> None:
    """django-q2's timer counts down, and at nought the worker goes."""
    worker = Worker(1)
    worker.seconds.value = module.CYCLE * 2.5
    cluster.pool = [worker]
    cluster.mind_workers()
    cluster.mind_workers()
    assert cluster.pool == [worker]
    cluster.mind_workers()

    assert worker.exitcode == -signal.SIGKILL
    assert [worker.pid for worker in cluster.pool] == [99]


def test_chores(cluster: Supervisor, chat: Chat) -> None:
    job = chat.send()
    taken = claimed()
    Job.objects.filter(pk=taken.pk).update(lease_until=taken.created_at)
    cluster.do_chores()
    job.refresh_from_db()

    assert (job.state, job.lost) == (State.QUEUED, 1)
    row = Cluster.objects.get()
    assert (row.pk, row.host, row.pid, row.workers) == (
        cluster.presence.cluster_id,
        HOST,
        os.getpid(),
        # Two for plain jobs, and a loop worker.
        3,
    )
    assert lifecycle.clusters_alive() == 1


def test_a_database_that_is_away(
    cluster: Supervisor, chat: Chat, monkeypatch: Any, caplog: Any
) -> None:
    """The chores are left for later; and live workers renew their leases first."""

    def away(*processes: object) -> None:
        raise make_outage("gone")

    cluster.reap()
    monkeypatch.setattr(cluster.presence, "register", away)
    cluster.do_chores()
    assert "The database is out of reach (gone)" in caplog.text
    taken = chat.send()
    claimed()
    Job.objects.filter(pk=taken.pk).update(lease_until=taken.created_at)
    cluster.reap()
    assert Job.objects.get().state == State.PROCESSING
    monkeypatch.setattr(cluster.presence.vigil, "_doubts_until", 0.0)
    cluster.reap()

    assert Job.objects.get().state == State.QUEUED


def test_workers_are_asked_then_interrupted_then_killed(
    cluster: Supervisor, chat: Chat, monkeypatch: Any
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "LAST_GRACE", 0.05)
    monkeypatch.setattr(module, "CYCLE", 0.01)
    job = chat.send()
    lifecycle.claim((), lifecycle.Worker("worker-3"), is_async=True)
    willing, working, stuck = cluster.pool = [Worker(1), Worker(2), Worker(3)]

    def kill(pid: int, signum: int) -> None:
        sent.append((pid, signum))
        if (pid, signum) in ((1, signal.SIGTERM), (2, signal.SIGUSR2)):
            worker = {1: willing, 2: working}[pid]
            worker.alive, worker.exitcode = False, 0

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(cluster, "wait", lambda seconds: time.sleep(seconds))
    cluster.grace = 0.05
    cluster.drain()
    job.refresh_from_db()

    assert cluster.pool == []
    assert {signum for pid, signum in sent if pid == 1} == {signal.SIGTERM}
    assert {signum for pid, signum in sent if pid == 2} == {signal.SIGTERM, signal.SIGUSR2}
    assert stuck.exitcode == -signal.SIGKILL
    # It was ended on purpose: that is no try.
    assert (job.state, job.lost) == (State.QUEUED, 0)


def test_no_doorbell_hears_while_a_worker_is_forked(monkeypatch: Any) -> None:
    """A fork beside another thread copies its locks as they are; SQLite's never open again then."""
    happened: list[str] = []

    class Listening:
        def close(self) -> None:
            happened.append("deaf")

    def listen() -> Any:
        happened.append("listens")
        return Listening()

    cluster = Supervisor(workers=1)

    def fork(self: Supervisor) -> None:
        happened.append("fork")
        self.pool.append(Worker())

    monkeypatch.setattr(Sentinel, "spawn_worker", fork)
    monkeypatch.setattr(cluster.task_queue, "listen", listen)
    cluster.spawn_worker()
    cluster._listening, cluster._subscription = True, listen()
    cluster.spawn_worker()

    assert happened == ["fork", "listens", "deaf", "fork", "listens"]
    os.close(cluster.task_queue.wait_fd)
    os.close(cluster.task_queue._wake)


def test_a_second_signal_waits_no_longer(cluster: Supervisor, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "LAST_GRACE", 0.0)
    cluster.pool = [Worker(1)]
    cluster.grace = NET
    cluster.stops = 2
    cluster.drain()

    assert cluster.pool == []


@pytest.mark.parametrize("workers", [0, -1])
def test_a_cluster_needs_workers(workers: int) -> None:
    with pytest.raises(CommandError, match="--workers must be at least 1"):
        call_command("qcluster", workers=workers)


def test_a_real_cluster(chat: Chat) -> None:
    """Jobs of several sessions run, SIGTERM ends it, and nothing of it stays."""
    jobs = [Chat(chat.user, f"s{number}").send(f"hello {number}") for number in range(4)]
    environment = os.environ | {"DATABASE_URL": database_url()}
    cluster = subprocess.Popen(
        [sys.executable, "manage.py", "qcluster", "--workers", "2", "--grace", "5"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + NET
        while Job.objects.exclude(state=State.COMPLETED).exists():
            assert time.monotonic() < until
            assert cluster.poll() is None
            time.sleep(0.05)
    finally:
        cluster.terminate()
        try:
            _, log = cluster.communicate(timeout=NET)
        finally:
            cluster.kill()

    assert cluster.returncode == 0, log
    assert "The cluster has stopped." in log
    pids = {job.pid for job in Job.objects.filter(pk__in=[job.pk for job in jobs])}
    assert cluster.pid not in pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not Cluster.objects.exists()


@pytest.mark.postgresql
def test_the_chores_of_an_idle_cluster_are_few_statements(
    cluster: Supervisor, django_assert_max_num_queries: Any
) -> None:
    """Each wakes the database, and takes its processor from those who work."""
    cluster.pool = [Worker(1), Worker(2)]
    cluster.presence.register()
    cluster.reap()
    with django_assert_max_num_queries(4):
        cluster.reap()
    with django_assert_max_num_queries(1):
        cluster.presence.register()
