"""The queue's commands, by what they print and what they leave in the database."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models import ForeignKey, Index, ManyToOneRel, Model, Q, UniqueConstraint
from django.db.models.signals import pre_delete
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.cluster.management.commands import qcluster
from chatflow.workflows.cluster.presence import take_back_lost_jobs
from chatflow.workflows.management import console
from chatflow.workflows.models import Cluster, Event, Job, Message, Session, State, Step
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.running import runner
from chatflow.workflows.services import queues
from chatflow.workflows.store import events, figures, lifecycle, pruning, usage_figures
from chatflow.workflows.store.lifecycle import Outcome, Vigil, vigil
from tests.configure import configure
from tests.workflows.chat import NET, Chat, at_once, claimed
from tests.workflows.faults import make_refusal
from tests.workflows.tasks.conftest import TASKS

ROOT = Path(__file__).resolve().parents[2]
ID = r"workflow_[0-9a-f]{32}"


pytestmark = pytest.mark.usefixtures("outcomes")


@pytest.fixture(autouse=True)
def _urgent() -> None:
    @workflow("urgent", queue="urgent")
    def urgent(ctx: Context) -> str:
        return "Now."


@pytest.fixture
def manage(db: None, unkept: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Return what runs a command in this process and returns the lines that it printed."""

    def run(*arguments: str) -> list[str]:
        capsys.readouterr()
        call_command(*arguments)
        return capsys.readouterr().out.splitlines()

    return run


def age(job: Job, days: float) -> None:
    """Let a job have ended so many days ago."""
    Job.objects.filter(pk=job.pk).update(finished_at=timezone.now() - timedelta(days=days))


