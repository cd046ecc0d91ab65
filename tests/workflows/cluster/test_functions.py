"""Which functions django-q2's tasks, schedules and hooks may call."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from django_q.scheduler import scheduler
from django_q.tasks import async_task
from django_q.worker import worker

from chatflow.workflows import checks
from chatflow.workflows.cluster.fetch import STOP, Results, task_package
from tests.configure import configure
from tests.workflows.cluster.test_fetch import Timer

pytestmark = pytest.mark.django_db(transaction=True)

HERE = "tests.workflows.cluster.test_functions"
ran: list[Any] = []


def note(*args: Any) -> str:
    ran.append(args)
    return "noted"


@pytest.fixture(autouse=True)
def _nothing_ran(settings: Any) -> Iterator[None]:
    configure(settings, TASK_FUNCTIONS=[f"{HERE}.note"])
    ran.clear()
    yield
    ran.clear()


def work() -> None:
    class UntilEmpty:
        def get(self) -> Any:
            return task_package() or STOP

    worker(UntilEmpty(), Results(), Timer())


@pytest.mark.parametrize("function", [note, f"{HERE}.note"])
def test_it_works(function: Any) -> None:
    async_task(function, 1, save=True)
    work()
    assert ran == [(1,)]
    assert Success.objects.get().func == f"{HERE}.note"


@pytest.mark.parametrize("function", ["os.system", "builtins.exec", f"{HERE}.ran.append", print])
def test_another_function_is_not_called(function: Any, capfd: Any) -> None:
    """Nor is its module imported. The task fails, and says why."""
    async_task(function, "echo called")
    work()
    failure = Failure.objects.get()
    assert "is not one of TASK_FUNCTIONS" in failure.result
    assert "called\n" not in capfd.readouterr().out
    assert ran == []
    assert not OrmQ.objects.exists()


def test_by_default_there_are_none(settings: Any) -> None:
    configure(settings, TASK_FUNCTIONS=[])
    async_task(note)
    work()
    assert ran == []


def test_a_schedule_runs_nothing_else() -> None:
    """Whoever wrote its row."""
    due = timezone.now() - timedelta(seconds=5)
    for name in ("os.system", f"{HERE}.note"):
        Schedule.objects.create(func=name, args="'echo called'", next_run=due)
    scheduler(get_broker())
    work()
    assert ran == [("echo called",)]
    assert Failure.objects.get().func == "os.system"


def test_a_chain_runs_nothing_else() -> None:
    async_task(
        note, 1, chain=[("os.system", ("echo called",))], group="g", cached=False, sync=False
    )
    work()
    assert ran == [(1,)]


def test_hooks_too() -> None:
    async_task(note, 1, hook=f"{HERE}.note", save=True)
    async_task(note, 2, hook="os.abort", save=True)
    work()
    [[first], [hooked], [second]] = ran
    assert (first, second) == (1, 2)
    assert isinstance(hooked, Task)
    assert Success.objects.count() == 2


def test_a_stored_hook_is_not_called_by_saving(caplog: pytest.LogCaptureFixture) -> None:
    now = timezone.now()
    Task(id="a" * 32, name="a", func="f", hook="os.abort", started=now, stopped=now).save()
    assert "os.abort is not one of TASK_FUNCTIONS" in caplog.text


def test_a_name_of_no_function_is_warned_of(settings: Any) -> None:
    """The site starts: a task may be left over from a function that is gone, and fails alone."""
    configure(settings, TASK_FUNCTIONS=[f"{HERE}.note", "nope.fn", "math.nope", "math"])
    found = checks.check_task_functions(None)
    assert [each.msg.split("'")[1] for each in found] == ["nope.fn", "math.nope", "math"]
    assert not any(each.is_serious() for each in found)
