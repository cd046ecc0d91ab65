"""Where a worker gets its work."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import Failure, OrmQ, Success
from django_q.tasks import async_task
from django_q.worker import worker

from chatflow.workflows import workflow
from chatflow.workflows.bells import Subscription, get_bell
from chatflow.workflows.cluster import fetch
from chatflow.workflows.cluster.fetch import (
    HEAR,
    STOP,
    Fetcher,
    Results,
    job_package,
    run_job,
    run_task,
)
from chatflow.workflows.cluster.foreground import Shift
from chatflow.workflows.cluster.rings import DUE, JOB, LEADER
from chatflow.workflows.models import Job, State, TaskRun
from chatflow.workflows.running import runner
from chatflow.workflows.store import lifecycle, task_runs
from chatflow.workflows.store.lifecycle import HOST, Worker
from tests.configure import configure
from tests.workflows.chat import NET, Chat
from tests.workflows.tasks import errands as task_module
from tests.workflows.tasks.conftest import TASKS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unkept")]

ran: list[Any] = []


def task(value: Any) -> None:
    """An ordinary task of django-q2's."""
    ran.append(value)


def broken_task() -> None:
    raise ValueError("broken")


@pytest.fixture(autouse=True)
def _nothing_ran(settings: Any) -> None:
    here = "tests.workflows.cluster.test_fetch"
    configure(
        settings, TASK_FUNCTIONS=[f"{here}.{name}" for name in ("task", "broken_task", "nowhere")]
    )
    ran.clear()


class Both(Fetcher):
    """One that takes jobs of both kinds, as ``queue_work`` does: a chat's is a coroutine."""

    topics, kinds = Shift.topics, Shift.kinds


@pytest.fixture
def fetcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetcher]:
    made: list[Subscription] = []
    bell = get_bell()

    class Recorded:
        ear = staticmethod(bell.ear)

        def listen(self, *args: Any) -> Subscription:
            made.append(bell.listen(*args))
            return made[-1]

    monkeypatch.setattr(fetch, "get_bell", Recorded)
    fetcher = Both()
    yield fetcher
    for subscription in made:
        subscription.close()
    fetcher.rings.close()
    if fetcher.leadership is not None:
        fetcher.leadership.close()
    os.close(fetcher.wait_fd)
    os.close(fetcher._wake)


class Timer:
    """What the worker's loop does with its multiprocessing.Value."""

    value = -1.0

    def get_lock(self) -> Any:
        return threading.Lock()


def work(fetcher: Fetcher) -> None:
    """Run django-q2's own loop on what there is."""

    class UntilEmpty:
        def get(self) -> Any:
            return fetcher.get_nowait() or STOP

    worker(UntilEmpty(), Results(), Timer())


# Jobs.


def test_it_works(fetcher: Fetcher, chat: Chat) -> None:
    job = chat.send("hello")
    package = fetcher.get()
    assert isinstance(package, dict)
    job.refresh_from_db()

    assert (job.state, job.host, job.pid) == (State.PROCESSING, HOST, os.getpid())
    assert package["func"] is run_job
    assert package["args"] == (job,)
    assert package["name"] == job.public_id


