"""The cluster's one parent process: it spawns the workers, replaces dead ones, and drains them."""

import ctypes
import logging
import multiprocessing.connection
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import RawValue, Value
from types import FrameType
from typing import Any

import django_q.worker
import uvloop
from django.db import connections
from django_q.cluster import Sentinel
from django_q.conf import Conf
from django_q.scheduler import scheduler
from django_q.signals import post_spawn

from chatflow.conf import conf
from chatflow.workflows import clock
from chatflow.workflows.ai.warming import warm_up
from chatflow.workflows.bells import Subscription
from chatflow.workflows.cluster.fetch import Fetcher, Results, obey_signals
from chatflow.workflows.cluster.loop import LoopWorker
from chatflow.workflows.cluster.presence import (
    REGISTER,
    Presence,
    WorkerProcess,
    bury_dead_clusters,
)
from chatflow.workflows.cluster.processes import find_memory
from chatflow.workflows.knowledge import search
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.knowledge.pages import pages
from chatflow.workflows.loading import uncollected
from chatflow.workflows.services.deactivation import stop_work
from chatflow.workflows.store import lifecycle, usage_figures
from chatflow.workflows.store.figures import Counting
from chatflow.workflows.store.lifecycle import Worker

logger = logging.getLogger(__name__)

# Seconds between two looks at leases that ran out, between two runs of the scheduler, between two
# looks for work of deactivated users that went on when they were saved, and between two roll-ups of
# what was used; the next part of a long one comes sooner.
REAP = 1.0
SCHEDULE = 30.0
DEACTIVATED = 10.0
USAGE = 60.0
NEXT_PART = 1.0
# Seconds that interrupted workers have to give their jobs back before they are killed.
LAST_GRACE = 1.5
# Seconds between two looks at the workers. A death is seen at once all the same.
CYCLE = 0.2

PR_SET_PDEATHSIG = 1


