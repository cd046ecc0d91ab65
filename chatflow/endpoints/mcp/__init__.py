"""MCP: each workflow is a tool. One address, one call of JSON-RPC in each request."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from corsheaders.conf import conf as cors
from django.http import HttpRequest, HttpResponse
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from chatflow.answers import jsonrpc
from chatflow.answers.errors import as_response
from chatflow.answers.jsonrpc import Call, Fault
from chatflow.auth import from_this_site
from chatflow.endpoints.mcp import hello, schemas, tasks, tools
from chatflow.endpoints.mcp.protocol import STATUS, Caller, caller_of
from chatflow.endpoints.views import api_view
from chatflow.wire.problems import Problem

Method = Callable[[Request, Call, Caller], dict[str, Any] | HttpResponse]

MODERN: dict[str, Method] = {
    "server/discover": hello.discover,
    "tools/list": tools.show,
    "tools/call": tools.call,
    "tasks/get": tasks.get,
    "tasks/update": tasks.update,
    "tasks/cancel": tasks.cancel,
}
LEGACY: dict[str, Method] = {
    "initialize": hello.initialize,
    "ping": hello.ping,
    "tools/list": tools.show,
    "tools/call": tools.call,
}
FOREIGN = Problem(status=403, code="forbidden", error="Pages of that origin may not do this.")


def from_known_origin(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Refuse what a page of a foreign site sends, whoever is signed in; MCP demands it."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        origin = request.META.get("HTTP_ORIGIN")
        if origin in (None, *cors.CORS_ALLOWED_ORIGINS) or from_this_site(request):
            return view(request)
        return as_response(FOREIGN, request.path_info)

    return guarded


@extend_schema(
    summary="Call a method of MCP",
    description="Version 2026-07-28, or 2025-11-25. The answer to a `tools/call` may be a stream "
    "of Server-Sent Events.",
    request=schemas.REQUEST,
    responses=schemas.RESPONSES,
)
@api_view(["POST"])
def mcp(request: Request) -> HttpResponse:
    return jsonrpc.respond(request, partial(_serve, request), _translate, malformed=400)


def _serve(request: Request, call: Call) -> HttpResponse:
    if call.is_notification:
        # None of them asks for anything that this site would have to do.
        return HttpResponse(status=202)
    if call.id is None:
        raise Fault(jsonrpc.INVALID_REQUEST, "The id of a call may not be null.", status=400)
    caller = caller_of(request, call)
    try:
        return _answer(request, call, caller)
    except Fault as fault:
        if caller.is_modern:
            fault.status = STATUS.get(fault.code, 200)
        raise


def _answer(request: Request, call: Call, caller: Caller) -> HttpResponse:
    method = (MODERN if caller.is_modern else LEGACY).get(call.method)
    if method is None:
        raise Fault(jsonrpc.METHOD_NOT_FOUND, "There is no such method.")
    answer = method(request, call, caller)
    if isinstance(answer, HttpResponse):
        return answer
    return jsonrpc.answered(call, caller.stamp(answer))


def _translate(found: Problem) -> Fault | None:
    if found.status not in (400, 404, 409):
        return None
    data = {"code": found.code, **({"errors": found.errors} if found.errors else {})}
    return Fault(jsonrpc.INVALID_PARAMS, found.error, data, status=400)


urlpatterns = [path("mcp", from_known_origin(mcp), name="mcp")]