def test_the_loop_of_django_q2_runs_jobs(
    fetcher: Fetcher, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(ctx: Any) -> str:
        raise ValueError("broken")

    workflow("broken")(broken)
    first, second, third = chat.send("hello"), chat.send(workflow="broken"), chat.send("hello")
    work(fetcher)

    assert [Job.objects.get(pk=job.pk).state for job in (first, second, third)] == [
        "completed",
        "failed",
        "completed",
    ]
    # Nothing of it is in django-q2's own tables.
    assert not Success.objects.exists()
    assert not Failure.objects.exists()


def test_what_a_job_lets_through_does_not_end_the_worker(
    fetcher: Fetcher, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is gone for good, for example."""
    calls = iter([OperationalError("gone")])

    def run(job: Job, *, interruptible: bool) -> None:
        for error in calls:
            raise error
        ran.append(job.pk)

    monkeypatch.setattr(runner, "run", run)
    chat.send()
    second = Chat(chat.user, "other").send()
    work(fetcher)

    assert ran == [second.pk]


def test_queues(chat: Chat) -> None:
    workflow("elsewhere", queue="other")(lambda ctx: "done")
    chat.send(workflow="elsewhere")
    assert Fetcher(["default", "more"]).get_nowait() is None

    assert Fetcher(["other"]).get_nowait() is not None


def test_it_wakes_up_for_a_job(fetcher: Fetcher, chat: Chat, monkeypatch: Any) -> None:
    """By the doorbell: between two looks it would wait for the net."""
    monkeypatch.setattr(fetch, "POLL", NET)
    looked = threading.Event()
    claim = lifecycle.claim

    def look(*args: Any, **options: Any) -> Job | None:
        job = claim(*args, **options)
        if job is None and options["is_async"]:
            looked.set()
        return job

    monkeypatch.setattr(lifecycle, "claim", look)

    def send() -> None:
        assert looked.wait(NET)
        chat.send("hello")
        connection.close()

    fetcher.listen()
    # There was perhaps something to hear before it listened.
    fetcher.rings.take()
    thread = threading.Thread(target=send)
    thread.start()
    package = fetcher.get()
    thread.join(NET)

    assert isinstance(package, dict)


def test_it_wakes_up_for_a_delayed_job(fetcher: Fetcher, chat: Chat, monkeypatch: Any) -> None:
    monkeypatch.setattr(fetch, "POLL", NET)
    job = chat.send("hello")
    lifecycle.give_back(lifecycle.claim((), Worker("other"), is_async=True) or job, delay=0.1)

    assert isinstance(fetcher.get(), dict)


@pytest.mark.parametrize("when", ["before", "while it waits"])
def test_stop(fetcher: Fetcher, when: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(fetch, "POLL", NET)
    if when == "before":
        fetcher.stop()
    else:
        threading.Timer(0.05, fetcher.stop).start()

    assert fetcher.get() == STOP


def test_a_stop_takes_no_further_job(fetcher: Fetcher, chat: Chat) -> None:
    job = chat.send()
    fetcher.stop()
    assert fetcher.get() == STOP
    job.refresh_from_db()

    assert job.state == State.QUEUED


def test_a_database_that_is_away(fetcher: Fetcher, chat: Chat, monkeypatch: Any) -> None:
    """It waits for it; and a job that was claimed without word of it is taken back."""
    monkeypatch.setattr(fetch, "BACK_OFF", 0.01)
    chat.send("hello")
    claim, failures = lifecycle.claim, iter([True, False])

    def flaky(*args: Any, **options: Any) -> Job | None:
        # It is a chat, and these are coroutines.
        for committed in failures if options["is_async"] else ():
            if committed:
                claim(*args, **options)
            raise OperationalError("server closed the connection unexpectedly")
        return claim(*args, **options)

    monkeypatch.setattr(lifecycle, "claim", flaky)
    package = fetcher.get()

    assert isinstance(package, dict)
    job = Job.objects.get()
    assert (job.state, job.attempt, job.lost) == (State.PROCESSING, 2, 0)


def test_a_full_pipe_is_no_trouble(fetcher: Fetcher) -> None:
    for _ in range(70_000):
        fetcher.wake()
    fetcher.calm()
    fetcher.rings.put(JOB)

    assert fetcher.wait().startswith(JOB)


def test_one_ring_wakes_one_of_them(fetcher: Fetcher, chat: Chat, monkeypatch: Any) -> None:
    """All workers of a cluster share the rings; who has nothing to look for asks no question."""
    monkeypatch.setattr(fetch, "POLL", NET)
    looks: list[int] = []
    claim = lifecycle.claim

    def look(*args: Any, **options: Any) -> Job | None:
        job = claim(*args, **options)
        if job is not None or options["is_async"]:
            looks.append(threading.get_ident())
        return job

    def get(fetcher: Fetcher) -> None:
        got.append(fetcher.get())
        connection.close()

    other = Both()
    other.rings.close()
    other.rings = fetcher.rings
    # As where one process listens for both.
    fetcher.leadership = other.leadership = None
    got: list[Any] = []
    threads = [threading.Thread(target=get, args=[each], daemon=True) for each in (fetcher, other)]
    monkeypatch.setattr(lifecycle, "claim", look)
    for thread in threads:
        thread.start()
    while len(looks) < 2:
        time.sleep(0.001)
    chat.send("hello")
    fetcher.rings.put(JOB)
    while not got:
        time.sleep(0.001)
    assert len(looks) == 3
    assert got[0]["func"] is run_job

    for each in (fetcher, other):
        each.stop()
    for thread in threads:
        thread.join(NET)
    assert got[1] == STOP
    os.close(other.wait_fd)
    os.close(other._wake)


def test_who_begins_to_listen_looks_at_all_there_is(fetcher: Fetcher) -> None:
    fetcher.listen()

    assert fetcher.rings.take().startswith(JOB + DUE)


def test_a_ring_for_another_job_is_put_back(fetcher: Fetcher, chat: Chat) -> None:
    chat.send("hello")
    fetcher.rings.put(JOB + JOB + DUE)
    fetcher.get()

    assert fetcher.rings.take() == JOB + DUE


# The leader, on its own connection.


def listening() -> list[str]:
    """Return the channels to which this connection listens."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_listening_channels()")
        return sorted(name for (name,) in cursor.fetchall())


@pytest.fixture
def looks(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> Iterator["Looks"]:
    # It is the doorbell or nothing.
    monkeypatch.setattr(fetch, "POLL", 1000 * NET)
    net = threading.Timer(NET, fetcher.stop)
    net.start()
    looks = Looks()
    monkeypatch.setattr(lifecycle, "claim", looks)
    yield looks
    net.cancel()
    for thread in looks.threads:
        thread.join(NET)


class Looks:
    """The claims of a fetcher that waits, and what to do after so many in vain."""

    def __init__(self) -> None:
        self.claim = lifecycle.claim
        self.vain = 0
        self.then: dict[int, Callable[[], object]] = {}
        self.threads: list[threading.Thread] = []

    def __call__(self, *args: Any, **options: Any) -> Job | None:
        job = self.claim(*args, **options)
        # The last of a look.
        if job is None and options["is_async"]:
            self.vain += 1
            if action := self.then.get(self.vain):
                self.threads.append(threading.Thread(target=self._act, args=[action]))
                self.threads[-1].start()
        return job

    def _act(self, action: Callable[[], object]) -> None:
        action()
        connection.close()


@pytest.mark.postgresql
def test_the_leader_hears_the_doorbell_itself(fetcher: Fetcher, chat: Chat, looks: Looks) -> None:
    """It looks once more when it listens; then it waits, and looks when it is rung."""
    assert fetcher.listen() is None
    fetcher.rings.take()
    looks.then[2] = lambda: chat.send("hello")
    assert isinstance(fetcher.get(), dict)

    # It leads no more, and the connection is the workflow's alone.
    assert looks.vain == 2
    assert fetcher.rings.take() == LEADER
    assert listening() == []


@pytest.mark.postgresql
def test_rings_for_other_jobs_are_passed_on(fetcher: Fetcher, chat: Chat, looks: Looks) -> None:
    def send() -> None:
        with transaction.atomic():
            for number in range(3):
                Chat(chat.user, f"session {number}").send("hello")

    looks.then[2] = send
    assert isinstance(fetcher.get(), dict)

    assert fetcher.rings.take() == JOB + JOB + LEADER


@pytest.mark.postgresql
def test_it_goes_on_listening_after_a_ring_in_vain(fetcher: Fetcher) -> None:
    """Another cluster was quicker, for example."""
    fetcher._look_at = time.monotonic() + NET
    assert fetcher.wait() == JOB + DUE
    for _ in range(2):
        ring = threading.Thread(target=ring_elsewhere)
        ring.start()
        ring.join(NET)
        # Heard already when it comes to wait, or while it does.
        assert fetcher.wait() in (JOB, HEAR)
        # The claim has stopped that.
        assert fetcher._look(HEAR) is None
        assert listening() == []
        # What was rung for since went unheard.
        assert fetcher.wait() == JOB + DUE
        assert listening() == [f"chatflow_{topic}" for topic in sorted(fetcher.topics)]


def ring_elsewhere() -> None:
    get_bell().ring("jobs", 1)
    connection.close()


@pytest.mark.postgresql
def test_an_ordinary_task_makes_another_one_lead_too(fetcher: Fetcher, looks: Looks) -> None:
    looks.then[2] = lambda: async_task("tests.workflows.cluster.test_fetch.task", 1)
    package = fetcher.get()

    assert isinstance(package, dict)
    assert package["func"] == "tests.workflows.cluster.test_fetch.task"
    assert LEADER in fetcher.rings.take()
    assert listening() == []


@pytest.mark.postgresql
def test_a_leader_that_loses_its_connection(
    fetcher: Fetcher, chat: Chat, looks: Looks, monkeypatch: Any
) -> None:
    monkeypatch.setattr(fetch, "BACK_OFF", 0.01)

    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid = %s",
                [backend],
            )
        chat.send("hello")

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    looks.then[2] = cut

    assert isinstance(fetcher.get(), dict)


@pytest.mark.postgresql
def test_a_job_that_was_claimed_when_the_connection_was_lost(
    fetcher: Fetcher, chat: Chat, looks: Looks, monkeypatch: Any
) -> None:
    """It is this worker's, and runs."""
    assert fetcher.leadership is not None

    def lost() -> bytes:
        raise OperationalError("gone")

    monkeypatch.setattr(fetcher.leadership, "hand_over", lost)
    looks.then[2] = lambda: chat.send("hello")
    package = fetcher.get()
    assert isinstance(package, dict)
    # Another worker leads, and looks for what went unheard.
    assert fetcher.rings.take() in (JOB + DUE + LEADER, DUE + LEADER)
    assert fetcher.leadership.descriptors == []
    run_job(package["args"][0])

    assert Job.objects.get().state == State.COMPLETED


def test_a_package_has_what_the_loop_takes(chat: Chat) -> None:
    assert set(job_package(chat.send())) == {"id", "name", "func", "args", "kwargs", "timeout"}


# Ordinary tasks of django-q2's.


def test_an_ordinary_task(fetcher: Fetcher) -> None:
    for number in range(3):
        async_task("tests.workflows.cluster.test_fetch.task", number, save=True)
    work(fetcher)

    # In order, and acknowledged.
    assert ran == [0, 1, 2]
    assert not OrmQ.objects.exists()
    assert Success.objects.count() == 3


def test_an_ordinary_task_that_fails(fetcher: Fetcher) -> None:
    async_task("tests.workflows.cluster.test_fetch.broken_task")
    async_task("tests.workflows.cluster.test_fetch.nowhere")
    work(fetcher)

    assert Failure.objects.count() == 2
    assert not OrmQ.objects.exists()


def test_jobs_come_first(fetcher: Fetcher, chat: Chat) -> None:
    async_task("tests.workflows.cluster.test_fetch.task", 1)
    job = chat.send()
    package = fetcher.get_nowait()

    assert package is not None
    assert package["args"] == (job,)


def test_a_task_is_taken_once() -> None:
    async_task("tests.workflows.cluster.test_fetch.task", 1)
    assert len(get_broker().dequeue()) == 1

    assert get_broker().dequeue() == []
    assert OrmQ.objects.get().lock > timezone.now()


def test_a_task_rings(fetcher: Fetcher, monkeypatch: Any) -> None:
    monkeypatch.setattr(fetch, "POLL", NET)
    fetcher.listen()

    def send() -> None:
        async_task("tests.workflows.cluster.test_fetch.task", 1)
        connection.close()

    timer = threading.Timer(0.05, send)
    timer.start()
    package = fetcher.get()
    timer.join(NET)

    assert isinstance(package, dict)
    assert package["args"] == (1,)


def test_a_task_that_cannot_be_read_is_left(fetcher: Fetcher, caplog: Any) -> None:
    async_task("tests.workflows.cluster.test_fetch.task", 1)
    OrmQ.objects.update(payload="garbage")
    async_task("tests.workflows.cluster.test_fetch.task", 2)
    for _ in range(2):
        work(fetcher)

    assert ran == [2]
    assert OrmQ.objects.count() == 1
    assert "can't be read and is left in the queue" in caplog.text


def test_a_rotated_key(fetcher: Fetcher, settings: Any) -> None:
    async_task("tests.workflows.cluster.test_fetch.task", 1)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    work(fetcher)

    assert ran == [1]


def test_a_key_that_is_gone(fetcher: Fetcher, settings: Any) -> None:
    async_task("tests.workflows.cluster.test_fetch.task", 1)
    settings.SECRET_KEY = "a new one"
    work(fetcher)

    assert ran == []
    assert OrmQ.objects.exists()


# The tasks of django.tasks.


@pytest.fixture
def errands(settings: Any) -> ModuleType:
    settings.TASKS = TASKS
    task_module.done.clear()
    return task_module


def test_a_task_of_django_tasks(errands: ModuleType, fetcher: Fetcher, chat: Chat) -> None:
    """Behind the jobs, as ordinary tasks are, and with a result of its own."""
    result = errands.add.enqueue(1, 2)
    job = chat.send("hello")
    first, second = fetcher.get_nowait(), fetcher.get_nowait()
    assert first is not None
    assert second is not None
    assert (first["args"], second["name"]) == ((job,), result.id)
    run_task(*second["args"])
    result.refresh()
    assert (result.return_value, result.worker_ids) == (3, [fetcher.worker.id])


def test_the_loop_of_django_q2_runs_them(errands: ModuleType, fetcher: Fetcher) -> None:
    good, bad = errands.add.enqueue(1, 2), errands.fail.enqueue("no")
    work(fetcher)
    good.refresh()
    bad.refresh()
    assert (good.status, bad.status) == ("SUCCESSFUL", "FAILED")
    assert not Success.objects.exists()
    assert not Failure.objects.exists()


def test_it_wakes_up_for_a_task(
    errands: ModuleType, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "POLL", NET)
    looked, find_next_look = threading.Event(), fetcher._find_next_look

    def look() -> None:
        find_next_look()
        looked.set()

    def enqueue() -> None:
        assert looked.wait(NET)
        errands.add.enqueue(1)
        connection.close()

    monkeypatch.setattr(fetcher, "_find_next_look", look)
    fetcher.listen()
    thread = threading.Thread(target=enqueue)
    thread.start()
    package = fetcher.get()
    thread.join(NET)
    assert isinstance(package, dict)
    assert package["func"] is run_task


def test_their_queues(errands: ModuleType) -> None:
    errands.add.using(queue_name="slow").enqueue(1)
    assert Fetcher(["default"]).get_nowait() is None
    assert Fetcher(["slow"]).get_nowait() is not None


def test_a_task_that_was_claimed_without_word_is_taken_back(
    errands: ModuleType, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "BACK_OFF", 0.01)
    errands.add.enqueue(1)
    claim, outages = task_runs.claim, iter([OperationalError("server closed the connection")])

    def flaky(*args: Any) -> TaskRun | None:
        run = claim(*args)
        for error in outages:
            raise error
        return run

    monkeypatch.setattr(task_runs, "claim", flaky)
    assert isinstance(fetcher.get(), dict)
    run = TaskRun.objects.get()
    assert (run.status, run.attempt, run.lost) == ("RUNNING", 2, 0)


def test_an_end_that_cannot_be_stored_does_not_end_the_worker(
    errands: ModuleType,
    fetcher: Fetcher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*args: Any, **outcome: Any) -> bool:
        raise DatabaseError("no")

    monkeypatch.setattr(task_runs, "end", refuse)
    result = errands.add.enqueue(1)
    work(fetcher)
    assert f"{result.id}: its end could not be recorded." in caplog.text


def test_without_the_setting_there_is_no_look_for_them(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(task_runs, "claim")
    assert fetcher.get_nowait() is None
