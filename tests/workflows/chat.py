"""A conversation whose jobs run in the test's own thread, as a worker would run them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection, transaction

from chatflow.workflows import services
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.registry import workflow
from chatflow.workflows.running.context import Context
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Vigil
from chatflow.workflows.testing.worker import ME as ME
from chatflow.workflows.testing.worker import Crashes as Crashes
from chatflow.workflows.testing.worker import claim as claim
from chatflow.workflows.testing.worker import lose_worker as lose_worker
from chatflow.workflows.testing.worker import run_waiting as run_waiting

# Seconds after which a test that waits has failed. A net, not a measure.
NET = 30.0

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


class Chat:
    """What one user says in one session, and what comes of it."""

    def __init__(self, user: User, key: str = "s") -> None:
        self.user = user
        self.key = key

    def send(self, text: str = "go", **options: Any) -> Job:
        """Store a message; nobody works on it yet."""
        return services.start(self.user, text, session_key=self.key, **options).job

    def say(self, text: str = "go", **options: Any) -> Job:
        """Send a message and run its job, and whatever else waits."""
        job = self.send(text, **options)
        run_waiting()
        job.refresh_from_db()
        return job

    def begin(self, function: Callable[[Context], Any], text: str = "go", **options: Any) -> Job:
        """Register *function* as the workflow ``w``, and say *text* to it."""
        workflow("w", **options)(function)
        return self.say(text, workflow="w")


def claimed() -> Job:
    """Claim the next job; there must be one."""
    job = claim()
    assert job is not None
    return job


def until_a_lock_is_waited_for() -> None:
    """Return when some connection waits for a lock of another's; on PostgreSQL."""
    until = time.monotonic() + NET
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        while not cursor.fetchone()[0]:
            assert time.monotonic() < until, f"In {NET:g} seconds nobody waited for a lock."
            cursor.execute(WAITING)


def with_empty_log(job: Job) -> Job:
    """Take away what the claim has said, for tests of what is said after it."""
    job.events.all().delete()
    Job.objects.filter(pk=job.pk).update(last_seq=0, progress_message="")
    job.refresh_from_db()
    return job


def reap() -> int:
    """Take back the jobs whose leases ran out, as one that was awake all the time."""
    return lifecycle.reap(Vigil(1.0))


def resume(job: Job) -> Job:
    """Let a job's worker die where it stands, and have it run again."""
    assert Job.objects.get(pk=job.pk).state == State.PROCESSING
    lose_worker()
    run_waiting()
    job.refresh_from_db()
    return job


def events(job: Job) -> list[Event]:
    return list(job.events.order_by("seq"))


def types(job: Job) -> list[str]:
    return [event.type for event in events(job)]


def saved() -> int:
    """Return how many groups are called "g", the row that these tests write."""
    return Group.objects.filter(name="g").count()


def streamed(job: Job) -> str:
    """Return the words that a client of the job's stream sees in the end."""
    text = ""
    for event in events(job):
        if event.type == Event.Type.DELTA:
            text += event.data["delta"]
        elif event.type == Event.Type.RESTARTED:
            text = text[: event.data["text_length"]]
    return text


def assert_log_is_sound(job: Job) -> None:
    """Check what holds for every log: gapless, never backwards, one end, and nothing after it."""
    log = events(job)
    job.refresh_from_db()
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert job.last_seq == len(log)
    assert [event.progress for event in log] == sorted(event.progress for event in log)
    assert [event.seq for event in log if event.is_terminal] == (
        [len(log)] if job.is_finished else []
    )


@contextmanager
def rolled_back() -> Iterator[None]:
    """Open a transaction that is rolled back in the end."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def at_once(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Return what *function*, called in so many threads at once, returned or raised in each.

    Each thread has a database connection of its own, and closes it.
    """
    start = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            start.wait(NET)
            results[number] = function(number)
        except BaseException as error:
            results[number] = error
        finally:
            connection.close()

    started = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(NET)
        assert not thread.is_alive(), "A thread hangs."
    return results


@contextmanager
def beside(table: str, other: Callable[[], Any]) -> Iterator[list[Any]]:
    """Have *other* done in another thread just before rows of *table* are deleted here.

    There it has ended by then, or waits for what is locked here: on PostgreSQL.

    Yields:
        An empty list, which has in the end what *other* returned or raised.
    """
    results: list[Any] = []
    threads: list[threading.Thread] = []

    def run() -> None:
        results.extend(at_once(1, lambda number: other()))

    def execute(run_on: Any, sql: str, *args: Any) -> Any:
        if sql.startswith(f'DELETE FROM "{table}"') and not threads:
            threads.append(threading.Thread(target=run))
            threads[0].start()
            until_it_ends_or_waits(threads[0])
        return run_on(sql, *args)

    with connection.execute_wrapper(execute):
        yield results
    threads[0].join(NET)


def until_it_ends_or_waits(thread: threading.Thread) -> None:
    with connection.cursor() as cursor:
        waits = 0
        while thread.is_alive() and not waits:
            cursor.execute(WAITING)
            waits = cursor.fetchone()[0]
