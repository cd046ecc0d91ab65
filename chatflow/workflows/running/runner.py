"""The only place where a workflow executes."""

import asyncio
import contextvars
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.db import Error as DatabaseError
from django.db import connections

from chatflow.conf import conf
from chatflow.workflows import clock
from chatflow.workflows.db import connection, in_atomic_block
from chatflow.workflows.exceptions import (
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
from chatflow.workflows.models import Job, State
from chatflow.workflows.registry import Workflow, get_workflow
from chatflow.workflows.running import journal, misuse, observed, watchdog
from chatflow.workflows.running.attempt import Attempt
from chatflow.workflows.running.context import Context, Reply
from chatflow.workflows.running.event_writer import RECONNECT, Bring, pauses
from chatflow.workflows.running.lanes import Lanes
from chatflow.workflows.running.model_requests import describe_answer
from chatflow.workflows.running.ownership import cancel_tasks, owned_by
from chatflow.workflows.running.record import Record
from chatflow.workflows.running.routing import hand_over, reroute
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.store.outage import (
    database_stayed,
    despite_conflicts,
    is_outage,
    is_passing,
)
from chatflow.workflows.store.shown import read_words

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds that a web process waits for a database that is away; its client waits too.
INLINE_PATIENCE = 10.0

FAILED = watchdog.FAILED
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
    # Nothing that the caller has in its context reaches the workflow, such as the prefix of a
    # request's addresses, or that of FORCE_SCRIPT_NAME: links are stored without one.
    return contextvars.Context().run(_run, job, interruptible=interruptible)


def _run(job: Job, *, interruptible: bool) -> Outcome | None:
    with observed.attempt(job), _watched(Attempt(job)) as attempt:
        started = _start(attempt, interruptible=interruptible)
        return _conclude(started, _call) if isinstance(started, Run) else started


async def arun(job: Job, lanes: Lanes, bring: Bring) -> Outcome | None:
    """Run a claimed job whose workflow is a coroutine function, beside others. See run().

    Args:
        job: as claimed.
        lanes: the threads for what isn't async.
        bring: brings words to the shared pen.
    """
    with observed.attempt(job), _watched(Attempt(job)) as attempt:
        # Others may keep the lanes busy.
        started = await lanes.call(_start, attempt, interruptible=False, bring=bring)
        if not isinstance(started, Run):
            return started
        if await lanes.call(started.try_open):
            with owned_by(attempt):
                work = asyncio.ensure_future(_await_in_lanes(started, lanes))
            if not await _is_done(work, attempt):
                logger.error("%s did not stop when it was told to; its code goes on.", job)
                return None
        else:
            work = None
        return await lanes.call(_conclude, started, lambda _: work.result() if work else None)


@contextmanager
def _watched(attempt: Attempt) -> Iterator[Attempt]:
    """Have the watchdog mind an attempt: to start it and to store its end may take long as well."""
    if not in_atomic_block():
        # Else nobody but this thread sees the claim yet: the watchdog would take it for lost.
        watchdog.get_watchdog().watch(attempt)
    try:
        yield attempt
    finally:
        watchdog.get_watchdog().unwatch(attempt)


class Run:
    """An attempt under way, from its start to its conclusion.

    Args:
        workflow: the function to run, as registered.
        attempt: the running one.
        bring: brings words to a shared pen, where there is one.
    """

    def __init__(self, workflow: Workflow, attempt: Attempt, bring: Bring | None = None) -> None:
        self.job = attempt.job
        self.workflow = workflow
        self.attempt = attempt
        self._bring = bring
        self._context: Context | None = None
        self._error: Exception | None = None

    @property
    def context(self) -> Context:
        """The workflow's argument. Read from the database the first time."""
        if self._error is not None:
            raise self._error
        if self._context is None:
            self._context = despite_conflicts(self._read_context)
        return self._context

    def try_open(self) -> bool:
        """Read the context; say whether it could be read. If not, it raises from now on."""
        try:
            return self.context is not None
        except Exception as error:
            self._error = error
            return False

    def _read_context(self) -> Context:
        return Context(Record(self.job, self.workflow, self.attempt, self._bring))


def _start(
    attempt: Attempt, *, interruptible: bool, bring: Bring | None = None
) -> Run | Outcome | None:
    """Return the job's run; or its outcome, as from run(), where it can't be begun."""
    job = attempt.job
    try:
        reroute(job)
        workflow = get_workflow(job.workflow)
    except UnknownWorkflow as error:
        return _end(job, Outcome(State.FAILED, code=error.code, error=str(error)))
    except Exception as error:
        # Also of an author's function that makes a unique key.
        return _unrouted(job, error)
    attempt.begin(workflow.max_execution_time, interruptible=interruptible)
    journal.tell_start(job)
    return Run(workflow, attempt, bring)


def _conclude(run: Run, call: Callable[[Run], Any]) -> Outcome | None:
    """Call the workflow, and record how the attempt ends.

    Args:
        run: as started.
        call: returns the workflow's answer, or raises what it raised.
    """
    job, attempt = run.job, run.attempt
    try:
        # An answer that can't be stored is the workflow's failure as well.
        return _end(job, _annotate(_execute(run, call), attempt))
    except (AttemptLost, Fenced):
        if attempt.interruptible:
            _renew_connection()
        logger.warning("%s: attempt %d lost its lease and stopped.", job, job.attempt)
        return None
    except HandedOver as handed:
        return _hand_over(job, handed.workflow)
    except ShuttingDown:
        if attempt.interruptible:
            _renew_connection()
        _give_back(job)
        return None
    except Exception as error:
        return _failed(job, run.workflow, error)


def _execute(run: Run, call: Callable[[Run], Any]) -> Outcome:
    attempt = run.attempt
    try:
        with watchdog.running(attempt):
            record = run.context.record
            try:
                answer = call(run)
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
            run.context.calls.check(answer, record.text)
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
    except SynchronousOnlyOperation as error:
        raise misuse.explain(error, run.context) from error
    except Exception:
        raise
    except BaseException as error:
        # SystemExit, CancelledError and their like would take the worker with them.
        raise RuntimeError(f"The workflow raised {type(error).__name__}.") from error


def _call(run: Run) -> Any:
    """Call the workflow in this thread. A coroutine's loop is in another, its sync parts here."""
    # It may have been cancelled while it was routed.
    run.attempt.check()
    if not run.workflow.is_async:
        return run.workflow.function(run.context)
    return async_to_sync(_await, force_new_loop=True)(run)


async def _await(run: Run) -> Any:
    work = asyncio.ensure_future(run.workflow.function(run.context))
    _cancel_by_its_loop(run.attempt, work)
    try:
        return await work
    finally:
        run.attempt.cancel = None


async def _await_in_lanes(run: Run, lanes: Lanes) -> Any:
    async with lanes.context():
        try:
            return await run.workflow.function(run.context)
        finally:
            await cancel_tasks(run.attempt)


def _cancel_by_its_loop(attempt: Attempt, work: "asyncio.Future[Any]") -> None:
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        # The loop may be closed when the work is done.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(work.cancel)

    attempt.cancel_by(cancel)


async def _is_done(work: "asyncio.Future[Any]", attempt: Attempt) -> bool:
    """Wait for the work; say whether it was done, or the watchdog has ended the job without it."""
    loop = asyncio.get_running_loop()
    abandoned = asyncio.Event()

    def abandon() -> None:
        loop.call_soon_threadsafe(abandoned.set)

    attempt.abandon = abandon
    _cancel_by_its_loop(attempt, work)
    given_up = asyncio.ensure_future(abandoned.wait())
    await asyncio.wait({work, given_up}, return_when=asyncio.FIRST_COMPLETED)
    given_up.cancel()
    return work.done()


def _annotate(outcome: Outcome, attempt: Attempt) -> Outcome:
    """Tell the admin where the workflow has blocked its worker."""
    if not attempt.blocked:
        return outcome
    return replace(outcome, traceback=f"{attempt.blocked}\n{outcome.traceback}".rstrip())


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
        # Its sentence is for the user, and may be in their words.
        logger.info("%s failed as %s.", job, error.code)
        failed = Outcome(State.FAILED, code=error.code, error=str(error), traceback=details)
        if isinstance(error, AIBrokeOff):
            # They were taken back for the sake of another answer, which didn't come.
            failed = replace(failed, partial=read_words(job) + error.words)
        return _end(job, failed)
    logger.error("%s: %s raised.", job, job.workflow, exc_info=error)
    delay = workflow.backoff[min(job.failures, len(workflow.backoff) - 1)]
    if _may_try_again(job, workflow, delay):
        _give_back(job, failures=1, delay=delay, details=details)
        return None
    code = getattr(error, "code", "workflow_failed")
    code = code if isinstance(code, str) else "workflow_failed"
    return _end(job, Outcome(State.FAILED, code=code, error=FAILED, traceback=details))


def _unrouted(job: Job, error: Exception) -> Outcome | None:
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
    if alone and job.lost + 1 >= conf.WORKFLOW_TRIES:
        outcome = Outcome(State.FAILED, code="connection_lost", error=CUT_OFF, lost=1)
        return _end(job, replace(outcome, traceback=details))
    _give_back(job, lost=int(alone), delay=RECONNECT if alone else 0, details=details)
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
    ended = _persist(job, lambda: lifecycle.end(job, outcome))
    if ended is not None:
        observed.end(job, ended)
        journal.tell_end(job, ended)
    return ended


def _give_back(
    job: Job, *, delay: float = 0, lost: int = 0, failures: int = 0, details: str = ""
) -> None:
    def give_back() -> bool:
        lifecycle.give_back(job, delay=delay, lost=lost, failures=failures, inline=job.inline)
        return True

    if _persist(job, give_back):
        journal.tell_return(job, details)


def _hand_over(job: Job, name: str) -> Outcome | None:
    def over() -> bool:
        hand_over(job, name)
        return True

    try:
        if _persist(job, over):
            journal.tell_handover(job)
        return None
    except AlreadyQueued as error:
        # As it would have been refused at the send, had it named the workflow.
        return _end(job, Outcome(State.COMPLETED, response=str(error)))
    except DatabaseError:
        raise
    except Exception as error:
        return _unrouted(job, error)


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
