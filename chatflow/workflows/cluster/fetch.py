"""Where a worker gets its work: straight from the database, one piece at a time."""

import logging
import os
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.core_signing import loads
from django_q.monitor import monitor
from django_q.signing import BadSignature, PickleSerializer

from chatflow.workflows import clock
from chatflow.workflows.bells import Subscription, get_bell
from chatflow.workflows.bells.base import readable
from chatflow.workflows.cluster.functions import restrict
from chatflow.workflows.cluster.leader import Leadership
from chatflow.workflows.cluster.rings import DUE, JOB, LEADER, Rings
from chatflow.workflows.db import connection
from chatflow.workflows.exceptions import advice
from chatflow.workflows.logs import Outage
from chatflow.workflows.metrics.series import JOB_PICKUP
from chatflow.workflows.models import Job, TaskRun
from chatflow.workflows.running import runner, watchdog
from chatflow.workflows.store import lifecycle, task_runs
from chatflow.workflows.store.database import get_database
from chatflow.workflows.tasks import is_used

logger = logging.getLogger(__name__)

# Seconds between two looks without a ring.
POLL = 1.0
# Seconds to wait for a database that is away.
BACK_OFF = 0.5
STOP = "STOP"
# In the place of rings: the leader has some to hear.
HEAR = b"h"


