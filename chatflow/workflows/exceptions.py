"""Chatflow's errors, by name. A leaf module: it imports nothing of Chatflow.

Errors carry a machine ``code`` and, as their text, one sentence that is safe to show to a client.
"""

import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured


class ChatflowError(Exception):
    """Something went wrong."""

    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().split("\n")[0])


# Errors that a client may get when it starts, watches or cancels a job.


class JobNotFound(ChatflowError):
    """There is no such job."""

    code = "not_found"


class UnknownWorkflow(ChatflowError):
    """There is no workflow of that name."""

    code = "unknown_workflow"


class UnknownQueue(ChatflowError):
    """No workflow and no task uses this queue, and no job waits in it."""

    code = "unknown_queue"


class FileNotFound(ChatflowError):
    """There is no such file of yours."""

    code = "invalid"


class SessionBusy(ChatflowError):
    """This session is still working on an earlier message."""

    code = "session_busy"


class AlreadyQueued(ChatflowError):
    """The same work is already queued or running."""

    code = "already_queued"


class IdempotencyConflict(ChatflowError):
    """This Idempotency-Key was used with another request body."""

    code = "idempotency_conflict"


class InProgress(ChatflowError):
    """The first request with this Idempotency-Key is still running."""

    code = "in_progress"


class NotRetryable(ChatflowError):
    """Only a job that failed, timed out or was cancelled can be retried."""

    code = "not_retryable"


class AlreadyRetried(NotRetryable):
    """This job was retried already; retry the newer job instead."""

    code = "already_retried"


class StillRunning(NotRetryable):
    """This job has not ended yet; cancel it first."""


class WentOn(NotRetryable):
    """The conversation went on after this job; retry its latest one instead."""


class StepNotFound(NotRetryable):
    """This job has no such step any more."""


class TokenRefused(ChatflowError):
    """This token may not do that."""

    code = "forbidden"


class ActionNotFound(ChatflowError):
    """There is no such action."""

    code = "not_found"


class MessageNotFound(ChatflowError):
    """There is no such message of yours in this conversation."""

    code = "not_found"


class ActionUsed(ChatflowError):
    """This action was used already."""

    code = "action_used"


class ActionExpired(ChatflowError):
    """This action has expired."""

    code = "action_expired"


class ApprovalNotFound(ChatflowError):
    """There is no such approval."""

    code = "not_found"


class ApprovalDecided(ChatflowError):
    """This was decided already."""

    code = "approval_decided"


class ApprovalExpired(ChatflowError):
    """The time to decide this is over."""

    code = "approval_expired"


class QuestionClosed(ChatflowError):
    """This question is not open any more."""

    code = "question_closed"


class InvalidForm(ChatflowError):
    """What was filled in is not what the form asks for.

    Args:
        errors: the mistakes, by field.
    """

    code = "invalid"

    def __init__(self, errors: dict[str, list[str]]) -> None:
        name, texts = next(iter(errors.items()))
        super().__init__(f"{name}: {texts[0]}")
        self.errors = errors


class CursorBeyondHead(ChatflowError):
    """The cursor is beyond the last event of this job."""

    code = "cursor_beyond_head"


# Errors that a workflow's author may raise or run into.


class WorkflowError(ChatflowError):
    """The workflow failed.

    Raise it in a workflow to fail the job at once with a sentence of your own: unlike any other
    exception's text, its message is shown to the client.

    Args:
        message: one sentence for the user.
        code: the machine word that goes with it.
    """

    code = "workflow_failed"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class WorkflowChanged(WorkflowError):
    """The workflow was changed while this job was under way, and can't go on where it was."""

    code = "workflow_changed"


class FileDeleted(WorkflowError):
    """A file of this message was deleted before it could be read."""

    code = "file_deleted"


class BudgetExceeded(WorkflowError):
    """The request needed more calls of the model than it may make."""

    code = "ai_budget"


class DailyBudgetExceeded(BudgetExceeded):
    """Your budget for the AI model is used up for today. Please try again tomorrow."""


class AIUnavailable(WorkflowError):
    """The AI model could not be reached. Please try again later."""

    code = "ai_unavailable"


class AIBrokeOff(AIUnavailable):
    """The AI model's answer broke off. Please try again.

    Args:
        words: those that came before, as the user has seen them.
    """

    def __init__(self, words: str = "") -> None:
        super().__init__()
        self.words = words


