"""The backend, as the documentation of django.tasks describes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from chatflow.workflows import clock
from chatflow.workflows.models import TaskRun
from chatflow.workflows.store import task_runs
from chatflow.workflows.tasks import interface, is_used, queues, results, running
from chatflow.workflows.tasks.backend import Backend
from chatflow.workflows.tasks.interface import (
    InvalidTask,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
)
from tests.workflows.tasks import errands

pytestmark = pytest.mark.django_db

ME = "me.1"


def run_next() -> TaskRun | None:
    run = task_runs.claim((), ME)
    if run is not None:
        running.run(run)
    return run


def finished(result: "TaskResult[..., Any]") -> "TaskResult[..., Any]":
    """Run what was enqueued, and return its result, as another process sees it."""
    assert run_next() is not None
    return result.task.get_backend().get_result(result.id)


def test_it_works() -> None:
    before = clock.now()
    result = errands.add.enqueue(1, second=2)
    assert isinstance(result.task.get_backend(), Backend)
    assert (result.status, result.args, result.kwargs) == ("READY", [1], {"second": 2})
    assert (result.started_at, result.finished_at, result.worker_ids) == (None, None, [])
    assert not result.is_finished
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value
    assert run_next() is not None
    result.refresh()
    assert errands.done == [(1, 2)]
    assert (result.status, result.return_value, result.errors) == ("SUCCESSFUL", 3, [])
    assert (result.worker_ids, result.attempts) == ([ME], 1)
    times = [before, result.enqueued_at, result.started_at, result.finished_at]
    assert times == sorted(filter(None, times))
    assert result.last_attempted_at == result.started_at


def test_any_process_finds_the_result_by_its_id() -> None:
    enqueued = errands.add.enqueue(1)
    found = errands.add.get_result(enqueued.id)
    assert found == enqueued
    with pytest.raises(Exception, match=r"Task does not match"):
        errands.fail.get_result(enqueued.id)


def test_an_unknown_id() -> None:
    with pytest.raises(TaskResultDoesNotExist):
        errands.add.get_result("task_unknown")


async def test_the_async_twins(transactional_db: None) -> None:
    enqueued = await errands.add.aenqueue(1, 1)
    assert (await errands.add.aget_result(enqueued.id)).status == TaskResultStatus.READY
    with pytest.raises(TaskResultDoesNotExist):
        await errands.add.aget_result("task_unknown")


def test_it_is_enqueued_with_the_callers_transaction_or_not_at_all() -> None:
    with transaction.atomic():
        errands.add.enqueue(1)
        transaction.set_rollback(True)
    assert not TaskRun.objects.exists()


def test_a_coroutine_function() -> None:
    assert finished(errands.wait_and_add.enqueue(1, 2)).return_value == 3


def test_a_coroutine_function_that_asks_the_database(alice: User) -> None:
    assert finished(errands.count_users.enqueue()).return_value == 1


def test_a_task_that_takes_its_context() -> None:
    result = finished(errands.look.enqueue("word"))
    assert result.return_value == ["word", 1, result.id, "RUNNING"]


def test_a_task_that_raises() -> None:
    result = finished(errands.fail.enqueue("Not that."))
    assert result.status == TaskResultStatus.FAILED
    assert result.is_finished
    (error,) = result.errors
    assert error.exception_class is ValueError
    assert "raise ValueError(" in error.traceback
    assert r"Not that.\x00\ud800" in error.traceback
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


def test_a_task_that_raises_what_would_end_the_worker() -> None:
    (error,) = finished(errands.leave.enqueue()).errors
    assert error.exception_class is SystemExit


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [("object", TypeError), ("nan", ValueError), ("nul", ValueError), ("half", ValueError)],
)
def test_a_task_that_returns_what_cannot_be_stored(kind: str, refusal: type) -> None:
    (error,) = finished(errands.give_back.enqueue(kind)).errors
    assert error.exception_class is refusal


@pytest.mark.parametrize("value", [object(), {1, 2}, datetime.now(UTC)])
def test_arguments_that_are_not_json(value: Any) -> None:
    with pytest.raises(TypeError):
        errands.add.enqueue(value)
    assert not TaskRun.objects.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "a\x00b", {"\udfff": 1}])
def test_arguments_that_no_database_stores(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        errands.echo.enqueue([value])
    assert not TaskRun.objects.exists()


def test_values_come_back_as_json() -> None:
    result = errands.echo.enqueue((1, {"a": (2,)}))
    assert result.args == [[1, {"a": [2]}]]
    assert finished(result).return_value == [1, {"a": [2]}]


def test_priorities_and_order() -> None:
    for priority in (0, -100, 100, 0):
        errands.add.using(priority=priority).enqueue(priority, TaskRun.objects.count())
    while run_next():
        pass
    assert errands.done == [(100, 2), (0, 0), (0, 3), (-100, 1)]


@pytest.mark.parametrize("priority", [-101, 101, 0.5])
def test_other_priorities(priority: Any) -> None:
    with pytest.raises(InvalidTask):
        errands.add.using(priority=priority)


def test_a_task_for_later() -> None:
    moment = timezone.now() + timedelta(hours=1)
    result = errands.add.using(run_after=moment).enqueue(1)
    assert result.task.run_after == moment
    assert run_next() is None
    TaskRun.objects.update(run_after=timezone.now() - timedelta(seconds=1))
    assert finished(result).return_value == 1


def test_queues() -> None:
    errands.add.using(queue_name="slow").enqueue(1)
    errands.add.enqueue(2)
    assert task_runs.claim(["other"], ME) is None
    first, second = task_runs.claim(["slow", "default"], ME), task_runs.claim(["default"], ME)
    assert first is not None
    assert second is not None
    assert (first.args, second.args) == ([1], [2])


@pytest.mark.parametrize("name", ["unknown", ""])
def test_a_queue_that_is_not_one_of_queues(name: str) -> None:
    with pytest.raises(InvalidTask):
        errands.add.using(queue_name=name)


def test_the_name_of_a_queue_fits_into_its_column(settings: Any) -> None:
    settings.TASKS = {"default": settings.TASKS["default"] | {"QUEUES": []}}
    errands.add.using(queue_name="x" * 50).enqueue(1)
    with pytest.raises(InvalidTask):
        errands.add.using(queue_name="x" * 51)


def test_a_task_that_cannot_be_found_by_its_name() -> None:
    with pytest.raises(InvalidTask):
        errands.hidden.enqueue()
    assert not TaskRun.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        "tests.workflows.tasks.errands.plain",
        "tests.workflows.tasks.errands.not_a_task",
        "tests.workflows.tasks.errands.gone",
        "tests.workflows.tasks.errands.done",
        "os.getcwd",
        "nowhere",
    ],
)
def test_a_row_can_call_nothing_but_tasks(path: str) -> None:
    errands.add.enqueue(1)
    TaskRun.objects.update(path=path, args=[])
    run = run_next()
    assert run is not None
    run.refresh_from_db()
    assert run.status == TaskResultStatus.FAILED
    assert run.errors[0]["exception_class_path"] == "chatflow.workflows.exceptions.UnknownTask"
    assert errands.done == []
    with pytest.raises(TaskResultDoesNotExist, match="no task at"):
        errands.add.get_result(run.public_id)


def test_a_backend_that_is_gone(settings: Any) -> None:
    default = settings.TASKS["default"]
    settings.TASKS = {"default": default, "other": default}
    result = errands.add.using(backend="other").enqueue(1)
    settings.TASKS = {"default": default}
    run = run_next()
    assert run is not None
    run.refresh_from_db()
    assert run.status == TaskResultStatus.FAILED
    assert run.errors[0]["exception_class_path"] == "chatflow.workflows.exceptions.UnknownTask"
    assert "other" in run.errors[0]["traceback"]
    assert errands.done == []
    with pytest.raises(TaskResultDoesNotExist, match="other"):
        errands.add.get_result(result.id)


def test_a_module_that_can_not_be_imported_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    errands.add.enqueue(1)

    def fail(path: str) -> Any:
        raise RuntimeError("at import")

    monkeypatch.setattr(results, "import_string", fail)
    run = run_next()
    assert run is not None
    run.refresh_from_db()
    assert run.status == TaskResultStatus.FAILED
    assert "RuntimeError: at import" in run.errors[0]["traceback"]


def test_signals() -> None:
    seen: list[tuple[str, str, str]] = []
    signals = ("task_enqueued", "task_started", "task_finished")

    def note(name: str) -> Any:
        def receiver(sender: type, task_result: "TaskResult[..., Any]", **_: Any) -> None:
            assert sender is Backend
            seen.append((name, task_result.id, task_result.status))

        return receiver

    receivers = {name: note(name) for name in signals}
    for name, receiver in receivers.items():
        getattr(interface, name).connect(receiver)
    try:
        good, bad = errands.add.enqueue(1), errands.fail.enqueue("no")
        run_next()
        run_next()
    finally:
        for name, receiver in receivers.items():
            getattr(interface, name).disconnect(receiver)
    assert seen == [
        ("task_enqueued", good.id, "READY"),
        ("task_enqueued", bad.id, "READY"),
        ("task_started", good.id, "RUNNING"),
        ("task_finished", good.id, "SUCCESSFUL"),
        ("task_started", bad.id, "RUNNING"),
        ("task_finished", bad.id, "FAILED"),
    ]


@pytest.mark.parametrize("name", ["task_started", "task_finished"])
def test_a_receiver_that_raises_does_the_task_no_harm(name: str) -> None:
    def receiver(**_: Any) -> None:
        raise RuntimeError

    signal = getattr(interface, name)
    signal.connect(receiver)
    try:
        assert finished(errands.add.enqueue(1)).return_value == 1
    finally:
        signal.disconnect(receiver)


def test_whether_it_is_used(settings: Any) -> None:
    assert is_used()
    assert queues() == {"default", "slow"}
    settings.TASKS = {}
    assert not is_used()
    name = interface.BaseTaskBackend.__module__.replace("base", "dummy")
    settings.TASKS = {"default": {"BACKEND": f"{name}.DummyBackend"}}
    assert not is_used()
    del settings.TASKS
    assert not is_used()
    assert queues() == set()