class Fetcher:
    """Stands where django-q2's worker loop expects its task queue.

    Args:
        queues: names of queues, the most urgent first; none for all.

    Attributes:
        worker: who fetches; a worker of a cluster has the identity that its supervisor gave it.
        topics: which rings of the doorbell are listened for.
        kinds: which jobs are taken: plain ones, and then those of coroutines.
    """

    topics: tuple[str, ...] = ("jobs", "due")
    kinds: tuple[bool, ...] = (False,)

    def __init__(self, queues: Sequence[str] = ()) -> None:
        self.queues = tuple(queues)
        self.worker = lifecycle.this_process()
        # Shared, as the lead is, by all workers that are forked from here.
        self.rings = Rings()
        self.leadership = self._make_leadership()
        self.stopping = False
        self._takes_task_runs = is_used()
        # When to look for tasks and delayed jobs, by the monotonic clock.
        self._look_at = 0.0
        # Whether a job may have been claimed without word of it.
        self._unsure = False
        # Since when it waits for work, by the database's clock; None while it has some.
        self._idle_since: datetime | None = None
        self._outage = Outage()
        self.reopen()

    def _make_leadership(self) -> Leadership | None:
        ear = get_bell().ear(self.topics)
        return Leadership(ear) if ear is not None else None

    def get(self) -> dict[str, Any] | str:
        """Wait for work, and return it as a task package; "STOP" when told to stop."""
        rings = self.rings.take()
        self._idle_since = None
        while not self.stopping:
            try:
                if rings != HEAR:
                    # Who leads listens to a server, not to a file that may be replaced; and is to
                    # claim as fast as can be.
                    get_database().leave_replaced()
                if self._unsure:
                    self._unsure = not self._take_back_unknown()
                package = self._look(rings)
                self._outage.end()
                if package is not None:
                    return package
                self._idle_since = self._idle_since or clock.now()
                rings = self.wait()
            except DatabaseError as error:
                if self._outage.is_news():
                    logger.warning(
                        "The database is out of reach (%s); trying again.", advice(error)
                    )
                connections.close_all()
                # If it claimed a job all the same, nobody would ever run that.
                self._unsure = True
                self._look_at = 0.0
                if self.leadership is not None:
                    # Others may have the database.
                    self.rings.put(self.leadership.let_go())
                readable([self.wait_fd], BACK_OFF)
                self.calm()
        return STOP

    def get_nowait(self) -> dict[str, Any] | None:
        """Take a job, or else an ordinary task, if there is one."""
        job = self._claim()
        return job_package(job) if job is not None else self._take_task()

    def _look(self, rings: bytes) -> dict[str, Any] | None:
        unlisten = None
        if rings == HEAR and self.leadership is not None:
            # It hears them after the claim: most likely they were rung for the job that it takes.
            rings, unlisten = b"", self.leadership.unlisten()
        job = self._claim(first=unlisten)
        if job is not None:
            self._time_pickup(job)
            self._pass_on(rings, but=JOB)
            return job_package(job)
        if DUE not in rings and time.monotonic() < self._look_at:
            return None
        task = self._take_task()
        if task is not None:
            # There may be more.
            self._pass_on(rings if DUE in rings else rings + DUE)
            return task
        self._find_next_look()
        return None

    def _time_pickup(self, job: Job) -> None:
        """Time how long a job waited for this worker alone, if it did."""
        if self._idle_since is not None and job.available_at >= self._idle_since:
            assert job.claimed_at is not None, "It has just been claimed."
            JOB_PICKUP.observe((job.claimed_at - job.available_at).total_seconds(), job.queue)

    def _find_next_look(self) -> None:
        found = [lifecycle.seconds_to_next(self.queues, is_async=kind) for kind in self.kinds]
        self._look_at = time.monotonic() + min(
            [POLL, *(each for each in found if each is not None)]
        )

    def _take_back_unknown(self) -> bool:
        """Take back the jobs that this worker has claimed without word of it; say if that's all."""
        return lifecycle.reap_worker(self.worker.id, count=False)

    def _claim(self, *, first: str | None = None) -> Job | None:
        for kind in self.kinds:
            job = lifecycle.claim(self.queues, self.worker, is_async=kind, first=first)
            if job is not None:
                return job
            first = None
        return None

    def _take_task(self) -> dict[str, Any] | None:
        package = task_package()
        if package is None and self._takes_task_runs:
            run = task_runs.claim(self.queues, self.worker.id)
            package = task_run_package(run) if run is not None else None
        return package

    def _pass_on(self, rings: bytes, *, but: bytes | None = None) -> None:
        """Let another worker lead while this one works, and put the rings in for it.

        Args:
            rings: those that this worker has taken.
            but: the one that was for the work which it found.
        """
        if self.leadership is not None:
            try:
                rings += self.leadership.hand_over()
            except DatabaseError:
                # The work is taken all the same, and runs on a new connection.
                rings += self.leadership.let_go()
                connections.close_all()
        self.rings.put(rings if but is None else rings.replace(but, b"", 1))

    def listen(self) -> Subscription | None:
        """Listen to the doorbell from now on, for all workers that share the rings.

        Returns:
            The subscription; None where one of the workers leads.
        """
        subscription = None
        if self.leadership is None:
            subscription = get_bell().listen(self.topics, self.rings.on_ring)
        # Earlier rings went unheard, or were lost with a worker that died.
        self.rings.put(JOB + DUE)
        return subscription

    def stop(self) -> None:
        """Give no more work. May be called from a signal handler."""
        self.stopping = True
        self.wake()

    def reopen(self) -> None:
        """Open a pipe of this process's own, after a fork too."""
        # The signal handlers write here; get() waits for it. A threading.Event would deadlock when
        # it is set by a handler in the thread that waits.
        self.wait_fd, self._wake = os.pipe()
        os.set_blocking(self.wait_fd, False)
        os.set_blocking(self._wake, False)

    def wait(self) -> bytes:
        """Wait for rings, and take them; or for a stop, or the time for the next look.

        Returns:
            The rings; HEAR alone when this worker leads and has something to hear.
        """
        while not self.stopping:
            rings, ears = self.rings.take(), []
            if rings.strip(LEADER):
                # If it finds work, it passes on that nobody leads.
                return rings
            if self.leadership is not None:
                rings, ears = self.leadership.lead(), self.leadership.descriptors
            seconds = self._look_at - time.monotonic()
            if rings or seconds <= 0:
                return rings
            ready = readable([self.wait_fd, self.rings.fd, *ears], seconds)
            if self.wait_fd in ready:
                self.calm()
            if not ready.isdisjoint(ears):
                return HEAR
        return b""

    def calm(self) -> None:
        """Forget the wakes so far."""
        try:
            while os.read(self.wait_fd, 4096):
                pass
        except BlockingIOError:
            pass

    def wake(self) -> None:
        try:
            os.write(self._wake, b"x")
        except BlockingIOError:
            # The pipe is full already.
            pass


