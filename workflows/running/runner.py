"""The only place where a workflow executes."""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, connections

from workflows import clock
from workflows.exceptions import (
    AIBrokeOff,
    AlreadyQueued,
    AttemptLost,
    Fenced,
    HandedOver,
    Interrupt,
    ShuttingDown,
    TurnEnded,
    UnknownWorkflow,
    WorkflowError,
    first_line,
)
from workflows.models import Job, State
from workflows.registry import Workflow, get_workflow
from workflows.running import watchdog
from workflows.running.attempt import Attempt
from workflows.running.context import Context, Reply
from workflows.running.event_writer import RECONNECT, pauses
from workflows.running.model_requests import describe_answer
from workflows.running.record import Record
from workflows.running.routing import hand_over, reroute
from workflows.store import lifecycle
from workflows.store.lifecycle import Outcome
from workflows.store.outage import database_stayed, despite_conflicts, is_outage, is_passing
from workflows.store.shown import read_words

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds that a web process waits for a database that is away; its client waits too.
INLINE_PATIENCE = 10.0

FAILED = "The workflow failed. The error has been logged."
CUT_OFF = "The database cut its connection too often while it worked on this request."


def run(job: Job, *, interruptible: bool) -> Outcome | None:
    """Run a claimed job to its end, or give it back to the queue.

    Whatever the workflow does, this returns: an exception becomes the job's failure. Only a lost
    database can keep the end from being recorded; then the lease runs out, and another attempt
    resumes the job.

    Args:
        job: as claimed.
        interruptible: this is the main thread of a worker, where a signal can stop the workflow.

    Returns:
        How the job ended; None if it did not, or was ended by somebody else.
    """
    try:
        reroute(job)
        workflow = get_workflow(job.workflow)
    except UnknownWorkflow as error:
        return _end(job, Outcome(State.FAILED, code=error.code, error=str(error)))
    except DatabaseError as error:
        return _unrouted(job, error)
    attempt = Attempt(job, workflow.max_execution_time, interruptible=interruptible)
    try:
        # An answer that can't be stored is the workflow's failure as well.
        return _end(job, _execute(job, workflow, attempt))
    except (AttemptLost, Fenced):
        if interruptible:
            _renew_connection()
        logger.warning("%s: attempt %d lost its lease and stopped.", job, job.attempt)
        return None
    except HandedOver as handed:
        return _hand_over(job, handed.workflow)
    except ShuttingDown:
        if interruptible:
            _renew_connection()
        _give_back(job)
        return None
    except Exception as error:
        return _failed(job, workflow, error)
    finally:
        watchdog.get_watchdog().unwatch(attempt)


def _execute(job: Job, workflow: Workflow, attempt: Attempt) -> Outcome:
    try:
        with watchdog.running(attempt):
            record = despite_conflicts(lambda: Record(job, workflow, attempt))
            context = Context(record)
            try:
                answer = _call(workflow, context)
            except TurnEnded:
                record.events.flush()
                raise
            except Interrupt:
                raise
            except BaseException:
                # Code may have turned its interruption into an error of its own,
                attempt.check()
                record.events.flush()
                raise
            # or have swallowed it.
            attempt.check()
            record.close()
            return _completed(answer, record)
    except TurnEnded as turn:
        return Outcome(State.COMPLETED, response=turn.prompt, awaiting=turn.awaiting)
    except (AttemptLost, HandedOver, ShuttingDown):
        raise
    except Interrupt as interrupt:
        if attempt.interruptible:
            # It may have struck in the middle of a query, which leaves the connection unusable.
            _renew_connection()
        return watchdog.outcome_of(interrupt, attempt.limit)
    except Exception:
        raise
    except BaseException as error:
        # SystemExit, CancelledError and their like would take the worker with them.
        raise RuntimeError(f"The workflow raised {type(error).__name__}.") from error


def _call(workflow: Workflow, context: Context) -> Any:
    if not workflow.is_async:
        return workflow.function(context)

    async def call() -> Any:
        # A thread of its own for the run's sync parts: runs don't wait for each other's.
        async with ThreadSensitiveContext():
            try:
                return await workflow.function(context)
            finally:
                # Not connection.close itself: that would be this thread's connection.
                await sync_to_async(_renew_connection)()

    return asyncio.run(call())


def _completed(answer: Any, record: Record) -> Outcome:
    if answer is None:
        answer = record.text
    if isinstance(answer, str):
        answer = Reply(answer)
    if not isinstance(answer, Reply):
        raise TypeError(f"A workflow returns ctx.reply(…) or a string, not {type(answer).__name__}")
    if not isinstance(answer.text, str):
        raise TypeError(f"The text of a reply is a string, not {type(answer.text).__name__}")
    # actions: false asks for an answer without next moves.
    actions = answer.actions if record.job.options.get("actions", True) else []
    return Outcome(
        State.COMPLETED,
        response=answer.text,
        actions=[action.public for action in actions],
        offers={action.id: action.full for action in actions},
        sources=answer.sources,
        metadata=describe_answer(record),
    )


