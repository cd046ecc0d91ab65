"""What a request is called in logs and traces.

The id is the client's or the proxy's own X-Request-ID, if it looks like one, and goes back to them.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty

from chatflow.wire.asgi_types import Scope
from chatflow.workflows import logs, tracing

HEADER = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
# Who asks these asks every few seconds.
PROBES = ("/healthz", "/readyz", "/metrics")

_id: ContextVar[str] = ContextVar("request_id", default="")


def present_id() -> str:
    """Return the id of the request that is being answered; empty outside of one."""
    return _id.get()


@contextmanager
def named(given: str) -> Iterator[str]:
    """Answer a request under the id that it brings, or under a new one.

    Args:
        given: its X-Request-ID.
    """
    name = given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
    token = _id.set(name)
    try:
        with logs.telling(request=name):
            yield name
    finally:
        _id.reset(token)


@contextmanager
def named_scope(scope: Scope) -> Iterator[str]:
    """See named(), of an ASGI request."""
    given = next(
        (value for name, value in scope.get("headers", ()) if name == b"x-request-id"), b""
    )
    with named(given.decode("latin-1")) as name:
        yield name


def identified(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Any:
    """Middleware: give each request its id and its span, and the id back to the client."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with ExitStack() as stack:
            # The front has given it one, if there is a front.
            name = present_id() or stack.enter_context(named(request.headers.get(HEADER, "")))
            # Django logs its answer when the middleware is done with it.
            request.id_for_log = name  # type: ignore[attr-defined]
            stack.enter_context(logs.telling(user=lambda: known_user(request)))
            traced = request.path_info not in PROBES and not tracing.is_in_span()
            response = _traced(request, get_response) if traced else get_response(request)
        response.headers[HEADER] = name
        return response

    return middleware


def _traced(
    request: HttpRequest, get_response: Callable[[HttpRequest], HttpResponseBase]
) -> HttpResponseBase:
    given = request.headers.get(tracing.HEADER, "")
    method = str(request.method)
    with tracing.span(method, "SERVER", {"http.request.method": method}, parent=given) as span:
        response = get_response(request)
        if span is not None:
            describe(span, request, response)
            response.headers["traceresponse"] = tracing.present()
        return response


def describe(span: Any, request: HttpRequest, response: HttpResponseBase) -> None:
    """Tell in a span which view has answered and how. The path itself may name anything."""
    match = request.resolver_match
    if match is not None:
        span.update_name(f"{request.method} /{match.route}")
        span.set_attribute("http.route", f"/{match.route}")
    span.set_attribute("http.response.status_code", response.status_code)
    if user := known_user(request):
        span.set_attribute("user.id", str(user))
    if response.status_code >= 500:
        tracing.fail(span, str(response.status_code))


def known_user(request: HttpRequest) -> Any:
    """Return the primary key of who asks, if that was looked up already; it never asks itself."""
    user = getattr(request, "user", None)
    if isinstance(user, LazyObject) and user.__dict__.get("_wrapped") is empty:
        return None
    return getattr(user, "pk", None)
