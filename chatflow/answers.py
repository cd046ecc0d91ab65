"""What the API answers: pure functions from rows to JSON."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.urls import reverse
from rest_framework.request import Request

from chatflow.auth import sign_link
from chatflow.dialects import get_dialect
from chatflow.moments import iso
from workflows import offers, services
from workflows.actions import has_expired
from workflows.models import ApprovalRequest, Job, Message, Session, State

# Characters of a message that stand in the list of jobs.
TEXT_LENGTH = 200
CANCELLED = "The job was cancelled."
# The HTTP status of a sync send, by what became of its job.
SYNC_STATUS = {State.COMPLETED: 200, State.FAILED: 500, State.TIMEOUT: 504, State.CANCELLED: 409}


def links(request: Request, job: Job, issued: datetime | None = None) -> dict[str, str]:
    """Return the absolute URLs at which anybody who has them may watch the job, for a while."""
    token = sign_link(job, issued)

    def link(name: str) -> str:
        return request.build_absolute_uri(f"{reverse(name, args=[job.public_id])}?token={token}")

    return {"stream_url": link("stream"), "status_url": link("status")}


def started(request: Request, job: Job) -> dict[str, Any]:
    """Return the seed's answer to an async send."""
    return {
        "success": True,
        "async": True,
        "job_id": job.public_id,
        "status": "processing",
        "message": "Your request is being processed...",
        **links(request, job),
        "session_id": job.session.key,
    }


def finished(job: Job) -> dict[str, Any]:
    """Return the answer to a sync send; its HTTP status is SYNC_STATUS's."""
    where = {"session_id": job.session.key, "job_id": job.public_id}
    if job.state != State.COMPLETED:
        return {"success": False, **failure(job), **where}
    return {"success": True, **outcome(job), **where}


def outcome(job: Job) -> dict[str, Any]:
    result = {"response": job.response, "actions": job.actions, "sources": job.sources}
    return {**result, "awaiting": job.awaiting} if job.awaiting else result


def failure(job: Job) -> dict[str, str]:
    if job.state == State.CANCELLED:
        return {"error": job.error or CANCELLED, "code": job.code or "cancelled"}
    return {"error": job.error or "The workflow failed.", "code": job.code or job.state}


def summary(job: Job) -> dict[str, Any]:
    """Return where a job stands, without what it said."""
    return {
        "job_id": job.public_id,
        "session_id": job.session.key,
        "workflow": job.workflow,
        "status": get_dialect().status(job.state),
        "state": job.state,
        "progress": job.progress,
        "message": job.progress_message or "Your request is being processed...",
        "updated_at": iso(job.updated_at),
        "created_at": iso(job.created_at),
        "attempt": job.attempt,
        "last_event_id": job.last_seq,
        **(failure(job) if job.is_unsuccessful else {}),
    }


def listed(job: Job) -> dict[str, Any]:
    """Return where a job stands, and the words that began its conversation with the workflow."""
    return {**summary(job), "text": (job.root or job).text[:TEXT_LENGTH]}


def status(job: Job) -> dict[str, Any]:
    """Return all that a poller wants to know of a job."""
    data = summary(job)
    position = services.queue_position(job)
    if position is not None:
        data["queue_position"] = position
    if job.state == State.COMPLETED:
        data.update(outcome(job))
    if job.usage:
        data["usage"] = job.usage
    return {"success": True, "data": data}


def message(row: Message, used: Collection[str] = ()) -> dict[str, Any]:
    """Return a message; *used* are the ids of the actions that can't be used any more."""
    job = row.job
    asked = job.awaiting if job is not None and row.role == Message.Role.ASSISTANT else None
    # What failed has no answer: its question says so.
    failed = job is not None and row.role == Message.Role.USER and job.is_unsuccessful
    return {
        "role": row.role,
        "content": row.content,
        "actions": [{**action, "state": state(action, used)} for action in row.actions],
        "sources": row.sources,
        **({"awaiting": asked} if asked else {}),
        **(failure(job) if job is not None and failed else {}),
        "job_id": job.public_id if job is not None else None,
        "created_at": iso(row.created_at),
    }


def state(action: dict[str, Any], used: Collection[str]) -> str:
    if action.get("id") in used:
        return "used"
    return "expired" if has_expired(action) else "offered"


def approval(row: ApprovalRequest) -> dict[str, Any]:
    """Return what is to be approved."""
    return {
        "approval_id": row.public_id,
        "prompt": row.prompt,
        "details": row.details,
        **({"schema": row.schema} if row.schema else {}),
        "workflow": row.workflow,
        "session_id": row.session.key,
        "job_id": row.job.public_id if row.job else None,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
    }


def history(
    session: Session,
    messages: Iterable[Message],
    active_job: dict[str, Any] | None,
) -> dict[str, Any]:
    rows = list(messages)
    used = offers.used(row.job for row in rows if row.job is not None)
    return {
        "success": True,
        "session_id": session.key,
        "messages": [message(row, used) for row in rows],
        "active_job": active_job,
        "awaiting": session.open_job.awaiting if session.open_job else None,
    }