def _failed(job: Job, workflow: Workflow, error: Exception) -> Outcome | None:
    """Fail the job, or try again where the workflow wants that."""
    details = "".join(traceback.format_exception(error))
    if is_outage(error):
        return _cut_off(job, error, details)
    if isinstance(error, WorkflowError):
        logger.info("%s failed: %s", job, error)
        failed = Outcome(State.FAILED, code=error.code, error=str(error), traceback=details)
        if isinstance(error, AIBrokeOff):
            # They were taken back for the sake of another answer, which didn't come.
            failed = replace(failed, partial=read_words(job) + error.words)
        return _end(job, failed)
    logger.error("%s: %s raised.", job, job.workflow, exc_info=error)
    delay = workflow.backoff[min(job.failures, len(workflow.backoff) - 1)]
    if _may_try_again(job, workflow, delay):
        _give_back(job, failures=1, delay=delay)
        return None
    code = getattr(error, "code", "workflow_failed")
    code = code if isinstance(code, str) else "workflow_failed"
    return _end(job, Outcome(State.FAILED, code=code, error=FAILED, traceback=details))


def _unrouted(job: Job, error: DatabaseError) -> Outcome | None:
    """Give back a job that could not be routed; fail it where another attempt would be in vain."""
    if is_passing(error):
        logger.warning("%s could not be routed (%s).", job, first_line(error))
        _give_back(job, delay=RECONNECT)
        return None
    logger.error("%s could not be routed.", job, exc_info=error)
    details = "".join(traceback.format_exception(error))
    return _end(job, Outcome(State.FAILED, code="workflow_failed", error=FAILED, traceback=details))


def _cut_off(job: Job, error: Exception, details: str) -> Outcome | None:
    """Give the job back: it takes no harm of an outage.

    Where the database was there for everybody else, it was the workflow's own query that broke the
    connection, or idled in a transaction. That counts as a lost worker: it can't go on for ever.
    """
    logger.warning("%s: the database went away (%s).", job, first_line(error))
    alone = not connection.in_atomic_block and _stayed(job, error)
    if alone and job.lost + 1 >= settings.WORKFLOW_TRIES:
        outcome = Outcome(State.FAILED, code="connection_lost", error=CUT_OFF, lost=1)
        return _end(job, replace(outcome, traceback=details))
    _give_back(job, lost=int(alone), delay=RECONNECT if alone else 0)
    return None


def _stayed(job: Job, error: Exception) -> bool:
    # Others' connections may be breaking at this very moment.
    time.sleep(RECONNECT)
    return job.claimed_at is not None and database_stayed(error, job.claimed_at)


def _may_try_again(job: Job, workflow: Workflow, delay: float) -> bool:
    if workflow.retry_until is not None:
        until = job.created_at + timedelta(seconds=workflow.retry_until)
        return clock.now() + timedelta(seconds=delay) < until
    return job.failures + 1 < workflow.tries


def _end(job: Job, outcome: Outcome) -> Outcome | None:
    return _persist(job, lambda: lifecycle.end(job, outcome))


def _give_back(job: Job, *, delay: float = 0, lost: int = 0, failures: int = 0) -> None:
    def give_back() -> None:
        lifecycle.give_back(job, delay=delay, lost=lost, failures=failures, inline=job.inline)

    _persist(job, give_back)


def _hand_over(job: Job, name: str) -> Outcome | None:
    try:
        return _persist(job, lambda: hand_over(job, name))
    except AlreadyQueued as error:
        # As it would have been refused at the send, had it named the workflow.
        return _end(job, Outcome(State.COMPLETED, response=str(error)))


def _persist(job: Job, transition: Callable[[], T]) -> T | None:
    """Record the end of an attempt; while the database is away or in conflict, wait for it.

    A transition whose confirmation was lost is found done when it is tried again, and stays.
    """
    give_up_at = time.monotonic() + INLINE_PATIENCE
    for pause in pauses():
        try:
            return transition()
        except Fenced:
            logger.warning("%s: attempt %d doesn't own it any more.", job, job.attempt)
            return None
        except DatabaseError as error:
            # A transaction of the caller's is lost with its connection.
            if connection.in_atomic_block or not is_passing(error):
                raise
            if job.inline and time.monotonic() >= give_up_at:
                raise
            _renew_connection()
            time.sleep(pause)
    raise AssertionError("A transition neither returned nor raised.")


def _renew_connection() -> None:
    """Let the next query open a new connection."""
    connection.close()
    if connection.in_atomic_block:
        # It struck while a transaction was being entered, which nothing will ever leave.
        del connections[connection.alias]
