"""An attempt at a task: its lease, and its end."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError

from chatflow.workflows.models import TaskRun, TaskStatus
from chatflow.workflows.running import event_writer
from chatflow.workflows.store import lifecycle, task_runs
from chatflow.workflows.tasks import running
from tests.workflows.chat import NET
from tests.workflows.faults import make_outage
from tests.workflows.tasks import errands

pytestmark = pytest.mark.django_db(transaction=True)

ME = "me.1"


@pytest.fixture
def run() -> TaskRun:
    """A task in whose middle something happens, as a worker has claimed it."""
    errands.interrupted.enqueue()
    run = task_runs.claim((), ME)
    assert run is not None
    return run


def interrupt(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    monkeypatch.setattr(errands, "interruption", act)


def row() -> TaskRun:
    return TaskRun.objects.get()


def test_its_lease_is_renewed_while_it_runs(run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "heartbeat_interval", lambda: 0.001)
    renewed = threading.Event()
    leases: list[datetime | None] = []
    renew = running._renew

    def renew_and_tell(claimed: TaskRun) -> bool:
        kept = renew(claimed)
        renewed.set()
        return kept

    def wait() -> None:
        leases.append(row().lease_until)
        renewed.clear()
        assert renewed.wait(NET)
        leases.append(row().lease_until)

    monkeypatch.setattr(running, "_renew", renew_and_tell)
    interrupt(monkeypatch, wait)
    running.run(run)
    before, after = filter(None, leases)
    assert before < after
    assert (row().status, row().return_value) == (TaskStatus.SUCCESSFUL, "to the end")
    assert "task-heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_a_heartbeat_rides_out_an_outage(
    run: TaskRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "heartbeat_interval", lambda: 0.001)
    renewed, renew, outages = threading.Event(), task_runs.renew, iter([make_outage()])

    def flaky(claimed: TaskRun) -> bool:
        for error in outages:
            raise error
        kept = renew(claimed)
        renewed.set()
        return kept

    monkeypatch.setattr(task_runs, "renew", flaky)
    interrupt(monkeypatch, lambda: renewed.wait(NET))
    running.run(run)
    assert renewed.is_set()
    assert "can't be renewed" in caplog.text
    assert row().status == TaskStatus.SUCCESSFUL


def test_an_attempt_that_was_taken_back_stores_no_result(
    run: TaskRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(monkeypatch, lambda: lifecycle.reap_worker(ME))
    running.run(run)
    assert (row().status, row().return_value) == (TaskStatus.READY, None)
    assert "attempt 1 doesn't own it any more" in caplog.text


def test_its_end_waits_for_a_database_that_is_away(
    run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_writer, "RECONNECT", 0.0)
    end, outages = task_runs.end, iter([make_outage(), make_outage()])

    def flaky(*args: Any, **outcome: Any) -> bool:
        for error in outages:
            raise error
        return end(*args, **outcome)

    monkeypatch.setattr(task_runs, "end", flaky)
    running.run(run)
    assert (row().status, row().return_value) == (TaskStatus.SUCCESSFUL, "to the end")


def test_an_end_that_the_database_refuses(run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **outcome: Any) -> bool:
        raise DatabaseError("no")

    monkeypatch.setattr(task_runs, "end", refuse)
    with pytest.raises(DatabaseError):
        running.run(run)
    assert row().status == TaskStatus.RUNNING
