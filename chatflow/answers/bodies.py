"""The API's answers: each shape beside the function that makes it of rows.

The OpenAPI schema is read from these types (schema.py), and mypy holds the functions to
them: an answer that differs from its schema doesn't pass the checks. DRF's serializers would see to
that at each answer anew, for 0.2 ms of a send and 0.6 ms of a status; a type costs nothing then.

A class ``XBody`` is shown as X. Its docstring goes into the schema, and so do the text and the
Shown of an ``Annotated``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict, cast

from django.urls import reverse
from rest_framework.request import Request

from chatflow.auth import sign_link
from chatflow.dialects import get_dialect
from chatflow.wire.addresses import placed
from chatflow.wire.moments import iso
from chatflow.wire.problems import ErrorBody
from chatflow.workflows import services
from chatflow.workflows.dialogue.actions import has_expired
from chatflow.workflows.knowledge.models import Attachment
from chatflow.workflows.models import ApprovalRequest, Job, Message, State
from chatflow.workflows.services.conversations import Conversation

# Characters of a message that stand in the list of jobs.
TEXT_LENGTH = 200
CANCELLED = "The job was cancelled."
BEING_PROCESSED = "Your request is being processed..."
# The HTTP status of a sync send, by its job's final state.
SYNC_STATUS = {State.COMPLETED: 200, State.FAILED: 500, State.TIMEOUT: 504, State.CANCELLED: 409}

JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What else the schema says of a text, beside its type."""

    format: str | None = None
    enum: tuple[str, ...] | None = None


Moment = Annotated[str, Shown(format="date-time")]
URL = Annotated[str, Shown(format="uri")]


class AwaitingBody(TypedDict):
    """The answer that the workflow waits for."""

    kind: Annotated[str, Shown(enum=("text", "choice", "confirm", "approval", "form"))]
    prompt: str
    choices: NotRequired[list[JSON]]
    optional: bool
    anything: NotRequired[Annotated[bool, "Any message is the answer, also a question."]]
    schema: NotRequired[Annotated[JSON, "JSON schema of what is filled in."]]
    approval_id: NotRequired[str]
    details: NotRequired[JSON]
    expires_at: NotRequired[Moment]


class LinksBody(TypedDict):
    stream_url: URL
    status_url: URL


def links(request: Request, job: Job, issued: datetime | None = None) -> LinksBody:
    """Return the absolute URLs at which anybody who has them may watch the job, for a while."""
    token = sign_link(job, issued)

    def link(name: str) -> str:
        return request.build_absolute_uri(
            f"{reverse(f'chatflow:{name}', args=[job.public_id])}?token={token}"
        )

    return {"stream_url": link("stream"), "status_url": link("status")}


# "async" can't be the name of an attribute.
AsyncBody = TypedDict("AsyncBody", {"async": bool})


class StartedBody(AsyncBody, LinksBody):
    """An async send's answer."""

    success: bool
    job_id: str
    status: str
    message: str
    session_id: str


def started(request: Request, job: Job) -> StartedBody:
    """Return the seed's answer to an async send."""
    return {
        "success": True,
        "async": True,
        "job_id": job.public_id,
        "status": "processing",
        "message": BEING_PROCESSED,
        **links(request, job),
        "session_id": job.session.key,
    }


class MetadataBody(TypedDict):
    """What else is known of an answer."""

    workflow: str
    cut_off: NotRequired[Annotated[bool, "The model had no room for the rest of it."]]
    broken_off: NotRequired[Annotated[bool, "The job ended in the middle of it."]]
    reasoning: NotRequired[Annotated[str, "What the model thought before it; shortened."]]


# Without one of them an answer's metadata says nothing that isn't known otherwise.
TELLING = {"cut_off", "broken_off", "reasoning"}


def marks(job: Job) -> MetadataBody | None:
    """Return the metadata of an answer; None where there is nothing to say."""
    return cast(MetadataBody, job.metadata) if TELLING & job.metadata.keys() else None


