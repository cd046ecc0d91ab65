"""The workflows as tools: their list, and a call of one."""

from functools import partial
from typing import Any

from django.http import HttpResponse
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chatflow.access.scopes import reach_of
from chatflow.access.tenants import workflows_of
from chatflow.answers import jsonrpc
from chatflow.answers.errors import problem
from chatflow.answers.jsonrpc import Call, Fault
from chatflow.dialects.mcp import Mcp, failed
from chatflow.endpoints import speaking
from chatflow.endpoints.mcp import tasks
from chatflow.endpoints.mcp.hello import FRESH
from chatflow.endpoints.mcp.protocol import Caller
from chatflow.endpoints.sends import hash_body
from chatflow.streams import following
from chatflow.wire.serializers import make_session_id
from chatflow.workflows import services
from chatflow.workflows.exceptions import UnknownWorkflow
from chatflow.workflows.models import Job
from chatflow.workflows.registry import Workflow
from chatflow.workflows.services import Reach

JSON = dict[str, Any]

INPUT: JSON = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "What the user says."},
        "session_id": {
            "type": "string",
            "description": "The conversation, from an earlier result; else a new one.",
        },
    },
    "required": ["message"],
}
# What keeps a job from being begun, and the caller may mend: a tool's error, which a model reads.
MENDABLE = (400, 403, 404, 409)


def show(request: Request, call: Call, caller: Caller) -> JSON:
    """Answer ``tools/list``."""
    only = reach_of(request).workflow
    return {
        "tools": [_tool(each) for each in workflows_of(request) if only in ("", each.name)],
        **FRESH,
    }


def _tool(workflow: Workflow) -> JSON:
    return {
        "name": workflow.name,
        "title": workflow.title,
        "description": workflow.description,
        "inputSchema": INPUT,
    }


def call(request: Request, call: Call, caller: Caller) -> JSON | HttpResponse:
    """Answer ``tools/call``: with a task, or by the stream of the work.

    Raises:
        Fault: there is no such tool, or its arguments are none.
    """
    name: Any = call.params.get("name")
    wanted, arguments = _wanted(request, name), call.params.get("arguments", {})
    if not isinstance(arguments, dict):
        raise Fault(jsonrpc.INVALID_PARAMS, "The arguments of a tool are an object.")
    if not caller.has_tasks:
        following.check_room(request)
    try:
        job = _begin(request, name, wanted, arguments)
    except Exception as error:
        found = problem(error)
        if found.status not in MENDABLE:
            raise
        return failed(found.error, found.code)
    return tasks.begun(job) if caller.has_tasks else _stream(request, call, caller, job)


def _wanted(request: Request, name: Any) -> speaking.Wanted:
    only = reach_of(request).workflow
    try:
        if not isinstance(name, str) or not name or only not in ("", name):
            raise UnknownWorkflow
        return speaking.wanted(request, name)
    except UnknownWorkflow:
        raise Fault(jsonrpc.INVALID_PARAMS, "There is no such tool.") from None


def _begin(request: Request, name: str, wanted: speaking.Wanted, arguments: JSON) -> Job:
    message, key = arguments.get("message"), arguments.get("session_id")
    if not isinstance(message, str):
        raise ValidationError({"message": ["There must be words."]})
    return speaking.say(
        request,
        speaking.check_text(message),
        session_key=make_session_id() if key is None else speaking.check_session_key(key),
        wanted=wanted,
        # All else, such as the call's id, is new with each try.
        body_hash=hash_body(request, [name, arguments]),
    ).job


def _stream(request: Request, call: Call, caller: Caller, job: Job) -> HttpResponse:
    dialect = Mcp(
        job,
        call_id=call.id,
        session_id=job.session.key,
        token=caller.token,
        is_modern=caller.is_modern,
    )
    encoding, frames = following.encode(job, dialect)
    # By the older versions a client that is gone has not cancelled anything.
    abandon = partial(_abandon, job.pk, reach_of(request)) if caller.is_modern else None
    return following.stream(request, job, encoding, b"".join(frames), abandon=abandon)


def _abandon(job_id: int, reach: Reach) -> None:
    # An open stream keeps no more of the job: its message may be long.
    services.cancel(Job.objects.get(pk=job_id), reach=reach)
