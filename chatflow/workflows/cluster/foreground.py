"""Work in one process, in the foreground, for ``manage.py queue_work``.

It is a worker of the cluster without the cluster: the same loop of django-q2's takes the same jobs
and ordinary tasks, and only the fetcher knows when it has had enough.
"""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django_q.utils import get_func_repr
from django_q.worker import worker

from chatflow.workflows.bells.base import readable
from chatflow.workflows.cluster.fetch import (
    STOP,
    Fetcher,
    Results,
    obey_signals,
    run_job,
    run_task,
)
from chatflow.workflows.cluster.presence import (
    REGISTER,
    Presence,
    WorkerProcess,
    bury_dead_clusters,
    take_back_lost_jobs,
)
from chatflow.workflows.cluster.processes import find_memory
from chatflow.workflows.db import connection
from chatflow.workflows.models import Job, State, TaskRun, TaskStatus
from chatflow.workflows.running import watchdog
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.figures import Counting
from chatflow.workflows.store.lifecycle import Vigil, Worker

# Called with the work in words, the seconds that it took, and its result.
Report = Callable[[str, float, str], None]

DONE, FAIL = "DONE", "FAIL"
RESULTS = {
    State.COMPLETED: DONE,
    State.FAILED: FAIL,
    State.TIMEOUT: FAIL,
    State.CANCELLED: "CANCELLED",
    # It goes on later, by its workflow's tries or because this process was told to stop.
    State.QUEUED: "RELEASED",
    # Its lease was lost, and another worker has it.
    State.PROCESSING: "LOST",
}
TASK_RESULTS = {
    TaskStatus.SUCCESSFUL: DONE,
    TaskStatus.FAILED: FAIL,
    TaskStatus.READY: "RELEASED",
    TaskStatus.RUNNING: "LOST",
}


class Shift(Fetcher):
    """A fetcher that stops after so many pieces of work, or when there is none.

    Args:
        queues: names of queues, the most urgent first; none for all.
        pieces: how many pieces of work; None for no limit.
        patient: wait for work where there is none.
    """

    topics = ("jobs", "async_jobs", "due")
    kinds = (False, True)

    def __init__(
        self, queues: Sequence[str] = (), *, pieces: int | None = None, patient: bool = True
    ) -> None:
        super().__init__(queues)
        self.pieces = pieces
        self.patient = patient
        self.taken = 0
        self.began = 0.0

    def get(self) -> dict[str, Any] | str:
        package: dict[str, Any] | str | None = None
        if not self.stopping and self.taken != self.pieces:
            package = super().get() if self.patient else self.get_nowait()
        if package is None or package == STOP:
            self.stopping = True
            return STOP
        self.taken += 1
        self.began = time.monotonic()
        return package


class ReportedResults(Results):
    def __init__(self, shift: Shift, report: Report) -> None:
        self.shift = shift
        self.report = report

    def put(self, task: dict[str, Any]) -> None:
        """Save an ordinary task's result, and report every one."""
        super().put(task)
        seconds = time.monotonic() - self.shift.began
        if task["func"] is run_task:
            run: TaskRun = task["args"][0]
            run.refresh_from_db(fields=["status"])
            self.report(f"{run} {run.path}", seconds, TASK_RESULTS[TaskStatus(run.status)])
            return
        if task["func"] is not run_job:
            words = f"{task['name']} {get_func_repr(task['func'])}"
            self.report(words, seconds, DONE if task["success"] else FAIL)
            return
        job: Job = task["args"][0]
        # Routing may have chosen another workflow by the time that the job began.
        job.refresh_from_db(fields=["state", "workflow"])
        self.report(f"{job} {job.workflow}", seconds, RESULTS[State(job.state)])


class Heartbeat(threading.Thread):
    """Shows that this process lives, as a cluster of one worker does, and does its chores.

    Args:
        queues: names of those that it serves; none for all.
    """

    def __init__(self, queues: Sequence[str]) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._presence = Presence(workers=1, pace=REGISTER, queues=queues)
        self._counting = Counting()
        self._count_at = 0.0
        self._leave = threading.Event()
        self.worker = Worker(self._presence.next_worker_id())

    def run(self) -> None:
        try:
            while not self._leave.is_set():
                self._presence.do_chore(self._register)
                self._presence.do_chore(take_back_lost_jobs, vigil=self._presence.vigil)
                self._presence.do_chore(self._count)
                self._leave.wait(self._presence.vigil.pace)
            self._presence.withdraw()
        finally:
            connection.close()

    def _register(self) -> None:
        pid = self._presence.pid
        me = WorkerProcess(worker=self.worker.id, pid=pid, memory=find_memory(pid))
        self._presence.register([me])

    def _count(self) -> None:
        if time.monotonic() >= self._count_at:
            self._presence.count(self._counting)
            self._count_at = time.monotonic() + self._counting.pace

    def close(self) -> None:
        self._leave.set()
        self.join()


def work(shift: Shift, report: Report) -> None:
    """Do the work that the shift gives, piece by piece, until it stops.

    SIGTERM and Ctrl-C let the running job end; a second one gives it back to the queue.
    """
    bury_dead_clusters()
    heartbeat = Heartbeat(shift.queues) if shift.patient else None
    if heartbeat is not None:
        shift.worker = heartbeat.worker
        heartbeat.start()
        shift.listen()
    try:
        with _signals_obeyed(shift):
            if heartbeat is None:
                _take_back_lost_jobs(shift)
            # django-q2's loop also ends when it wants its process recycled.
            while not shift.stopping:
                worker(shift, ReportedResults(shift, report), multiprocessing.Value("f", -1))
    finally:
        if heartbeat is not None:
            heartbeat.close()


def _take_back_lost_jobs(shift: Shift) -> None:
    """Take back the jobs whose leases ran out, once the living have had the time to renew theirs.

    The machine may just have woken up, and a timer's command may be the first to run.
    """
    vigil = Vigil(REGISTER)
    vigil.doubt()
    while not shift.stopping and lifecycle.any_lease_ran_out():
        if vigil.keep():
            lifecycle.reap(vigil)
            return
        readable([shift.wait_fd], vigil.pace)


@contextmanager
def _signals_obeyed(shift: Shift) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(signum: int, frame: FrameType | None) -> None:
        if shift.stopping:
            watchdog.shut_down()
        shift.stop()

    obey_signals(shift)
    signal.signal(signal.SIGTERM, stop)
    # There is no supervisor here to obey Ctrl-C.
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
