"""JSON-RPC 2.0 over HTTP, as A2A and MCP speak it: one call in a request's body, one answer.

A call that is at fault gets its error with status 200, unless its protocol wants another one. What
isn't about the call, such as a credential, a limit or an outage, keeps the status that it has
everywhere; its error comes from the dialect's refusal(), and names no call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse, JsonResponse
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

from chatflow.answers.errors import problem
from chatflow.wire.parsers import parse_json
from chatflow.wire.problems import Problem

JSON = dict[str, Any]
Id = str | int | None

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
# The first of those that JSON-RPC leaves to its users: a refusal that isn't about the call.
REFUSED = -32000
# An id is written into each frame of a stream: characters of a text, and largest number.
ID_LENGTH = 255
LARGEST_ID = 2**63 - 1


class Fault(Exception):
    """The error that a call is answered with.

    Args:
        code: a number of JSON-RPC's or of the protocol's.
        message: one sentence for people.
        data: what programs are told, JSON; None for nothing.
        status: of the HTTP answer.
    """

    def __init__(self, code: int, message: str, data: Any = None, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status

    @property
    def body(self) -> JSON:
        """The error as JSON-RPC writes it."""
        told = {} if self.data is None else {"data": self.data}
        return {"code": self.code, "message": self.message, **told}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call, or a notification, which wants no answer.

    Args:
        method: its name.
        params: by their names.
        id: the caller's own name for it.
        is_notification: it has no id at all.
    """

    method: str
    params: JSON
    id: Id = None
    is_notification: bool = False


Serve = Callable[[Call], HttpResponse]
# Gives the error of a call for whatever went wrong; None where it isn't about the call.
Translate = Callable[[Problem], Fault | None]


def respond(
    request: Request, serve: Serve, translate: Translate, *, malformed: int = 200
) -> HttpResponse:
    """Answer the call in a request's body.

    Args:
        request: of a view; its body has not been read.
        serve: answers a call, or raises a Fault or anything that problem() knows.
        translate: gives what else was raised the protocol's form.
        malformed: the status of the answer to a body that is no call.

    Raises:
        All that goes wrong, in *serve* or before it, and that *translate* has no Fault for.
    """
    call_id: Id = None
    try:
        value = _read(request, malformed)
        call_id = id_of(value)
        return serve(as_call(value, malformed))
    except Fault as fault:
        return failed(call_id, fault)
    except Exception as error:
        found = translate(problem(error))
        if found is None:
            raise
        return failed(call_id, found)


def _read(request: Request, malformed: int) -> Any:
    parsers = request.parsers or []
    negotiator: Any = request.negotiator
    if negotiator.select_parser(request, parsers) is None:
        raise UnsupportedMediaType(request.content_type)
    try:
        # Django keeps it, so that request.data is there as well.
        return parse_json(request._request.body)
    except ParseError as error:
        raise Fault(PARSE_ERROR, str(error.detail), status=malformed) from None


def id_of(value: Any) -> Id:
    """Return the id of what was sent, whatever else is wrong with it; None where it has none."""
    found = value.get("id") if isinstance(value, dict) else None
    return found if is_id(found) else None


def is_id(value: Any) -> bool:
    """Say whether *value* may be an id, or None; what a caller names else has the same limits."""
    if isinstance(value, str):
        return len(value) <= ID_LENGTH
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (is_integer and abs(value) <= LARGEST_ID)


def as_call(value: Any, malformed: int = 200) -> Call:
    """Return *value* as the call that it is.

    Args:
        value: JSON.
        malformed: the status of the answer where it's none.

    Raises:
        Fault: it isn't one, or it's several.
    """

    def refuse(sentence: str, code: int = INVALID_REQUEST) -> Fault:
        return Fault(code, sentence, status=malformed)

    if isinstance(value, list):
        raise refuse("Several calls in one request are not understood here.")
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise refuse('A call is a JSON object with "jsonrpc": "2.0".')
    if not is_id(value.get("id")):
        raise refuse(f"An id is an integer, or a text of at most {ID_LENGTH} characters.")
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(method, str) or not method:
        raise refuse("A call names its method.")
    if not isinstance(params, dict):
        raise refuse("The params are a JSON object.", INVALID_PARAMS)
    return Call(method=method, params=params, id=value.get("id"), is_notification="id" not in value)


def result(call_id: Id, value: Any) -> JSON:
    """Return the answer to a call: a body, or what a frame of its stream holds."""
    return {"jsonrpc": "2.0", "id": call_id, "result": value}


def error(call_id: Id, fault: Fault) -> JSON:
    """Return the answer to a call that has no result."""
    return {"jsonrpc": "2.0", "id": call_id, "error": fault.body}


def answered(call: Call, value: Any) -> JsonResponse:
    """Return the HTTP answer with a call's result; also where a job's end is waited for."""
    return JsonResponse(result(call.id, value))


def failed(call_id: Id, fault: Fault) -> JsonResponse:
    """Return the HTTP answer to a call that has no result."""
    return JsonResponse(error(call_id, fault), status=fault.status)


def refusal(found: Problem) -> JSON:
    """Return the body of an answer that isn't about a call; its status is the problem's."""
    code = {400: INVALID_REQUEST, 500: INTERNAL_ERROR}.get(found.status, REFUSED)
    return error(None, Fault(code, found.error, {"code": found.code}))