class Results:
    """Stands where django-q2's worker loop expects its result queue; no other process reads it."""

    def put(self, task: dict[str, Any]) -> None:
        """Save an ordinary task's result. A job has saved its own, and so has a task run."""
        if task["func"] not in (run_job, run_task):
            monitor(_Once(task), get_broker())


class _Once:
    """A queue of one result, for django-q2's own monitor function to save and acknowledge."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._items: list[Any] = [task, STOP]

    def get(self) -> Any:
        return self._items.pop(0)


def job_package(job: Job) -> dict[str, Any]:
    """Return the task package that makes a worker run *job*."""
    return {
        "id": job.public_id,
        "name": job.public_id,
        "func": run_job,
        "args": (job,),
        "kwargs": {},
        # The watchdog minds the deadline.
        "timeout": -1,
    }


def run_job(job: Job) -> None:
    """Run a claimed job in the main thread of a worker."""
    # The claim has just used it; django-q2 had it checked again.
    connection.health_check_done = True  # type: ignore[attr-defined]
    runner.run(job, interruptible=True)


def task_run_package(run: TaskRun) -> dict[str, Any]:
    """Return the task package that makes a worker run *run*, for as long as an ordinary task."""
    return {
        "id": run.public_id,
        "name": run.public_id,
        "func": run_task,
        "args": (run,),
        "kwargs": {},
    }


def run_task(run: TaskRun) -> None:
    """Run a claimed task of django.tasks in the main thread of a worker."""
    # Not every project has that interface.
    from chatflow.workflows.tasks import running

    try:
        running.run(run)
    except DatabaseError:
        logger.exception("%s: its end could not be recorded.", run)


def task_package() -> dict[str, Any] | None:
    """Take an ordinary django-q2 task from its broker."""
    broker = get_broker()
    for key, payload in broker.dequeue():
        try:
            task = unpack(payload)
        except Exception:
            # Left for its lock to run out: the old key, or the code that it was pickled with, may
            # yet come back.
            logger.exception("Task %s can't be read and is left in the queue.", key)
            continue
        task["cluster"] = broker.list_key
        task["ack_id"] = key
        return restrict(task)
    return None


def unpack(payload: str) -> dict[str, Any]:
    """Return the task in a message that was signed with the secret key or one of its fallbacks.

    django-q2's own SignedPackage knows no fallbacks: with it a rotation costs all queued tasks.

    Raises:
        Exception: it can't be read; pickles fail in many ways.
    """
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            task = loads(payload, key=key, salt=Conf.PREFIX, serializer=PickleSerializer)
        except BadSignature:
            continue
        if not isinstance(task, dict):
            raise TypeError(f"A task is a dictionary, not {type(task).__name__}.")
        return task
    raise BadSignature("It was signed with none of the secret keys.")


def obey_signals(fetcher: Fetcher) -> None:
    """Let signals rule this worker.

    SIGTERM: finish the running job, take no other. SIGUSR2: give the running job back, now.
    SIGUSR1 is the watchdog's. SIGINT is left to the supervisor, which gets it too.
    """

    def stop(signum: int, frame: object) -> None:
        fetcher.stop()

    def shut_down(signum: int, frame: object) -> None:
        fetcher.stop()
        watchdog.shut_down()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGUSR2, shut_down)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watchdog.install_signal_handler()