class OutcomeBody(TypedDict):
    response: str
    actions: list[JSON]
    sources: list[JSON]
    awaiting: NotRequired[AwaitingBody]
    metadata: NotRequired[MetadataBody]


def outcome(job: Job) -> OutcomeBody:
    result: OutcomeBody = {
        "response": job.response,
        "actions": placed(job.actions),
        "sources": placed(job.sources),
    }
    if job.awaiting:
        result["awaiting"] = job.awaiting
    if metadata := marks(job):
        result["metadata"] = metadata
    return result


def failure(job: Job) -> tuple[str, str]:
    """Return the outcome of a job that did not complete: its error and its code."""
    if job.state == State.CANCELLED:
        return job.error or CANCELLED, job.code or "cancelled"
    return job.error or "The workflow failed.", job.code or job.state


class ResultBody(OutcomeBody):
    """A sync send's answer."""

    success: bool
    session_id: str
    job_id: str


def finished(job: Job) -> ResultBody | ErrorBody:
    """Return the answer to a sync send; its HTTP status is SYNC_STATUS's."""
    session, name = job.session.key, job.public_id
    if job.state == State.COMPLETED:
        return {"success": True, **outcome(job), "session_id": session, "job_id": name}
    error, code = failure(job)
    return {"success": False, "error": error, "code": code, "session_id": session, "job_id": name}


class SummaryBody(TypedDict):
    """Where a job stands, without what it said."""

    job_id: str
    session_id: str
    workflow: str
    status: Annotated[str, Shown(enum=("processing", "completed", "failed", "timeout"))]
    state: Annotated[str, Shown(enum=tuple(State))]
    progress: int
    message: str
    updated_at: Moment
    created_at: Moment
    attempt: int
    last_event_id: int
    error: NotRequired[str]
    code: NotRequired[str]


def summary(job: Job) -> SummaryBody:
    body: SummaryBody = {
        "job_id": job.public_id,
        "session_id": job.session.key,
        "workflow": job.workflow,
        "status": get_dialect().status(job.state),
        "state": job.state,
        "progress": job.progress,
        "message": job.progress_message or BEING_PROCESSED,
        "updated_at": iso(job.updated_at),
        "created_at": iso(job.created_at),
        "attempt": job.attempt,
        "last_event_id": job.last_seq,
    }
    if job.is_unsuccessful:
        body["error"], body["code"] = failure(job)
    return body


class ListedBody(SummaryBody):
    text: Annotated[
        str, "The words that began the conversation with the workflow; empty with `memory: false`."
    ]


def listed(job: Job) -> ListedBody:
    first = job.root or job
    # What was sent under `memory: false` is not kept, but for the job itself.
    text = first.text[:TEXT_LENGTH] if first.options.get("memory", True) else ""
    return {**summary(job), "text": text}


class StatusDataBody(SummaryBody):
    """All that a poller wants to know of a job."""

    queue_position: NotRequired[int]
    response: NotRequired[str]
    actions: NotRequired[list[JSON]]
    sources: NotRequired[list[JSON]]
    awaiting: NotRequired[AwaitingBody]
    metadata: NotRequired[MetadataBody]
    usage: NotRequired[JSON]


class StatusBody(TypedDict):
    success: bool
    data: StatusDataBody


def status(job: Job) -> StatusBody:
    # Where a job stands, and more.
    data = cast(StatusDataBody, summary(job))
    position = services.queue_position(job)
    if position is not None:
        data["queue_position"] = position
    if job.state == State.COMPLETED:
        data = {**data, **outcome(job)}
    elif metadata := marks(job):
        data["metadata"] = metadata
    if job.usage:
        data["usage"] = job.usage
    return {"success": True, "data": data}


class StoppedBody(TypedDict):
    success: bool
    cancelled: Annotated[int, "How many jobs were told to stop."]


