"""A loop worker: one process that runs many coroutines side by side, on one event loop.

A chat mostly waits for a model. Here a hundred of them wait together, where each would have a
process to itself. They share a few threads and connections, and one pen; but each has its own
lease, fence, deadline and end, and when the process dies, each is resumed elsewhere.
"""

import asyncio
import contextvars
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db import Error as DatabaseError

from chatflow.workflows.bells import Subscription, get_bell
from chatflow.workflows.cluster.fetch import Fetcher, job_package, obey_signals
from chatflow.workflows.cluster.rings import DUE, JOB
from chatflow.workflows.db import connection
from chatflow.workflows.models import Job
from chatflow.workflows.running import runner, watchdog
from chatflow.workflows.running.lanes import Lanes
from chatflow.workflows.running.ownership import make_task
from chatflow.workflows.running.pulse import Pulse
from chatflow.workflows.running.shared_pen import SharedPen
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Worker

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How many turns of the loop it waits before it begins another run, beside the one that it measures;
# and for how many seconds at most.
TURNS = 2
LONGEST = 0.1


class JobFetcher(Fetcher):
    """Fetches the jobs of coroutines, in a thread of its own and on the lanes' connections.

    Args:
        queues: names of queues, the most urgent first; none for all.
        worker: who fetches.
        lanes: the worker's threads for the database.

    Attributes:
        running: the primary keys of the jobs that the worker has taken, and hasn't done with yet.
    """

    topics = ("async_jobs", "due")
    kinds = (True,)

    def __init__(self, queues: Sequence[str], worker: Worker, lanes: Lanes) -> None:
        super().__init__(queues)
        self.worker = worker
        self.running: set[int] = set()
        self._lanes = lanes

    def get_job(self) -> Job | None:
        """Wait for a job; None when told to stop."""
        package = self.get()
        if isinstance(package, str):
            return None
        job: Job = package["args"][0]
        return job

    def done(self, job: Job) -> None:
        """Take note that the worker runs a job no more."""
        self.running.discard(job.pk)

    def listen(self) -> Subscription:
        """Listen for jobs, and for cancellations too: one connection hears both."""
        mine = watchdog.get_watchdog()
        mine.is_told = True

        def on_ring(topic: str, key: int | None) -> None:
            if topic == "cancel":
                mine.hear(topic, key)
            else:
                self.rings.on_ring(topic, key)

        return get_bell().listen((*self.topics, "cancel"), on_ring)

    def _make_leadership(self) -> None:
        """Lead nobody: each loop worker listens for itself."""

    def _look(self, rings: bytes) -> dict[str, Any] | None:
        job = self._in_lane(self._claim)
        if job is None:
            if DUE in rings or time.monotonic() >= self._look_at:
                self._in_lane(self._find_next_look)
            return None
        self.running.add(job.pk)
        self._time_pickup(job)
        # There may be more.
        self.rings.put(JOB)
        return job_package(job)

    def _take_back_unknown(self) -> bool:
        return self._in_lane(
            lambda: lifecycle.reap_worker(self.worker.id, count=False, but=list(self.running))
        )

    def _in_lane(self, query: Callable[[], T]) -> T:
        def call() -> T:
            try:
                return query()
            except DatabaseError:
                connection.close()
                raise

        return self._lanes.engine.submit(call).result()


class LoopWorker:
    """Runs jobs side by side until it is told to stop, and then to their ends.

    Args:
        queues: names of queues, the most urgent first; none for all.
        worker: its identity.
        concurrency: how many jobs at most.
        on_block: called when a coroutine holds the loop up; in a thread of its own.
    """

    def __init__(
        self,
        queues: Sequence[str],
        worker: Worker,
        concurrency: int,
        on_block: Callable[[], None],
    ) -> None:
        self._on_block = on_block
        self._lanes = Lanes()
        self.fetcher = JobFetcher(queues, worker, self._lanes)
        self._pen = SharedPen(_lose)
        self._slots = threading.Semaphore(concurrency)
        self._runs: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run jobs. To be called in the main thread."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_task_factory(make_task)
        self._pulse = Pulse(self._on_block)
        obey_signals(self.fetcher)
        signal.signal(signal.SIGUSR1, self._pulse.on_signal)
        self._pulse.start()
        self._pen.start()
        subscription = self.fetcher.listen()
        await asyncio.to_thread(self._fetch)
        while self._runs:
            await asyncio.wait(self._runs)
        subscription.close(wait=False)
        self._pen.close()
        await asyncio.to_thread(self._lanes.close)

    def _fetch(self) -> None:
        while self._slots.acquire() and (job := self.fetcher.get_job()) is not None:
            self._loop.call_soon_threadsafe(self._begin, job)
            self._let_others_go_on()

    def _let_others_go_on(self) -> None:
        """Wait as long again as the loop needs for some turns: to begin a run is more work than to
        go on with one, and who has been begun comes first.
        """
        began, turned = time.monotonic(), threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        turned.wait()
        time.sleep(min(LONGEST, TURNS * (time.monotonic() - began)))

    def _begin(self, job: Job) -> None:
        # As in a worker of its own: a run inherits nothing.
        run = self._loop.create_task(self._run(job), context=contextvars.Context())
        self._runs.add(run)
        run.add_done_callback(self._end)
        self._pulse.begin()

    def _end(self, run: "asyncio.Task[None]") -> None:
        self._runs.discard(run)
        if not self._runs:
            self._pulse.rest()

    async def _run(self, job: Job) -> None:
        try:
            await runner.arun(job, self._lanes, self._pen.bring)
        except Exception:
            # As in a worker of its own; the lease runs out, and another attempt resumes the job.
            logger.exception("%s: its end could not be recorded.", job)
        finally:
            self.fetcher.done(job)
            self._slots.release()


def _lose(key: tuple[int, int]) -> None:
    """Stop an attempt whose words were refused."""
    watchdog.get_watchdog().lose(key)
