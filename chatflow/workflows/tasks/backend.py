"""What ``TASKS`` names."""

from typing import Any, ParamSpec, TypeVar, cast

from chatflow.workflows.exceptions import UnknownTask
from chatflow.workflows.models import TaskRun
from chatflow.workflows.store import task_runs
from chatflow.workflows.tasks.interface import (
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
    task_enqueued,
)
from chatflow.workflows.tasks.results import describe
from chatflow.workflows.tasks.values import check_storable

P = ParamSpec("P")
T = TypeVar("T")

# The longest name of a queue, as the column has it.
LONGEST = TaskRun._meta.get_field("queue").max_length or 0


class Backend(BaseTaskBackend):
    """Has a project's tasks run by the cluster, each attempt under a lease."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: "Task[..., Any]") -> None:
        """Refuse a task that can't be run here.

        Raises:
            InvalidTask: see its words.
        """
        super().validate_task(task)
        if len(task.queue_name) > LONGEST:
            raise InvalidTask(f"The name of a queue has {LONGEST} characters at most.")

    def enqueue(self, task: "Task[P, T]", args: Any, kwargs: dict[str, Any]) -> "TaskResult[P, T]":
        """Store a task to be run, in the caller's transaction: both are committed, or neither.

        Args:
            task: as its module has it, or a variant by ``using()``.
            args: JSON; kwargs likewise.

        Returns:
            The result as it is now: its ``id`` finds it again.

        Raises:
            InvalidTask: it can't be run here, or can't be found by its dotted name.
            TypeError: an argument isn't JSON.
            ValueError: an argument can't be stored.
        """
        run = TaskRun(
            backend=self.alias,
            path=task.module_path,
            args=args,
            kwargs=kwargs,
            queue=task.queue_name,
            priority=task.priority,
            run_after=task.run_after,
        )
        try:
            result = cast("TaskResult[P, T]", describe(run))
        except UnknownTask as error:
            raise InvalidTask(str(error)) from error
        if result.task != task:
            raise InvalidTask(f"Another task stands at {task.module_path}.")
        run.args, run.kwargs = result.args, result.kwargs
        check_storable([run.args, run.kwargs])
        task_runs.enqueue(run)
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> "TaskResult[..., Any]":
        """Return the result of that id as it is now.

        Raises:
            TaskResultDoesNotExist: there is none, it was pruned, its function is no task any more,
                or its backend is gone from TASKS.
            InvalidTask: TASKS doesn't allow the task any more.
        """
        try:
            return describe(TaskRun.objects.get(public_id=result_id))
        except (TaskRun.DoesNotExist, UnknownTask) as error:
            raise TaskResultDoesNotExist(str(error)) from error