@contextmanager
def somebody_else() -> Iterator[Any]:
    """Give a cursor of another connection, in a transaction that is never committed."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


def pointing_at(model: type[Model]) -> list[ForeignKey[Any, Any]]:
    """Return the foreign keys to a model, also those that have no name there."""
    relations = model._meta.get_fields(include_hidden=True)
    return [each.field for each in relations if isinstance(each, ManyToOneRel)]


def conditional(model: type[Model]) -> set[str]:
    """Return the names of the indexes that hold some only of the rows that have their column."""
    named: list[Any] = [*model._meta.indexes, *model._meta.constraints]
    return {
        each.name
        for each in named
        if isinstance(each, Index | UniqueConstraint)
        and each.condition not in (None, *(Q((f"{name}__isnull", False)) for name in each.fields))
    }


@pytest.mark.django_db(transaction=True)
class TestQueueWork:
    def test_it_works(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        first, second = chat.send(workflow="echo"), chat.send(workflow="echo")
        (line,) = manage("queue_work", "--once")
        day, _, public_id, name, dots, seconds, result = line.split()
        assert (public_id, name, result) == (first.public_id, "echo", "DONE")
        assert len(dots) >= 3
        assert float(seconds.removesuffix("s")) < NET
        assert day.count("-") == 2
        states = [Job.objects.get(pk=job.pk).state for job in (first, second)]
        assert states == [State.COMPLETED, State.QUEUED]

    def test_once_with_an_empty_queue(self, manage: Callable[..., list[str]]) -> None:
        assert manage("queue_work", "--once") == ["No job is waiting."]

    def test_a_failure_is_no_error_of_the_command(
        self, manage: Callable[..., list[str]], chat: Chat
    ) -> None:
        job = chat.send(workflow="crash")
        (line,) = manage("queue_work", "--once")
        assert line.endswith("s FAIL")
        job.refresh_from_db()
        assert job.state == State.FAILED

    def test_a_job_that_is_to_be_tried_again(
        self, manage: Callable[..., list[str]], chat: Chat
    ) -> None:
        @workflow("flaky", tries=2, backoff=60)
        def flaky(ctx: Context) -> str:
            raise RuntimeError

        chat.send(workflow="flaky")
        (line,) = manage("queue_work", "--stop-when-empty")
        assert line.endswith("s RELEASED")

    def test_stop_when_empty(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        for name in ("echo", "fail", "echo"):
            chat.send(workflow=name)
        lines = manage("queue_work", "--stop-when-empty")
        assert [line.split()[-1] for line in lines] == ["DONE", "FAIL", "DONE"]
        assert manage("queue_work", "--stop-when-empty") == []

    def test_max_jobs(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        for _ in range(3):
            chat.send(workflow="echo")
        assert len(manage("queue_work", "--stop-when-empty", "--max-jobs", "2")) == 2
        assert Job.objects.active().count() == 1

    def test_queues(self, manage: Callable[..., list[str]], chat: Chat, bob: User) -> None:
        chat.send(workflow="echo")
        Chat(bob).send(workflow="urgent")
        (line,) = manage("queue_work", "--stop-when-empty", "--queue", "urgent")
        assert "urgent" in line

    def test_it_takes_back_lost_jobs_first(
        self,
        manage: Callable[..., list[str]],
        chat: Chat,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # So long the living have to renew their leases.
        configure(settings, WORKFLOW_LEASE_SECONDS=0.3)
        monkeypatch.setattr(vigil, "RENEWAL", 0.1)
        chat.send(workflow="echo")
        lost = claimed()
        Job.objects.filter(pk=lost.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        (line,) = manage("queue_work", "--once")
        assert line.split()[2] == lost.public_id

    def test_an_ordinary_task_comes_after_the_jobs(
        self, manage: Callable[..., list[str]], chat: Chat, settings: Any
    ) -> None:
        configure(settings, TASK_FUNCTIONS=["math.sqrt"])
        async_task("math.sqrt", 4, task_name="root")
        async_task("math.sqrt", -4, task_name="bad-root")
        chat.send(workflow="echo")
        lines = manage("queue_work", "--stop-when-empty")
        assert [line.split()[-1] for line in lines] == ["DONE", "DONE", "FAIL"]
        assert "root math.sqrt" in lines[1]
        assert not OrmQ.objects.exists()

    def test_signal_handlers_are_put_back(self, manage: Callable[..., list[str]]) -> None:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        manage("queue_work", "--once")
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before

    def test_nothing_to_work_on(self, manage: Callable[..., list[str]], settings: Any) -> None:
        configure(settings, QUEUE_CONNECTION="sync")
        (line,) = manage("queue_work")
        assert line.startswith("Nothing to work on")

    @pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", "\u00b2", "9" * 20])
    def test_a_wrong_number(self, manage: Callable[..., list[str]], wrong: str) -> None:
        with pytest.raises(CommandError, match="--max-jobs: must be a whole number of at least 1"):
            manage("queue_work", f"--max-jobs={wrong}")

    def test_once_and_stop_when_empty_exclude_each_other(
        self, manage: Callable[..., list[str]]
    ) -> None:
        with pytest.raises(CommandError, match="not allowed with"):
            manage("queue_work", "--once", "--stop-when-empty")


class TestQueueOption:
    """``--queue``, which qcluster and queue_work have."""

    @pytest.fixture
    def served(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """Return what collects the queues that a supervisor is made for; none starts."""
        served: list[list[str]] = []

        class Made:
            def __init__(self, *, queues: list[str], **options: Any) -> None:
                served.append(queues)

            def run(self) -> None:
                pass

        monkeypatch.setattr(qcluster, "Supervisor", Made)
        return served

    def test_it_works(self, manage: Callable[..., list[str]], served: list[list[str]]) -> None:
        manage("qcluster")
        manage("qcluster", "--queue", " urgent,, default")
        assert served == [[], ["urgent", "default"]]

    @pytest.mark.parametrize("command", [("queue_work", "--once"), ("qcluster",)])
    def test_an_unknown_queue(
        self, manage: Callable[..., list[str]], served: list[list[str]], command: tuple[str, ...]
    ) -> None:
        with pytest.raises(CommandError, match=r"^There is no queue 'urgnt'\.$"):
            manage(*command, "--queue", "default,urgnt")
        assert served == []

    @pytest.mark.usefixtures("served")
    def test_queues_that_are_left_to_others(self, capsys: pytest.CaptureFixture[str]) -> None:
        workflow("report", queue="slow")(lambda ctx: "done")
        names = [each.name for each in all_workflows() if each.queue == "default"]
        call_command("qcluster", "--queue", "urgent")

        assert capsys.readouterr().err == (
            f"Not served here: default ({', '.join(names)}), slow (report). Without another "
            "cluster their jobs wait for ever; one without --queue serves all queues.\n"
        )
        call_command("qcluster", "--queue", "urgent,slow,default")
        call_command("qcluster")
        assert capsys.readouterr().err == ""

    def test_queues_of_tasks(
        self,
        manage: Callable[..., list[str]],
        served: list[list[str]],
        settings: Any,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        settings.TASKS = TASKS
        manage("qcluster", "--queue", "slow")
        manage("queue_work", "--once", "--queue", "slow")
        assert served == [["slow"]]
        call_command("qcluster", "--queue", "default")
        assert "Not served here: slow (tasks), " in capsys.readouterr().err

    def test_a_queue_that_no_workflow_uses_any_more(
        self, manage: Callable[..., list[str]], served: list[list[str]], chat: Chat
    ) -> None:
        """Whoever deploys new code finishes with the old queue's jobs first."""
        job = chat.send(workflow="echo")
        Job.objects.filter(pk=job.pk).update(queue="old")
        manage("qcluster", "--queue", "old")
        assert served == [["old"]]
        Job.objects.filter(pk=job.pk).delete()
        with pytest.raises(CommandError, match="There is no queue 'old'"):
            manage("qcluster", "--queue", "old")

    def test_a_cluster_that_is_there_before_its_database(
        self,
        manage: Callable[..., list[str]],
        served: list[list[str]],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def away() -> None:
            raise OperationalError("gone")

        monkeypatch.setattr(queues, "sizes", away)
        manage("qcluster", "--queue", "urgent")
        assert caplog.text == ""
        manage("qcluster", "--queue", "old")
        assert "could not be checked (gone)" in caplog.text
        assert served == [["urgent"], ["old"]]


@pytest.fixture
def worker(transactional_db: None) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Return what starts ``manage.py queue_work``, a process of its own on the test's database."""
    started = []
    others = sessions()

    def start() -> "subprocess.Popen[str]":
        name, port = connection.settings_dict["NAME"], connection.settings_dict["PORT"]
        host, user = connection.settings_dict["HOST"], connection.settings_dict["USER"]
        url = f"sqlite:///{name}"
        if connection.vendor == "postgresql":
            url = f"postgres://{user}@{host}:{port}/{name}"
        process = subprocess.Popen(
            [sys.executable, "manage.py", "queue_work"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    # The test's database can't be dropped before the server has noticed.
    wait_for(lambda: sessions() <= others)


def sessions() -> int:
    """Return how many clients the test's database has; on SQLite it doesn't matter."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + NET
    while not condition():
        assert time.monotonic() < deadline, "It did not come true in time."
        time.sleep(0.02)


def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], NET)[0], "Nothing was printed in time."
    return process.stdout.readline()


def runs(job: Job) -> bool:
    return job.events.filter(type=Event.Type.STEP_STARTED).exists()


@pytest.mark.django_db(transaction=True)
class TestQueueWorkProcess:
    """What needs signals and a second process."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_waits_for_jobs_and_finishes_the_running_one(
        self, worker: Callable[[], "subprocess.Popen[str]"], chat: Chat, number: signal.Signals
    ) -> None:
        process = worker()
        wait_for(Cluster.objects.filter(workers=1).exists)
        first = chat.send("A long demo with 1 step of 0.01 s", workflow="demo_long")
        assert f"{first} demo_long ..." in next_line(process)
        running = chat.send("A long demo with 1 step of 1 s", workflow="demo_long")
        waiting = chat.send("A long demo", workflow="demo_long")
        wait_for(lambda: runs(running))
        process.send_signal(number)
        assert next_line(process).endswith("s DONE\n")
        assert process.wait(NET) == 0
        waiting.refresh_from_db()
        assert waiting.state == State.QUEUED
        assert not Cluster.objects.exists()

    def test_a_killed_ones_job_is_taken_back_at_once(
        self, worker: Callable[[], "subprocess.Popen[str]"], chat: Chat
    ) -> None:
        """Whoever looks next on this machine needn't wait for the lease."""
        process = worker()
        running = chat.send("A long demo with 1 step of 60 s", workflow="demo_long")
        wait_for(lambda: runs(running))
        wait_for(Cluster.objects.exists)
        take_back_lost_jobs(Vigil(1.0))
        assert runs(running)
        process.kill()
        process.wait(NET)
        take_back_lost_jobs(Vigil(1.0))
        running.refresh_from_db()
        assert (running.state, running.lost) == (State.QUEUED, 1)

    def test_a_second_signal_gives_the_job_back(
        self, worker: Callable[[], "subprocess.Popen[str]"], chat: Chat
    ) -> None:
        process = worker()
        running = chat.send("A long demo with 1 step of 60 s", workflow="demo_long")
        wait_for(lambda: runs(running))
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert next_line(process).endswith("s RELEASED\n")
        assert process.wait(NET) == 0
        running.refresh_from_db()
        assert (running.state, running.lost) == (State.QUEUED, 0)

    def test_a_job_is_cancelled_where_it_stands(
        self, worker: Callable[[], "subprocess.Popen[str]"], chat: Chat
    ) -> None:
        process = worker()
        running = chat.send("A long demo with 1 step of 60 s", workflow="demo_long")
        wait_for(lambda: runs(running))
        services.cancel(running)
        assert next_line(process).endswith("s CANCELLED\n")


class TestQueueFailed:
    def test_it_works(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        older, newer = chat.say(workflow="fail"), chat.say(workflow="crash")
        chat.say(workflow="echo")
        _, rule, *lines = manage("queue_failed")
        assert set(rule) == {"-", " "}
        assert [line.split()[:4] for line in lines] == [
            [newer.public_id, "crash", "alice", "workflow_failed"],
            [older.public_id, "fail", "alice", "fire"],
        ]
        assert "RuntimeError: <script>alert(1)</script>" in lines[0]
        assert "The printer is on fire." in lines[1]
        assert "Really" not in lines[1]

    def test_json(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        job = chat.say(workflow="fail")
        assert json.loads("".join(manage("queue_failed", "--json"))) == [
            {
                "id": job.public_id,
                "workflow": "fail",
                "user": "alice",
                "code": "fire",
                "error": "The printer is on fire.\nReally.",
                "failed_at": f"{job.finished_at:%Y-%m-%dT%H:%M:%SZ}",
            }
        ]

    def test_none(self, manage: Callable[..., list[str]]) -> None:
        assert manage("queue_failed") == ["No job has failed."]
        assert manage("queue_failed", "--json") == ["[]"]

    def test_limit(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        _, newer = chat.say(workflow="fail"), chat.say(workflow="fail")
        *_, line, more = manage("queue_failed", "--limit=1")
        assert line.startswith(newer.public_id)
        assert more == "There are more; --limit 2 shows them."
        assert len(json.loads("".join(manage("queue_failed", "--limit=1", "--json")))) == 1

    def test_a_wrong_limit(self, manage: Callable[..., list[str]]) -> None:
        with pytest.raises(CommandError, match="--limit: must be a whole number"):
            manage("queue_failed", "--limit=0")


class TestQueueRetry:
    def test_it_works(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        job, other = chat.say(workflow="fail"), chat.say(workflow="fail")
        (line,) = manage("queue_retry", job.public_id)
        new = Job.objects.get(retry_of=job)
        assert line == f"{job} -> {new}"
        assert list(Job.objects.failures()) == [other]

    def test_all(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        old = [chat.say(workflow="fail").public_id for _ in range(2)]
        chat.say(workflow="echo")
        lines = manage("queue_retry", "--all")
        assert [line.split(" -> ")[0] for line in lines] == old
        assert manage("queue_retry", "--all") == []

    def test_the_others_are_retried_where_one_can_t_be(
        self, manage: Callable[..., list[str]], chat: Chat, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job, done = chat.say(workflow="fail"), chat.say(workflow="echo")
        with pytest.raises(CommandError, match="2 of the jobs could not be retried") as raised:
            manage("queue_retry", "workflow_unknown", done.public_id, job.public_id)
        assert raised.value.returncode == 1
        assert job.retries.count() == 1
        assert capsys.readouterr().err.splitlines() == [
            "workflow_unknown: There is no such job.",
            f"{done}: Only a job that failed, timed out or was cancelled can be retried.",
        ]

    @pytest.mark.parametrize("arguments", [(), ("--all", "workflow_x")])
    def test_ids_or_all(self, manage: Callable[..., list[str]], arguments: tuple[str, ...]) -> None:
        with pytest.raises(CommandError, match="--all"):
            manage("queue_retry", *arguments)


class TestRetryOfServices:
    def test_without_a_worker_it_runs_at_once(
        self, manage: Callable[..., list[str]], chat: Chat, settings: Any
    ) -> None:
        configure(settings, QUEUE_CONNECTION="sync")
        job = chat.say(workflow="fail")
        manage("queue_retry", job.public_id)
        assert Job.objects.get(retry_of=job).state == State.FAILED


class TestQueueForget:
    def test_it_works(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        job = chat.say(workflow="fail")
        assert manage("queue_forget", job.public_id) == [f"Forgot {job}."]
        assert not Job.objects.failures().exists()
        assert services.get_job(chat.user, job.public_id).state == State.FAILED

    def test_unknown(self, manage: Callable[..., list[str]]) -> None:
        with pytest.raises(CommandError, match="There is no job 'workflow_x'"):
            manage("queue_forget", "workflow_x")

    def test_no_failure(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        with pytest.raises(CommandError, match="is not on the list of failures"):
            manage("queue_forget", chat.say(workflow="echo").public_id)


class TestQueueFlush:
    def test_it_works(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        for _ in range(2):
            chat.say(workflow="fail")
        assert manage("queue_flush") == ["Forgot 2 failed jobs."]
        assert manage("queue_flush") == ["Forgot 0 failed jobs."]

    def test_hours(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        old, new = chat.say(workflow="fail"), chat.say(workflow="fail")
        age(old, days=0.2)
        assert manage("queue_flush", "--hours=4") == ["Forgot 1 failed job."]
        assert list(Job.objects.failures()) == [new]

    def test_wrong_hours(self, manage: Callable[..., list[str]]) -> None:
        with pytest.raises(CommandError, match="--hours: must be a whole number of at least 0"):
            manage("queue_flush", "--hours=soon")
        for hours in ("876001", "99999999999", "9" * 5000):
            with pytest.raises(CommandError, match="at least 0 and at most 876000"):
                manage("queue_flush", f"--hours={hours}")
        assert manage("queue_flush", "--hours=876000") == ["Forgot 0 failed jobs."]


class TestQueueMonitor:
    def test_it_works(self, manage: Callable[..., list[str]], chat: Chat, bob: User) -> None:
        chat.send(workflow="echo")
        claimed()
        waiting = Chat(chat.user, "other").send(workflow="echo")
        delayed = Chat(bob).send(workflow="echo")
        now = timezone.now()
        Job.objects.filter(pk=waiting.pk).update(available_at=now - timedelta(minutes=5))
        Job.objects.filter(pk=delayed.pk).update(available_at=now + timedelta(minutes=5))
        Cluster.objects.create(host="here", pid=1, workers=4, seen_at=now)
        Cluster.objects.create(host="gone", pid=1, workers=4, seen_at=now - timedelta(minutes=1))
        _, _, default, urgent, _, clusters = manage("queue_monitor")
        *numbers, oldest = default.split()
        assert numbers == ["default", "1", "1", "1"]
        assert 300 <= float(oldest) < 300 + NET
        assert urgent.split() == ["urgent", "0", "0", "0", "0.0"]
        assert clusters == "Clusters alive: 1; workers: 4."

    def test_json(self, manage: Callable[..., list[str]]) -> None:
        Cluster.objects.create(host="here", pid=1, workers=4, seen_at=timezone.now())
        printed = json.loads("".join(manage("queue_monitor", "--json")))
        assert printed["clusters"] == [{"host": "here", "pid": 1, "workers": 4}]
        assert printed["queues"][0] == {
            "queue": "default",
            "waiting": 0,
            "delayed": 0,
            "running": 0,
            "oldest_waiting": 0.0,
        }

    def test_a_sync_job_is_no_queue_s(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        chat.send(workflow="echo", mode="sync")
        assert manage("queue_monitor")[2].split()[1] == "0"

    def test_max(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        chat.send(workflow="echo")
        manage("queue_monitor", "--max=1")
        with pytest.raises(CommandError, match="More than 0 jobs wait in: default") as raised:
            manage("queue_monitor", "--max=0", "--json")
        assert raised.value.returncode == 1

    def test_here(self, manage: Callable[..., list[str]]) -> None:
        now = timezone.now()
        Cluster.objects.create(host="elsewhere", pid=1, workers=4, seen_at=now)
        gone = now - timedelta(minutes=1)
        here = Cluster.objects.create(host=lifecycle.HOST, pid=1, workers=4, seen_at=gone)
        with pytest.raises(CommandError, match=r"No cluster of .+ is alive") as raised:
            manage("queue_monitor", "--here")
        assert raised.value.returncode == 1
        Cluster.objects.filter(pk=here.pk).update(seen_at=now)
        manage("queue_monitor", "--here")


class TestQueuePrune:
    @pytest.fixture(autouse=True)
    def _hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody else needs the machine."""
        monkeypatch.setattr(pruning, "REST", 0.1)

    def test_it_works(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        old, new = chat.say(workflow="echo"), chat.say(workflow="echo")
        age(old, days=31)
        age(new, days=29)
        assert manage("queue_prune") == ["Pruned 1 job."]
        assert list(Job.objects.all()) == [new]
        for rows in (Event.objects.all(), Step.objects.all()):
            assert {row.job_id for row in rows} == {new.pk}

    def test_the_conversation_stays(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        age(chat.say("my words", workflow="echo"), days=31)
        manage("queue_prune")
        said = Message.objects.order_by("pk").values_list("content", flat=True)
        assert list(said) == ["my words"] * 2
        assert not Message.objects.filter(job__isnull=False).exists()
        assert Session.objects.count() == 1

    def test_days(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        chat.say(workflow="fail")
        chat.send(workflow="echo")
        assert manage("queue_prune", "--days=1") == ["Pruned 0 jobs."]
        assert manage("queue_prune", "--days=0") == ["Pruned 1 job."]
        assert Job.objects.get().state == State.QUEUED
        with pytest.raises(CommandError, match="--days: must be a whole number"):
            manage("queue_prune", "--days=-1")
        with pytest.raises(CommandError, match="at most 36500, not '99999999'"):
            manage("queue_prune", "--days=99999999")
        assert manage("queue_prune", "--days=36500") == ["Pruned 0 jobs."]

    def test_an_open_question_is_kept(self, manage: Callable[..., list[str]], chat: Chat) -> None:
        job = chat.say(workflow="ask")
        age(job, days=400)
        assert manage("queue_prune") == ["Pruned 0 jobs."]
        assert chat.say("Ann").response == "Hello Ann."

    def test_a_conversation_goes_as_a_whole(
        self, manage: Callable[..., list[str]], chat: Chat
    ) -> None:
        first, last = chat.say(workflow="ask"), chat.say("Ann")
        assert last.root == first
        age(first, days=31)
        assert manage("queue_prune") == ["Pruned 0 jobs."]
        age(last, days=31)
        assert manage("queue_prune") == ["Pruned 2 jobs."]

    def test_a_failure_that_is_being_retried_is_kept(
        self, manage: Callable[..., list[str]], chat: Chat
    ) -> None:
        job = chat.say(workflow="fail")
        age(job, days=31)
        services.retry(job)
        assert manage("queue_prune") == ["Pruned 0 jobs."]

    def test_batches(
        self, manage: Callable[..., list[str]], chat: Chat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "BATCH", 2)
        kept = chat.say(workflow="ask")
        age(kept, days=99)
        for number in range(5):
            age(Chat(chat.user, f"s{number}").say(workflow="echo"), days=40 + number)
        assert manage("queue_prune") == ["Pruned 5 jobs."]
        assert list(Job.objects.all()) == [kept]

    @pytest.mark.django_db(transaction=True)
    def test_each_batch_commits_before_the_next(
        self, manage: Callable[..., list[str]], chat: Chat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "BATCH", 2)
        for number in range(5):
            age(Chat(chat.user, f"s{number}").say(workflow="echo"), days=40 + number)
        left: list[int] = []

        def rest(seconds: float) -> None:
            assert 0 < seconds <= pruning.LONGEST_REST
            if connection.in_atomic_block:
                # Everybody else who writes would wait for it.
                assert connection.vendor != "sqlite"
            else:
                left.append(Job.objects.count())

        # Not time.sleep itself: threads of earlier tests may be sleeping too.
        clock = SimpleNamespace(monotonic=time.monotonic, sleep=rest)
        monkeypatch.setattr(pruning, "time", clock)
        assert manage("queue_prune") == ["Pruned 5 jobs."]
        assert left == [3, 1]

    @pytest.mark.postgresql
    @pytest.mark.django_db(transaction=True)
    def test_it_rests_after_each_statement_in_proportion_to_what_that_took(
        self, chat: Chat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        age(chat.say(workflow="echo"), days=40)
        now, asked, rests = [0.0], [], []

        def rest(seconds: float) -> None:
            rests.append(seconds)
            now[0] += seconds

        def work(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            asked.append(sql)
            now[0] += 0.001
            return execute(sql, *rest)

        monkeypatch.setattr(pruning, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=rest))
        for rows in (figures, usage_figures):
            monkeypatch.setattr(rows, "catch_up", lambda _: None)
        with connection.execute_wrapper(work):
            assert pruning.prune(30) == 1
        # The clock comes before the transactions, two looks for old figures and these behind them.
        assert [sql.split()[2] for sql in asked[-5:]] == [
            '"workflows_cluster"',
            '"workflows_dailyusage"',
            '"workflows_usagefigures"',
            '"workflows_usagesums"',
            '"workflows_deletedsession"',
        ]
        assert rests == [pytest.approx(pruning.REST * 0.001)] * (len(asked) - 8)

    def test_what_lives_goes_on(
        self, manage: Callable[..., list[str]], chat: Chat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Batches around a running job, an open question and a retry take what is over only."""
        monkeypatch.setattr(pruning, "BATCH", 1)
        asking, failing, running = (Chat(chat.user, key) for key in ("asks", "fails", "runs"))
        asked, failed = asking.say(workflow="ask"), failing.say(workflow="fail")
        over = [running.say(workflow="echo") for _ in range(2)]
        running.send("still here", workflow="echo")
        at_work = claimed()
        retry = services.retry(failed)
        for days, job in enumerate((over[0], asked, failed, over[1]), start=31):
            age(job, days)
        assert manage("queue_prune") == ["Pruned 2 jobs."]
        assert set(Job.objects.all()) == {asked, failed, retry, at_work}
        runner.run(at_work, interruptible=False)
        at_work.refresh_from_db()
        assert at_work.response == "still here"
        assert asking.say("Ann").response == "Hello Ann."
        retry.refresh_from_db()
        assert (retry.state, retry.root) == (State.FAILED, failed)

    @pytest.mark.postgresql  # SQLite has one writer: everybody waits for a batch there.
    @pytest.mark.usefixtures("unkept")
    @pytest.mark.django_db(transaction=True)
    def test_nobody_waits_for_a_batch(self, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
        """Within one session: what is over is being deleted, and a job runs, and messages come."""
        age(chat.say(workflow="echo"), days=31)
        chat.send(workflow="echo")
        at_work = claimed()
        delete = pruning._delete

        def live(number: int) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            events.append(at_work.pk, at_work.attempt, Event.Type.PROGRESS, progress=10)
            chat.send(workflow="echo")
            lifecycle.end(at_work, Outcome(State.COMPLETED, response="done"))

        def delete_beside(jobs: list[int]) -> None:
            delete(jobs)
            assert at_once(1, live) == [None]

        monkeypatch.setattr(pruning, "_delete", delete_beside)
        assert pruning.prune(30) == 1
        assert Job.objects.filter(state=State.QUEUED).count() == 1

    def test_a_batch_that_is_kept_does_not_end_it(
        self, manage: Callable[..., list[str]], chat: Chat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "BATCH", 2)
        moment = timezone.now() - timedelta(days=40)
        for number in range(4):
            asked = Chat(chat.user, f"s{number}").say(workflow="ask")
            Job.objects.filter(pk=asked.pk).update(finished_at=moment)
        last = chat.say(workflow="echo")
        Job.objects.filter(pk=last.pk).update(finished_at=moment)
        assert manage("queue_prune") == ["Pruned 1 job."]

    def test_no_foreign_key_makes_it_read_a_whole_table(self, db: None) -> None:
        """The database looks for what refers to a deleted job: by an index, and all of the rows."""
        served: dict[str, bool] = {}
        for field in pointing_at(Job):
            table, column = field.model._meta.db_table, field.column
            with connection.cursor() as cursor:
                found = connection.introspection.get_constraints(cursor, table)
            whole = [index for name, index in found.items() if name not in conditional(field.model)]
            leading = [each["columns"][0] for each in whole if each["index"] or each["unique"]]
            served[f"{table}.{column}"] = column in leading
        assert [name for name, is_served in served.items() if not is_served] == []
        assert {"workflows_event.job_id", "workflows_session.open_job_id"} < served.keys()

    def test_the_rows_of_clusters_that_were_killed(self, manage: Callable[..., list[str]]) -> None:
        now = timezone.now()
        for hours in (1, 25):
            seen_at = now - timedelta(hours=hours)
            Cluster.objects.create(host="here", pid=hours, workers=1, seen_at=seen_at)
        manage("queue_prune")
        assert Cluster.objects.get().pid == 1

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("unkept")
    @pytest.mark.django_db(transaction=True)
    def test_what_somebody_else_holds_is_skipped(self, chat: Chat) -> None:
        """A retry that is not committed yet keeps the prune from its job, and does not stop it."""
        first, second = chat.say(workflow="fail"), chat.say(workflow="fail")
        age(first, days=31)
        age(second, days=31)
        with somebody_else() as cursor:
            cursor.execute("SELECT 1 FROM workflows_job WHERE id = %s FOR KEY SHARE", [first.pk])
            assert pruning.prune(30) == 1
        assert Job.objects.get() == first

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("unkept")
    @pytest.mark.django_db(transaction=True)
    def test_a_turn_that_somebody_else_holds_keeps_its_conversation(self, chat: Chat) -> None:
        """Else who retries that turn and the prune would each wait for what the other has."""
        first, last = chat.say(workflow="ask"), chat.say("Ann")
        other_chat = Chat(chat.user, "other")
        for days, job in ((33, first), (31, last), (32, other_chat.say(workflow="echo"))):
            age(job, days)
        with somebody_else() as cursor:
            cursor.execute("SELECT 1 FROM workflows_job WHERE id = %s FOR UPDATE", [last.pk])
            assert pruning.prune(30) == 1
            cursor.execute("SELECT 1 FROM workflows_job WHERE id = %s FOR UPDATE", [first.pk])
        assert pruning.prune(30) == 2

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("unkept")
    @pytest.mark.django_db(transaction=True)
    def test_it_waits_for_nobody_s_lock(self, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who deletes a session holds its messages, and would like to have the jobs then."""
        monkeypatch.setattr(pruning, "BATCH", 1)
        first, second = chat.say(workflow="echo"), chat.say(workflow="echo")
        age(first, days=32)
        age(second, days=31)
        with somebody_else() as cursor:
            cursor.execute(
                "SELECT 1 FROM workflows_message WHERE job_id = %s FOR UPDATE", [first.pk]
            )
            assert pruning.prune(30) == 1
        assert Job.objects.get() == first
        assert first.events.exists()

    @pytest.mark.postgresql
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("state", ["40P01", "57014"])
    def test_a_conflict_does_not_stop_it(
        self, chat: Chat, monkeypatch: pytest.MonkeyPatch, state: str
    ) -> None:
        monkeypatch.setattr(pruning, "BATCH", 1)
        for key in ("s", "t"):
            age(Chat(chat.user, key).say(workflow="echo"), days=31)
        delete, errors = pruning._delete, [make_refusal(state)]

        def flaky(jobs: list[int]) -> None:
            if jobs and errors:
                raise errors.pop()
            delete(jobs)

        monkeypatch.setattr(pruning, "_delete", flaky)
        assert pruning.prune(30) == 1
        # The other one is left for another day.
        assert pruning.prune(30) == 1

    @pytest.mark.postgresql
    @pytest.mark.django_db(transaction=True)
    def test_a_search_that_takes_too_long_each_time_ends(
        self, chat: Chat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: Any) -> None:
            raise make_refusal("57014")

        monkeypatch.setattr(pruning, "_lock_ended", refuse)
        assert pruning.prune(30) == 0

    def test_who_is_told_of_deleted_jobs_is_told(self, chat: Chat) -> None:
        """A project's own models and receivers are the ORM's business."""
        job = chat.say(workflow="echo")
        age(job, days=31)
        told: list[Any] = []

        def receive(instance: Job, **kwargs: Any) -> None:
            told.append(instance.public_id)

        pre_delete.connect(receive, sender=Job)
        try:
            assert pruning.prune(30) == 1
        finally:
            pre_delete.disconnect(receive, sender=Job)
        assert told == [job.public_id]
        assert not Event.objects.exists()
        assert set(Message.objects.values_list("job", flat=True)) == {None}


class TestTable:
    def test_it_works(self) -> None:
        assert console.table(["name", "n"], [("a", 1), ("bb", 10)]).splitlines() == [
            "name   n",
            "----  --",
            "a      1",
            "bb    10",
        ]

    def test_nothing_steers_the_terminal(self) -> None:
        assert console.printable("a\x1b[31m\tb\x07\nsecond line") == "a [31m b "
        assert console.printable("  \n") == ""
        assert console.printable("x" * 90) == "x" * 79 + "…"

    def test_wide_letters(self) -> None:
        assert console.width("表e\u0301") == 3
