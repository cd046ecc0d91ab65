"""Tasks, an extension of MCP: a conversation with a workflow, which its client looks after.

A task has the public id of the job that began the conversation. A question and its answer are two
jobs of one task.
"""

from typing import Any

from rest_framework.request import Request

from chatflow.access.scopes import reach_of, visible_turns
from chatflow.answers import bodies, jsonrpc
from chatflow.answers.jsonrpc import Call, Fault
from chatflow.dialects.mcp import Mcp, answered, failed, stamped
from chatflow.endpoints import speaking
from chatflow.endpoints.mcp import elicitation
from chatflow.endpoints.mcp.protocol import MISSING_CAPABILITY, TASKS, Caller
from chatflow.wire.moments import iso
from chatflow.workflows import services
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import Job, State

JSON = dict[str, Any]

# Milliseconds between two looks.
POLL = 500


def begun(job: Job) -> JSON:
    """Return the task of a job that a call has begun, or of the conversation that it continues."""
    return {"resultType": "task", **_task(job.root or job, job), "status": "working"}


def get(request: Request, call: Call, caller: Caller) -> JSON:
    """Answer ``tasks/get``: how the task stands, with its result or its question."""
    root, latest = _find(request, call, caller)
    return {**_task(root, latest), **_standing(latest)}


def update(request: Request, call: Call, caller: Caller) -> JSON:
    """Answer ``tasks/update``: let the workflow have an answer, unless that came too late."""
    _, latest = _find(request, call, caller)
    responses = call.params.get("inputResponses")
    if not isinstance(responses, dict):
        raise Fault(jsonrpc.INVALID_PARAMS, "inputResponses must be an object.")
    if _asks(latest):
        response = responses.get(elicitation.key_of(latest))
        if response is not None:
            elicitation.take(request, latest, response)
    return {}


def cancel(request: Request, call: Call, caller: Caller) -> JSON:
    """Answer ``tasks/cancel``: stop the work, or drop the question; what has ended stays so."""
    _, latest = _find(request, call, caller)
    services.cancel(latest, reach=reach_of(request))
    return {}


def _find(request: Request, call: Call, caller: Caller) -> tuple[Job, Job]:
    """Return a task's first job and its latest.

    Raises:
        Fault: there is no such task of the user's, or the caller doesn't know what a task is.
    """
    if not caller.has_tasks:
        data: JSON = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        raise Fault(MISSING_CAPABILITY, "Missing required client capability", data)
    try:
        root = _root(request, call.params.get("taskId"))
    except JobNotFound:
        raise Fault(jsonrpc.INVALID_PARAMS, "There is no such task.") from None
    # One query: whether the question is open belongs to it.
    latest = visible_turns(request, root.pk).select_related("session", "user").order_by("pk").last()
    return root, latest or root


def _root(request: Request, task_id: Any) -> Job:
    job = speaking.job_called(request, task_id)
    if job.root_id is not None:
        raise JobNotFound
    return job


def _task(root: Job, latest: Job) -> JSON:
    return {
        "taskId": root.public_id,
        "ttlMs": None,
        "pollIntervalMs": POLL,
        "createdAt": iso(root.created_at),
        "lastUpdatedAt": iso(latest.updated_at),
    }


def _asks(job: Job) -> bool:
    """Say whether the job's question is open."""
    return bool(job.awaiting) and job.session.open_job_id == job.pk


def _standing(job: Job) -> JSON:
    """Return what depends on how the task's latest job stands."""
    if _asks(job):
        return {"status": "input_required", "inputRequests": elicitation.requests(job)}
    if job.awaiting:
        # The question was dropped.
        return {"status": "cancelled"}
    status = Mcp.status(job.state)
    if status in ("completed", "failed"):
        # As a task "failed" is for errors of the protocol; the tool has answered, with an error.
        return {"status": "completed", "result": _result(job)}
    line = {"statusMessage": job.progress_message} if job.progress_message else {}
    return {"status": status, **line}


def _result(job: Job) -> JSON:
    about = {"session_id": job.session.key, "job_id": job.public_id}
    if job.state == State.COMPLETED:
        return stamped(answered(bodies.outcome(job), **about))
    return stamped(failed(*bodies.failure(job), **about))
