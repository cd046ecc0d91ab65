"""SendMessage and SendStreamingMessage: a message begins a task, or answers its question."""

import json
import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from django.http import HttpResponse
from rest_framework.request import Request

from chatflow.access.scopes import own_jobs
from chatflow.answers.jsonrpc import Call, answered, failed
from chatflow.dialects import a2a
from chatflow.dialects.a2a import A2A
from chatflow.endpoints import speaking
from chatflow.endpoints.a2a import faults, tasks
from chatflow.endpoints.a2a.faults import invalid
from chatflow.endpoints.a2a.params import read_flag, read_number, read_object, read_text
from chatflow.endpoints.sends import hash_body, idempotency_key
from chatflow.streams import following
from chatflow.streams.of_job import HEADERS
from chatflow.workflows import clock
from chatflow.workflows.dialogue import answers
from chatflow.workflows.exceptions import QuestionClosed
from chatflow.workflows.models import Job
from chatflow.workflows.running.routing import is_answer
from chatflow.workflows.services.starts import IDEMPOTENCY_WINDOW

JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A message, as the params of a call have it.

    Args:
        params: they are what makes it the same message, if it is sent again.
        text: what it says.
        task: the id of the task whose question it answers; empty for a new one.
        context: the conversation; empty for a new one.
        workflow: the one that it begins; empty where its words decide.
        history: how many messages of the task are wanted with the answer.
        at_once: the answer isn't to wait for the work.
    """

    params: JSON
    text: str
    task: str
    context: str
    workflow: str
    history: int
    at_once: bool

    @classmethod
    def of(cls, params: JSON) -> Self:
        """Read a message.

        Raises:
            Fault: it isn't one, or asks for what is not offered.
            ValidationError: there are no words in it, or its conversation can't be called so.
        """
        message, wanted = read_object(params, "message"), read_object(params, "configuration")
        if not read_text(message, "messageId"):
            raise invalid("A message has a messageId.")
        if wanted.get("taskPushNotificationConfig") is not None:
            raise faults.make_fault(
                faults.PUSH_NOTIFICATION_NOT_SUPPORTED, "There are no push notifications here."
            )
        context = read_text(message, "contextId")
        return cls(
            params=params,
            text=speaking.check_text(_read_words(message)),
            task=read_text(message, "taskId"),
            context=speaking.check_session_key(context) if context else "",
            workflow=_read_workflow(params) or _read_workflow(message),
            history=read_number(wanted, "historyLength", 0),
            at_once=read_flag(wanted, "returnImmediately"),
        )


def _read_workflow(said: JSON) -> str:
    return read_text(read_object(said, "metadata"), "workflow")


def _read_words(message: JSON) -> str:
    parts = message.get("parts")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise invalid("A message has a list of parts, each of them an object.")
    texts = [read_text(part, "text") for part in parts if part.get("text") is not None]
    # What was filled in, for a form or an approval.
    filled = [json.dumps(part["data"]) for part in parts if part.get("data") is not None]
    if parts and not texts and not filled:
        raise faults.make_fault(
            faults.CONTENT_TYPE_NOT_SUPPORTED, "Only text and data are understood here."
        )
    return "\n".join(texts or filled[:1])


def send(request: Request, call: Call) -> HttpResponse:
    """Answer ``SendMessage``: with the task as it stands when the turn has ended."""
    sent = Sent.of(call.params)
    if not sent.at_once:
        following.check_room(request)
    turn, task_id = _say(request, sent)
    history = tasks.limit_history(request, sent.history)
    # Without the message: its client may wait for long.
    render = partial(_show, replace(call, params={}), turn.pk, task_id, history)
    return render() if sent.at_once else following.wait(request, turn, render)


def _show(call: Call, turn_id: int, task_id: str, history: int) -> HttpResponse:
    """Answer with the task as it stands now, at the turn whose primary key is *turn_id*."""
    turn = Job.objects.select_related("session", "root").filter(pk=turn_id).first()
    if turn is None:
        gone = faults.make_fault(faults.TASK_NOT_FOUND, "The task was deleted meanwhile.")
        return failed(call.id, gone)
    return answered(call, {"task": tasks.describe(turn, task_id, history)})


def send_streaming(request: Request, call: Call) -> HttpResponse:
    """Answer ``SendStreamingMessage``: with the task, and all that becomes of it in this turn."""
    sent = Sent.of(call.params)
    following.check_room(request)
    turn, task_id = _say(request, sent)
    dialect = A2A(turn, call.id, task_id)
    if turn.awaiting and tasks.state_of(turn) == a2a.CANCELED:
        # The message was that the question be dropped.
        dialect.standing = tasks.standing_of(turn, None)
        return HttpResponse(dialect.snapshot() + dialect.told(), headers=HEADERS)
    begun = dialect.snapshot()
    encoding, frames = following.encode(turn, dialect)
    return following.stream(request, turn, encoding, begun + b"".join(frames))


def _say(request: Request, sent: Sent) -> tuple[Job, str]:
    """Store the message; return the turn that it is, and the id by which the client knows the task.

    Raises:
        Fault: the task doesn't wait for a message.
        JobNotFound: there is no such task.
        All that speaking.say() raises.
    """
    wanted = speaking.wanted(request, sent.workflow)
    asking = _find_asking(request, sent)
    drops = asking is not None and answers.is_cancel(sent.text)
    turn = speaking.say(
        request,
        sent.text,
        session_key=asking.session.key if asking else sent.context or uuid.uuid4().hex,
        wanted=wanted,
        body_hash=hash_body(request, sent.params),
        answers_to=asking if asking and not drops and _takes_any_words(asking) else None,
        before_commit=partial(_check_asked, asking) if asking and not drops else None,
    ).job
    if drops:
        return tasks.find(request, sent.task), sent.task
    is_same = asking is not None and turn.conversation_id == asking.conversation_id
    return turn, sent.task if is_same else ""


def _takes_any_words(asking: Job) -> bool:
    """Say whether all words are an answer; what approves is said as in the chat."""
    return (asking.awaiting or {}).get("kind") != "approval"


def _check_asked(asking: Job, turn: Job) -> None:
    """See to it that an answer is the next turn of its task; else it would be said elsewhere.

    Raises:
        QuestionClosed: somebody was faster.
    """
    later = Job.objects.filter(root=asking.conversation_id, pk__gt=asking.pk)
    is_next = turn.root_id == asking.conversation_id and not later.exclude(pk=turn.pk).exists()
    if not (is_next or turn.waited) and is_answer(turn.text, asking):
        raise QuestionClosed


def _find_asking(request: Request, sent: Sent) -> Job | None:
    """Return the turn whose question the message answers; None where it names no task."""
    if not sent.task:
        return None
    asking = tasks.find(request, sent.task)
    if sent.context not in ("", asking.session.key):
        raise invalid("The task belongs to another context.")
    if tasks.state_of(asking) != a2a.INPUT_REQUIRED and not _was_said(request):
        sentence = "The task has ended." if asking.is_finished else "The task is being worked on."
        raise faults.make_fault(faults.UNSUPPORTED_OPERATION, sentence)
    return asking


def _was_said(request: Request) -> bool:
    """Say whether it may be a message that is sent once more, and was the answer."""
    key, since = idempotency_key(request), clock.now() - IDEMPOTENCY_WINDOW
    mine = own_jobs(request).filter(created_at__gte=since)
    return key is not None and mine.filter(idempotency_key=key).exists()