class Supervisor(Sentinel):  # type: ignore[misc]
    """django-q2's sentinel, in the main process; its workers share only the rings and the lead.

    Args:
        queues: names of queues, the most urgent first; none for all.
        grace: seconds that running jobs get when the cluster is told to stop.
        workers: how many take plain jobs; by default ``QUEUE_WORKERS``. Beside them there are
            ``QUEUE_LOOPS`` for those of coroutines.
    """

    def __init__(
        self, *, queues: Sequence[str] = (), grace: float = 30, workers: int | None = None
    ) -> None:
        # Not super().__init__(): it makes the queues and locks that this cluster does without.
        self.pool: list[Any] = []
        self.pool_size = workers or Conf.WORKERS
        self.loops = conf.QUEUE_LOOPS
        self.timeout = Conf.TIMEOUT
        self.grace = grace
        self.task_queue = Fetcher(queues)
        self.result_queue = Results()
        self.presence = Presence(self.pool_size + self.loops, REAP, queues)
        self.counting = Counting()
        self.pid = self.presence.pid
        self.stops = 0
        # The identity of the worker that was spawned last.
        self._newest = ""
        # The workers for coroutines: where each tells when its loop was held up last. Without a
        # lock, which could die with it.
        self._loops: dict[str, Any] = {}
        # The dead workers whose jobs aren't taken back yet, and whether the loss counts.
        self._dead: dict[str, bool] = {}
        self._listening = False
        self._subscription: Subscription | None = None
        names = ("reap", "register", "schedule", "deactivated", "figures", "usage")
        self._due = dict.fromkeys(names, 0.0)

    def run(self) -> None:
        """Supervise until told to stop, then drain."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        # Else a worker that has no handlers yet would die of it.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        post_spawn.connect(self._on_spawn)
        for _ in range(self.pool_size):
            self.spawn_worker()
        # They work already, and all may know that while the modules are imported. Nothing else yet:
        # a lock on the jobs would keep the workers waiting that are spawned below.
        self.presence.do_chore(self.register)
        # Meanwhile they hear of jobs.
        self._listening = True
        self._subscription = self.task_queue.listen()
        # The workers that come after this, and take another's place, share all these modules.
        with uncollected():
            warm_up()
            self.presence.do_chore(self.warm_up_knowledge)
        for _ in range(self.loops):
            self.spawn_loop()
        logger.info(
            "The cluster works with %d workers for plain jobs and %d for coroutines (pid %d).",
            self.pool_size,
            self.loops,
            self.pid,
        )
        while not self.stops:
            self.mind_workers()
            self.do_chores()
            self.wait(CYCLE)
        self.drain()
        self.presence.withdraw()
        logger.info("The cluster has stopped.")

    def warm_up_knowledge(self) -> None:
        """Load what searches documents and cites them, if there are any: it takes long."""
        if Document.objects.exists():
            search.warm_up()
            pages.load()

    def spawn_worker(self) -> None:
        self._spawn(super().spawn_worker)

    def spawn_loop(self) -> None:
        """Start a worker that runs many coroutines side by side."""
        self._spawn(self._spawn_loop)

    def _spawn(self, spawn: Callable[[], None]) -> None:
        # A connection that two processes use is broken for both; so is SQLite's own table of locks,
        # which a fork beside the doorbell's thread would copy as it is at that moment.
        connections.close_all()
        if self._subscription is not None:
            self._subscription.close()
        self._newest = self.presence.next_worker_id()
        spawn()
        self.pool[-1].identity = self._newest
        if self._listening:
            self._subscription = self.task_queue.listen()

    def _spawn_loop(self) -> None:
        blocked_at = RawValue("d", 0.0)
        process = self.spawn_process(self._work_in_loop, blocked_at)
        # It has no ordinary tasks, whose time django-q2 counts.
        process.timer = Value("f", -1)
        self.pool.append(process)
        self._loops[self._newest] = blocked_at

    def _work_in_loop(self, blocked_at: Any) -> None:
        die_with_parent(self.pid)

        def note() -> None:
            blocked_at.value = clock.now().timestamp()

        queues, me = self.task_queue.queues, Worker(self._newest)
        worker = LoopWorker(queues, me, conf.QUEUE_CONCURRENCY, note)
        uvloop.run(worker.run())

    def wait(self, seconds: float) -> None:
        """Wait until a worker dies, a signal comes or the time has passed."""
        watched = [worker.sentinel for worker in self.pool]
        multiprocessing.connection.wait([*watched, self.task_queue.wait_fd], timeout=seconds)
        self.task_queue.calm()

    def mind_workers(self) -> None:
        """Replace the dead workers, and take their jobs back."""
        for worker in list(self.pool):
            # The bare value: the lock beside it may have died with the worker that held it.
            timer = worker.timer.get_obj()
            if timer.value > 0:
                timer.value = max(0.0, timer.value - CYCLE)
            if worker.is_alive() and timer.value == 0:
                # An ordinary task swallowed its timeout.
                worker.kill()
                worker.join()
            if not worker.is_alive():
                self.pool.remove(worker)
                self._bury(worker)
                if worker.identity in self._loops:
                    self.spawn_loop()
                else:
                    self.spawn_worker()

    def _bury(self, worker: Any, *, count: bool = True) -> None:
        worker.join()
        if worker.exitcode != 0:
            logger.error("Worker %d died (%s); replacing it.", worker.pid, worker.exitcode)
        self._dead[worker.identity] = count
        self.presence.do_chore(self.reap_dead_workers)

    def do_chores(self) -> None:
        """Do what is due.

        Find lost leases, show that this cluster lives, run the schedules, count what has ended.
        """
        chores = {
            "reap": (self.presence.vigil.pace, self.reap),
            "register": (REGISTER, self.register),
            "schedule": (SCHEDULE, scheduler),
            "deactivated": (DEACTIVATED, stop_work),
            "figures": (self.counting.pace, lambda: self.presence.count(self.counting)),
            "usage": (USAGE, self.roll_up_usage),
        }
        for name, (interval, chore) in chores.items():
            if time.monotonic() >= self._due[name]:
                self._due[name] = time.monotonic() + interval
                self.presence.do_chore(chore)

    def register(self) -> None:
        """Show that this cluster lives, and its workers."""
        self.presence.register(
            [
                WorkerProcess(
                    worker=worker.identity,
                    pid=worker.pid,
                    is_async=worker.identity in self._loops,
                    memory=find_memory(worker.pid),
                    blocked_at=self._blocked_at(worker.identity),
                )
                for worker in self.pool
            ]
        )

    def _blocked_at(self, identity: str) -> float:
        return float(self._loops[identity].value) if identity in self._loops else 0.0

    def reap(self) -> None:
        """Take back the jobs of the dead, and those whose leases ran out."""
        self.reap_dead_workers()
        bury_dead_clusters()
        if lifecycle.leases_ran_out(self.presence.vigil):
            self.kill_stuck_workers()
            lifecycle.reap(self.presence.vigil)

    def roll_up_usage(self) -> None:
        """Add what the jobs that have ended used to the figures of days, weeks and months."""
        if usage_figures.roll_up() or usage_figures.sum_up():
            self._due["usage"] = time.monotonic() + NEXT_PART

    def reap_dead_workers(self) -> None:
        """Take back the jobs of the workers whose death was seen."""
        for identity, count in list(self._dead.items()):
            if lifecycle.reap_worker(identity, count=count):
                del self._dead[identity]

    def kill_stuck_workers(self) -> None:
        """Kill the workers whose watchdogs couldn't renew their leases.

        Code that doesn't let go of Python's lock stops all threads of its process.
        """
        workers = {worker.identity: worker for worker in self.pool}
        for identity in lifecycle.stuck_workers(workers, self.presence.vigil):
            logger.error("Worker %d has lost its lease; killing it.", workers[identity].pid)
            workers[identity].kill()

    def drain(self) -> None:
        """Let running jobs end within the grace; then have them given back; then kill."""
        logger.info("The cluster is stopping; running jobs have %g seconds.", self.grace)
        begun = time.monotonic()
        while self.pool and self.stops < 2 and time.monotonic() < begun + self.grace:
            self._signal_all(signal.SIGTERM)
            self._wait_for_exits()
        begun = time.monotonic()
        while self.pool and time.monotonic() < begun + LAST_GRACE:
            self._signal_all(signal.SIGUSR2)
            self._wait_for_exits()
        for worker in list(self.pool):
            worker.kill()
            self.pool.remove(worker)
            self._bury(worker, count=False)
        # A row may be locked until the database has undone an atomic step.
        begun = time.monotonic()
        while self._dead and time.monotonic() < begun + LAST_GRACE:
            self.wait(CYCLE)
            self.presence.do_chore(self.reap_dead_workers)

    def _signal_all(self, signum: signal.Signals) -> None:
        for worker in self.pool:
            if worker.is_alive():
                os.kill(worker.pid, signum)

    def _wait_for_exits(self) -> None:
        # Again and again: a worker that was spawned just now may not have its handlers yet.
        self.wait(CYCLE)
        for worker in list(self.pool):
            if not worker.is_alive():
                self.pool.remove(worker)
                self._bury(worker)

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stops += 1
        self.task_queue.wake()

    def _on_spawn(self, **kwargs: Any) -> None:
        """Prepare a worker process. Called inside of it, by django-q2."""
        self.task_queue.reopen()
        self.task_queue.worker = Worker(self._newest)
        # It words a line for each task, whether that is logged or not. Translated, it takes an idle
        # worker a twentieth of a job's pickup.
        django_q.worker._ = str
        obey_signals(self.task_queue)
        die_with_parent(self.pid)


def die_with_parent(parent: int) -> None:
    """End this process as soon as *parent* is gone: no orphan goes on with old code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
