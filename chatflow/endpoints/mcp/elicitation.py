"""A workflow's question as MCP asks it, and what becomes of the answer."""

import json
from typing import Any

from rest_framework.request import Request

from chatflow.access.scopes import find_approval, reach_of
from chatflow.answers import jsonrpc
from chatflow.answers.jsonrpc import Fault
from chatflow.dialects.ids import question_id
from chatflow.dialects.questions import schema_of
from chatflow.endpoints import inbox, speaking
from chatflow.endpoints.sends import hash_body
from chatflow.workflows import services
from chatflow.workflows.dialogue.answers import DASH
from chatflow.workflows.dialogue.form_keys import ORDER
from chatflow.workflows.exceptions import ApprovalDecided, QuestionClosed, TokenRefused
from chatflow.workflows.models import Job

JSON = dict[str, Any]

# The fields of an approval's own form have names of two parts, beside `approved` and `reason`.
FORM = "answer."


def key_of(job: Job) -> str:
    """Return the name of a job's question, which no other one of its task has."""
    return question_id(job.public_id, job.awaiting or {})


def requests(job: Job) -> JSON:
    """Return a job's question as a task has it."""
    asked = job.awaiting or {}
    params = {"mode": "form", "message": _message(job), "requestedSchema": _schema(asked)}
    return {key_of(job): {"method": "elicitation/create", "params": params}}


def _message(job: Job) -> str:
    asked = job.awaiting or {}
    if asked["kind"] != "approval":
        return job.response
    # Asked again, for an unclear answer, it is still the same question.
    details = asked.get("details", {}).items()
    return "\n".join([asked["prompt"], *(f"{name}: {_shown(value)}" for name, value in details)])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _schema(asked: JSON) -> JSON:
    """Return the schema of what is filled in: one ``answer``, or the fields of a form."""
    match asked["kind"]:
        case "form":
            return {**asked["schema"], "properties": _fields(asked["schema"])}
        case "approval":
            return _approval(asked.get("schema", {}))
    required = [] if asked.get("optional") else ["answer"]
    return {"type": "object", "properties": {"answer": schema_of(asked)}, "required": required}


def _approval(form: JSON) -> JSON:
    fields = {f"{FORM}{name}": field for name, field in _fields(form).items()}
    definitions = {"$defs": form["$defs"]} if "$defs" in form else {}
    return {
        "type": "object",
        "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}, **fields},
        "required": ["approved"],
        **definitions,
    }


def _fields(form: JSON) -> JSON:
    """Return the fields of a form, in its order."""
    fields: JSON = form.get("properties", {})
    return {name: fields[name] for name in form.get(ORDER, fields)}


def take(request: Request, job: Job, response: Any) -> None:
    """Let a workflow go on with what its user says, or drop its question.

    Args:
        request: by which it is said.
        job: the job that asks.
        response: what the client has sent for its question.

    Raises:
        Fault: it's no response to it.
        TokenRefused: the token decides no approvals.
        ApprovalExpired, InvalidForm: as for the API's own requests.
        Throttled, Unavailable: likewise.
    """
    action = response.get("action") if isinstance(response, dict) else None
    if action in ("decline", "cancel"):
        services.cancel(job, reach=reach_of(request))
        return
    content = response.get("content", {}) if action == "accept" else None
    if not isinstance(content, dict):
        raise Fault(jsonrpc.INVALID_PARAMS, "A response has an action; its content is an object.")
    try:
        _answer(request, job, content)
    except (ApprovalDecided, QuestionClosed):
        # Somebody was faster; the protocol has no word for it.
        return


def _answer(request: Request, job: Job, content: JSON) -> None:
    asked = job.awaiting or {}
    if asked["kind"] == "approval":
        _decide(request, asked["approval_id"], content)
        return
    speaking.say(
        request,
        _text(asked, content),
        session_key=job.session.key,
        wanted=speaking.Wanted(),
        options=job.flags,
        answers_to=job,
        body_hash=hash_body(request, [job.public_id, content]),
    )


def _text(asked: JSON, content: JSON) -> str:
    """Return an answer in the words that the workflow reads."""
    if asked["kind"] == "form":
        return json.dumps(content, ensure_ascii=False)
    answer = content.get("answer")
    match asked["kind"]:
        case "confirm" if isinstance(answer, bool):
            return "yes" if answer else "no"
        case "choice" if answer in [str(each["value"]) for each in asked["choices"]]:
            return str(answer)
        case "text" if isinstance(answer, str) and answer.strip():
            return speaking.check_text(answer)
        case "text" if asked.get("optional") and answer in (None, ""):
            return DASH
    raise Fault(jsonrpc.INVALID_PARAMS, "The answer is not what was asked for.")


def _decide(request: Request, approval_id: str, content: JSON) -> None:
    if not reach_of(request).decides:
        raise TokenRefused
    inbox.decided(request, find_approval(request, approval_id), _decision(content))


def _decision(content: JSON) -> JSON:
    """Return the fields of a decision as the API has them."""
    form = {name[len(FORM) :]: each for name, each in content.items() if name.startswith(FORM)}
    said = {name: each for name, each in content.items() if not name.startswith(FORM)}
    # Who rejects need not have left the form empty.
    return {**said, "answer": form} if form and said.get("approved") is True else said