class FileBody(TypedDict):
    """A file that was sent with a message; without id and url once it is deleted."""

    id: Annotated[str | None, Shown(format="uuid")]
    name: str
    type: str
    size: Annotated[int, "In bytes."]
    url: str | None


def file(row: Attachment) -> FileBody:
    key = str(row.document_id) if row.document_id else None
    url = reverse("chatflow:file", args=[key]) if key else None
    return {"id": key, "name": row.name, "type": row.kind, "size": row.size, "url": url}


class SessionJobBody(TypedDict):
    job_id: str
    state: Annotated[str, Shown(enum=tuple(State))]
    workflow: str


def session_job(job: Job) -> SessionJobBody:
    return {"job_id": job.public_id, "state": job.state, "workflow": job.workflow}


class ConversationBody(TypedDict):
    """A conversation as its owner's list shows it."""

    session_id: str
    title: Annotated[str, "The owner's own, or the first words."]
    created_at: Moment
    updated_at: Moment
    pinned: bool
    unread: Annotated[bool, "A job has ended in it since its owner read it."]
    active_job: SessionJobBody | None
    awaiting: Annotated[str | None, "The kind of answer that is wanted."]
    last_job_id: str | None
    last_state: str | None
    excerpt: NotRequired[Annotated[str, "The place that was searched for."]]


def conversation(row: Conversation) -> ConversationBody:
    session, active, last = row.session, row.active, row.last
    return {
        "session_id": session.key,
        "title": row.title,
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
        "pinned": session.pinned,
        "unread": session.unread,
        "active_job": session_job(active) if active is not None else None,
        "awaiting": row.awaiting,
        "last_job_id": last.public_id if last is not None else None,
        "last_state": last.state if last is not None else None,
    }


class MessageBody(TypedDict):
    role: Annotated[str, Shown(enum=tuple(Message.Role))]
    content: str
    actions: list[JSON]
    sources: list[JSON]
    files: NotRequired[list[FileBody]]
    awaiting: NotRequired[AwaitingBody]
    metadata: NotRequired[MetadataBody]
    error: NotRequired[str]
    code: NotRequired[str]
    job_id: str | None
    created_at: Moment


def message(row: Message, used: Collection[str] = ()) -> MessageBody:
    """Return a message; *used* are the ids of the actions that can't be used any more."""
    job = row.job
    body: MessageBody = {
        "role": row.role,
        "content": row.content,
        "actions": [
            {**action, "state": action_state(action, used)} for action in placed(row.actions)
        ],
        "sources": placed(row.sources),
        "job_id": job.public_id if job is not None else None,
        "created_at": iso(row.created_at),
    }
    if files := list(row.attachments.all()):
        body["files"] = [file(each) for each in sorted(files, key=lambda each: each.position)]
    if job is None:
        return body
    if row.role == Message.Role.ASSISTANT and job.awaiting:
        body["awaiting"] = job.awaiting
    metadata = marks(job)
    if row.role == Message.Role.ASSISTANT and metadata:
        body["metadata"] = metadata
    # A failed job has no answer: its question says so.
    if row.role == Message.Role.USER and job.is_unsuccessful:
        body["error"], body["code"] = failure(job)
    return body


def action_state(action: JSON, used: Collection[str]) -> str:
    if action.get("id") in used:
        return "used"
    return "expired" if has_expired(action) else "offered"


class ApprovalBody(TypedDict):
    """What is to be approved."""

    approval_id: str
    prompt: str
    details: JSON
    schema: NotRequired[Annotated[JSON, "JSON schema of the answer."]]
    workflow: str
    session_id: str
    job_id: str | None
    created_at: Moment
    expires_at: Moment


def approval(row: ApprovalRequest) -> ApprovalBody:
    body: ApprovalBody = {
        "approval_id": row.public_id,
        "prompt": row.prompt,
        "details": row.details,
        "workflow": row.workflow,
        "session_id": row.session.key,
        "job_id": row.job.public_id if row.job else None,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
    }
    if row.schema:
        body["schema"] = row.schema
    return body
