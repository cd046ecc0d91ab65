"""Rows as TaskResult, the interface's view of them."""

from typing import Any

from django.utils.module_loading import import_string

from chatflow.workflows.exceptions import UnknownTask
from chatflow.workflows.models import TaskRun
from chatflow.workflows.tasks.interface import (
    InvalidTaskBackend,
    Task,
    TaskError,
    TaskResult,
    TaskResultStatus,
)


def find_task(path: str) -> "Task[..., Any]":
    """Return the task at a dotted name. A row can name nothing else: no other function is called.

    Raises:
        UnknownTask: no task stands there.
    """
    try:
        found = import_string(path)
    except Exception as error:
        # A module that can't be imported may raise anything.
        raise UnknownTask(f"There is no task at {path}: {error}.") from error
    if not isinstance(found, Task):
        raise UnknownTask(f"There is no task at {path}, but something else.")
    return found


def describe(run: TaskRun) -> "TaskResult[..., Any]":
    """Return a run as its TaskResult.

    Raises:
        UnknownTask: its function is no task any more, or its backend is gone from TASKS.
        InvalidTask: TASKS doesn't allow it any more, as where its queue was taken out.
    """
    result = TaskResult(
        task=_find_variant(run),
        id=run.public_id,
        status=TaskResultStatus(run.status),
        enqueued_at=run.enqueued_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        last_attempted_at=run.last_attempted_at,
        args=run.args,
        kwargs=run.kwargs,
        backend=run.backend,
        errors=[TaskError(**error) for error in run.errors],
        worker_ids=list(run.worker_ids),
    )
    # As the interface's own backends do it: no argument is for it, and the class is frozen.
    object.__setattr__(result, "_return_value", run.return_value)
    return result


def _find_variant(run: TaskRun) -> "Task[..., Any]":
    """Return the run's task as it was enqueued, which may be a variant by ``using()``."""
    try:
        return find_task(run.path).using(
            priority=run.priority,
            queue_name=run.queue,
            run_after=run.run_after,
            backend=run.backend,
        )
    except InvalidTaskBackend as error:
        raise UnknownTask(str(error)) from error
