"""The calls that A2A's clients make."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NotRequired, TypedDict

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from chatflow.access.scopes import reach_of
from chatflow.answers import jsonrpc
from chatflow.answers.jsonrpc import Call, answered
from chatflow.answers.schema import KEY
from chatflow.dialects.a2a import A2A
from chatflow.endpoints.a2a import faults, messages, tasks
from chatflow.endpoints.a2a.faults import make_fault
from chatflow.endpoints.a2a.listing import list_tasks
from chatflow.endpoints.a2a.params import read_number, read_text
from chatflow.endpoints.views import api_view
from chatflow.streams import following
from chatflow.workflows import services

JSON = dict[str, Any]
Method = Callable[[Request, Call], HttpResponse]
# Without the header it's the method's name that tells.
VERSION = re.compile(r"(1\.0(\.\d+)?)?", re.ASCII)


class FaultBody(TypedDict):
    code: int
    message: str
    data: NotRequired[Any]


class CallBody(TypedDict):
    """A call of JSON-RPC 2.0."""

    jsonrpc: str
    id: NotRequired[Any]
    method: str
    params: NotRequired[JSON]


class CallAnswerBody(TypedDict):
    """The answer to a call: its result, or what is wrong with it."""

    jsonrpc: str
    id: Annotated[Any, "The call's."]
    result: NotRequired[JSON]
    error: NotRequired[FaultBody]


@extend_schema(
    summary="Speak A2A 1.0",
    description="JSON-RPC 2.0: `SendMessage`, `SendStreamingMessage`, `GetTask`, `ListTasks`, "
    "`CancelTask`, `SubscribeToTask`. Streams are Server-Sent Events, each an answer to the call.",
    parameters=[KEY, OpenApiParameter("A2A-Version", str, OpenApiParameter.HEADER)],
    request=CallBody,
    responses={
        200: CallAnswerBody,
        (200, "text/event-stream"): OpenApiTypes.STR,
        **dict.fromkeys((400, 401, 403, 413, 415, 429, 503), CallAnswerBody),
    },
)
@api_view(["POST"])
def a2a(request: Request) -> HttpResponse:
    return jsonrpc.respond(request, partial(_serve, request), faults.translate)


def _serve(request: Request, call: Call) -> HttpResponse:
    version = request.headers.get("A2A-Version", "").strip()
    if not VERSION.fullmatch(version):
        raise make_fault(faults.VERSION_NOT_SUPPORTED, "This is version 1.0 of A2A.")
    if call.method in NOT_OFFERED:
        raise make_fault(NOT_OFFERED[call.method], "This is not offered here.")
    if call.method not in METHODS:
        raise make_fault(jsonrpc.METHOD_NOT_FOUND, "There is no such method.")
    return METHODS[call.method](request, call)


def get_task(request: Request, call: Call) -> HttpResponse:
    """Answer ``GetTask``."""
    task_id = read_text(call.params, "id")
    history = read_number(call.params, "historyLength", 0)
    turn = tasks.find(request, task_id)
    return answered(call, tasks.describe(turn, task_id, tasks.limit_history(request, history)))


def cancel_task(request: Request, call: Call) -> HttpResponse:
    """Answer ``CancelTask``: what runs is told to stop, and a question is dropped."""
    task_id = read_text(call.params, "id")
    turn = tasks.find(request, task_id)
    if tasks.state_of(turn) in tasks.ENDED:
        raise make_fault(faults.TASK_NOT_CANCELABLE, "The task has ended.")
    services.cancel(turn, reach=reach_of(request))
    return answered(call, tasks.describe(tasks.find(request, task_id), task_id))


def subscribe(request: Request, call: Call) -> HttpResponse:
    """Answer ``SubscribeToTask``: with the task as it stands, and then what is new."""
    task_id = read_text(call.params, "id")
    following.check_room(request)
    turn = tasks.find(request, task_id)
    _check_going_on(tasks.state_of(turn))
    encoder = A2A(turn, call.id, task_id)
    encoding, _ = following.encode(turn, encoder)
    # It may have ended meanwhile.
    _check_going_on(encoder.standing.state)
    return following.stream(request, turn, encoding, encoder.snapshot())


def _check_going_on(state: str) -> None:
    if state in tasks.ENDED:
        raise make_fault(faults.UNSUPPORTED_OPERATION, "The task has ended.")


METHODS: dict[str, Method] = {
    "SendMessage": messages.send,
    "SendStreamingMessage": messages.send_streaming,
    "GetTask": get_task,
    "ListTasks": list_tasks,
    "CancelTask": cancel_task,
    "SubscribeToTask": subscribe,
}
NOT_OFFERED = {
    "CreateTaskPushNotificationConfig": faults.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "GetTaskPushNotificationConfig": faults.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "ListTaskPushNotificationConfigs": faults.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "DeleteTaskPushNotificationConfig": faults.PUSH_NOTIFICATION_NOT_SUPPORTED,
    "GetExtendedAgentCard": faults.EXTENDED_AGENT_CARD_NOT_CONFIGURED,
}