class AIUnusable(AIUnavailable):
    """The AI model gave no usable answer. Please try again, or ask in other words."""

    code = "ai_unusable"


class AIRejected(WorkflowError):
    """The AI model refused the request."""

    code = "ai_rejected"


class AIFiltered(AIRejected):
    """The AI model's content filter stopped the answer."""


class AITooLong(AIRejected):
    """This is too long for the AI model. Please start a new conversation or send less."""


class AIRateLimited(WorkflowError):
    """The AI model is too busy right now. Please try again in a while."""

    code = "ai_rate_limited"


class AIQuotaUsedUp(AIRateLimited):
    """This site's account with the AI model's provider is used up. Trying again doesn't help."""


class AIOffline(WorkflowError):
    """This needs a language model, and none is connected."""

    code = "ai_offline"


class ToolError(ChatflowError):
    """The tool could not do that.

    Raise it in a tool to tell the model why, in one sentence; it may call the tool otherwise, a few
    times. Any other exception in a tool is the workflow's.
    """

    code = "tool"


class UnknownTask(ChatflowError):
    """There is no task of that name."""

    code = "unknown_task"


class WorkersLost(ChatflowError):
    """The worker was lost too often while it worked on this task."""

    code = "worker_lost"


class StepResultError(ChatflowError):
    """A step returned something that can't be recorded. For the log: it names types and steps."""

    code = "step_result"


class InvalidAction(ChatflowError):
    """A workflow offered an action that is none. For the log: it names the action."""

    code = "invalid_action"


class WrongWorkflow(ImproperlyConfigured):
    """A workflow can't be registered as it is written.

    Its text is for the author: where the workflow is, what is wrong, and what to write instead.

    Args:
        mistake: what is wrong, and what to write instead; one sentence.
        filename: the file.
        lineno: the line of the function.
    """

    def __init__(self, mistake: str, filename: str, lineno: int) -> None:
        super().__init__(f"{filename}:{lineno}: {mistake}")
        # As a SyntaxError has them. Django's reloader watches the file for the correction.
        self.filename = filename
        self.lineno = lineno


class Fenced(Exception):
    """This attempt no longer owns its job: another one claimed it, or the job has ended."""


# How a running workflow is stopped. They pass through ``except Exception`` in a workflow's code.


class Interrupt(BaseException):
    """The workflow must stop now."""


class TurnEnded(Interrupt):
    """The workflow asked the user something: this job is done, the answer continues it.

    Args:
        prompt: the question, which becomes the job's response.
        awaiting: the answer wanted, in the shape of ``awaiting`` in a status response.
    """

    def __init__(self, prompt: str, awaiting: dict[str, Any]) -> None:
        super().__init__(prompt)
        self.prompt = prompt
        self.awaiting = awaiting


class HandedOver(Interrupt):
    """The message is for another workflow: the same job begins anew as that one.

    Args:
        workflow: its name.
    """

    def __init__(self, workflow: str) -> None:
        super().__init__(workflow)
        self.workflow = workflow


class Cancelled(Interrupt):
    """Somebody cancelled the job.

    Args:
        code: ``cancelled``, or ``interrupted`` when a newer message took the job's place.
    """

    def __init__(self, code: str = "cancelled") -> None:
        super().__init__(code)
        self.code = code


class DeadlineExceeded(Interrupt):
    """The job ran longer than its workflow's max_execution_time."""


class LoopBlocked(Interrupt):
    """The workflow blocked its worker for too long: it was stopped.

    An ``async def`` workflow runs beside many others. It awaits what takes time, hands plain code
    to ``ctx.astep()`` or ``asyncio.to_thread()``, or is a plain ``def``, which has a worker to
    itself.
    """


class AttemptLost(Interrupt):
    """The lease was lost: somebody else owns the job now, so this attempt must not go on."""


class ShuttingDown(Interrupt):
    """The worker was told to stop: the job goes back to the queue."""


def advice(error: BaseException) -> str:
    """Return the first line of a database's error, with what to do where a table is missing."""
    line = first_line(error)
    is_missing = re.search("^no such (table|column)|(relation|column) .* does not exist", line)
    return f"{line}: run manage.py migrate" if is_missing else line


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, for a log that keeps to one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
