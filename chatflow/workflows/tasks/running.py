"""An attempt at a task: its lease, its call, and how it ended."""

import logging
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import Error as DatabaseError
from django.dispatch import Signal

from chatflow.workflows.db import connection
from chatflow.workflows.exceptions import UnknownTask, first_line
from chatflow.workflows.models import TaskRun, TaskStatus
from chatflow.workflows.running.event_writer import pauses
from chatflow.workflows.store import task_runs
from chatflow.workflows.store.lifecycle import heartbeat_interval
from chatflow.workflows.store.outage import is_passing, on_live_connection
from chatflow.workflows.tasks.interface import (
    InvalidTask,
    TaskContext,
    TaskResult,
    normalize_json,
    task_finished,
    task_started,
)
from chatflow.workflows.tasks.results import describe
from chatflow.workflows.tasks.values import check_storable, printable

logger = logging.getLogger(__name__)


def run(claimed: TaskRun) -> None:
    """Run a claimed task in this thread, and store how it ended.

    Whatever the task does, this returns: all that it raises is its failure, and so is what a worker
    raises in it to stop it.

    Raises:
        DatabaseError: its end can't be stored. The lease runs out, and another attempt follows.
    """
    try:
        with _lease_kept(claimed):
            value = _call(claimed)
    except BaseException as error:
        # The receivers of task_finished look for the exception where it is handled.
        _end(claimed, TaskStatus.FAILED, errors=[_describe_error(error)])
    else:
        _end(claimed, TaskStatus.SUCCESSFUL, return_value=value)


def _call(claimed: TaskRun) -> Any:
    """Call the task's function; return what it returned, as JSON."""
    result = describe(claimed)
    _send(task_started, result)
    context = [TaskContext(task_result=result)] if result.task.takes_context else []
    value = normalize_json(result.task.call(*context, *result.args, **result.kwargs))
    check_storable(value)
    return value


@contextmanager
def _lease_kept(claimed: TaskRun) -> Iterator[None]:
    """Renew the lease in a thread beside the task, however long that takes."""
    over = threading.Event()
    heartbeat = threading.Thread(
        target=_renew_until, args=(over, claimed), name="task-heartbeat", daemon=True
    )
    heartbeat.start()
    try:
        yield
    finally:
        over.set()
        heartbeat.join()


def _renew_until(over: threading.Event, claimed: TaskRun) -> None:
    try:
        while not over.wait(heartbeat_interval()) and _renew(claimed):
            pass
    finally:
        connection.close()


def _renew(claimed: TaskRun) -> bool:
    """Renew the lease; say whether there is still one to renew."""
    try:
        return on_live_connection(partial(task_runs.renew, claimed))
    except DatabaseError as error:
        logger.warning("%s: its lease can't be renewed (%s).", claimed, first_line(error))
        return True


def _describe_error(error: BaseException) -> dict[str, str]:
    kind = type(error)
    return {
        "exception_class_path": f"{kind.__module__}.{kind.__qualname__}",
        "traceback": printable("".join(traceback.format_exception(error))),
    }


def _end(claimed: TaskRun, status: TaskStatus, **outcome: Any) -> None:
    """Store the end and tell it, unless somebody else has the run by now."""
    if not _store_end(claimed, status, **outcome):
        logger.warning("%s: attempt %d doesn't own it any more.", claimed, claimed.attempt)
        return
    try:
        result = describe(claimed)
    except (UnknownTask, InvalidTask):
        # It failed for that very reason.
        return
    _send(task_finished, result)


def _store_end(claimed: TaskRun, status: TaskStatus, **outcome: Any) -> bool:
    """Store the end; while the database is away or in conflict, wait for it."""
    for pause in pauses():
        try:
            return task_runs.end(claimed, status, **outcome)
        except DatabaseError as error:
            if connection.in_atomic_block or not is_passing(error):
                raise
            connection.close()
            time.sleep(pause)
    raise AssertionError("An end was neither stored nor refused.")


def _send(signal: Signal, result: "TaskResult[..., Any]") -> None:
    """Send a signal; what its receivers raise is logged, and does the task no harm."""
    signal.send_robust(type(result.task.get_backend()), task_result=result)
