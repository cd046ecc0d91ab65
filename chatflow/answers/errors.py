"""Every error in one envelope: ``{"success": false, "error": …, "code": …[, "errors": …]}``."""

import logging
import math
import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.utils.translation import gettext_noop as _
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions as rest
from rest_framework.response import Response

from chatflow.dialects import dialect_at
from chatflow.wire import routes
from chatflow.wire.problems import Problem
from chatflow.workflows import exceptions as engine
from chatflow.workflows.models import Job, Session
from chatflow.workflows.services import outages
from chatflow.workflows.sizes import size_text

logger = logging.getLogger("chatflow.errors")

RETRY_AFTER = 5
# For browsers and proxies: this is nobody else's, nor for later.
UNSTORED = "private, no-store"

CONFLICTS = (
    engine.SessionBusy,
    engine.InProgress,
    engine.IdempotencyConflict,
    engine.AlreadyQueued,
    engine.NotRetryable,
    engine.CursorBeyondHead,
    engine.ActionUsed,
    engine.ActionExpired,
    engine.ApprovalDecided,
    engine.ApprovalExpired,
    engine.QuestionClosed,
)
UNKNOWN = (
    engine.JobNotFound,
    engine.ActionNotFound,
    engine.ApprovalNotFound,
    engine.MessageNotFound,
)
# The machine words for Django REST framework's errors, by status.
CODES = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
}


class Unavailable(rest.APIException):
    """The service can't do this now; the client should try again soon."""

    status_code = 503
    default_detail = "The service is too busy. Please try again."
    wait = RETRY_AFTER


class Refused(rest.APIException):
    """An error that an endpoint words by itself."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found.error)
        self.problem = found


class SessionNotFound(rest.NotFound):
    """The user has no such session."""

    default_detail = "There is no such session."


# For Django's own answers to the API's callers, by status.
SENTENCES = {
    400: "The request can't be read.",
    403: "The request does not come from a page of this site.",
    404: "There is nothing here.",
    405: "This method is not allowed here.",
}
NOT_FOUND = Problem(status=404, code="not_found", error="There is nothing here.")
DELETED = Problem(status=404, code="not_found", error="This was deleted meanwhile.")
INTERNAL = Problem(status=500, code="internal_error", error="Something went wrong on our side.")


def _unavailable(sentence: str) -> Problem:
    headers = {"Retry-After": str(RETRY_AFTER)}
    return Problem(status=503, code="unavailable", error=sentence, headers=headers)


UNAVAILABLE = _unavailable(_("The database can't be reached just now. Please try again."))
READ_ONLY = _unavailable(_("The database takes no writes just now. Please try again."))
CROWDED = _unavailable(
    _("Too many people are signing in at this moment. Please try again in a few seconds.")
)


def no_streams() -> Unavailable:
    """Return the refusal of a stream that there is no event loop for; it says how to have one."""
    if getattr(settings, "ASGI_APPLICATION", None) == "chatflow.asgi.application":
        return Unavailable("Streams need an ASGI server: uvicorn chatflow.asgi:application")
    return Unavailable(
        "Streams need an ASGI server, and chatflow.web.with_streams in asgi.py: "
        "application = with_streams(get_asgi_application())"
    )


def is_api(path: str) -> bool:
    """Whether requests to *path* of this site are answered in JSON, whatever happens."""
    return routes.is_of(routes.find(path), routes.API) or dialect_at(path) is not None


def is_for_api(request: HttpRequest) -> bool:
    """Whether a request is answered in JSON, whatever happens; it may have been looked up."""
    found = request.resolver_match
    if found is None:
        return is_api(request.path_info)
    return any(routes.is_of(found, name) for name in (routes.API, routes.PROTOCOLS))


def too_large(limit: int) -> Problem:
    sentence = f"What was sent is larger than {size_text(limit)}."
    return Problem(status=413, code="too_large", error=sentence)


def problem(error: BaseException) -> Problem:
    """Translate *error* for the client; an unexpected one is a 500 that gives nothing away."""
    if isinstance(error, Refused):
        return error.problem
    if isinstance(error, rest.APIException):
        return rest_problem(error)
    if isinstance(error, Job.DoesNotExist | Session.DoesNotExist):
        # It was there a moment ago.
        return DELETED
    if isinstance(error, UNKNOWN):
        return Problem(status=404, code=error.code, error=str(error))
    if isinstance(error, engine.InvalidForm):
        return Problem(status=400, code=error.code, error=str(error), errors=error.errors)
    if isinstance(error, engine.UnknownWorkflow):
        return Problem(
            status=400, code=error.code, error=str(error), errors={"workflow": [str(error)]}
        )
    if isinstance(error, engine.FileNotFound):
        return Problem(
            status=400, code=error.code, error=f"files: {error}", errors={"files": [str(error)]}
        )
    if isinstance(error, engine.TokenRefused):
        return Problem(status=403, code=error.code, error=str(error))
    if isinstance(error, CONFLICTS):
        return Problem(status=409, code=error.code, error=str(error))
    if outages.is_unavailable(error):
        return READ_ONLY if outages.is_read_only(error) else UNAVAILABLE
    if isinstance(error, Http404):
        return NOT_FOUND
    if isinstance(error, PermissionDenied):
        return Problem(status=403, code="forbidden", error="You may not do this.")
    if isinstance(error, RequestDataTooBig):
        return Problem(status=413, code="too_large", error="The request body is too large.")
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return Problem(status=400, code="invalid", error="The request can't be read.")
    return INTERNAL


def rest_problem(error: rest.APIException) -> Problem:
    if isinstance(error, rest.ValidationError):
        return invalid(error)
    status = error.status_code
    headers = {}
    if isinstance(error, rest.NotAuthenticated | rest.AuthenticationFailed):
        # The framework turns it into 403 where a view has no authenticators of its own.
        status = 401
        # Set by the view: the word of the first class that says who is asking.
        headers["WWW-Authenticate"] = getattr(error, "auth_header", None) or "Bearer"
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    return Problem(
        status=status,
        code=CODES.get(status, "error"),
        error=str(error.detail),
        headers=headers,
    )


def invalid(error: rest.ValidationError) -> Problem:
    """Name every wrong field, and the first one in the sentence too."""
    detail = error.detail
    if not isinstance(detail, dict):
        return Problem(status=400, code="invalid", error=str(detail[0]))
    errors = {name: [str(text) for text in texts] for name, texts in detail.items()}
    name, texts = next(iter(errors.items()))
    return Problem(status=400, code="invalid", error=f"{name}: {texts[0]}", errors=errors)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Answer for whatever a view of the API raised; endpoints/views.py names this function."""
    found = problem(error)
    if found.status >= 500 and not isinstance(error, rest.APIException):
        # Django's own, which the framework's is made around.
        request = context["request"]._request
        if found.status == 503:
            # Told, and answered.
            request.database_out = None
        logger.error(
            "%s %s failed", request.method, request.path, exc_info=error, extra={"request": request}
        )
    body = body_of(found, context["request"].path_info)
    return Response(body, status=found.status, headers=found.headers)


def body_of(found: Problem, path: str) -> dict[str, Any]:
    """Return the body of an error in the form of those who ask at *path* of this site."""
    dialect = dialect_at(path)
    return dict(found.body) if dialect is None else dialect.refusal(found)


def as_response(found: Problem, path: str) -> JsonResponse:
    return JsonResponse(body_of(found, path), status=found.status, headers=found.headers)


def of_status(status: int) -> Problem:
    """Stand in for Django's own error page of *status*."""
    sentence = SENTENCES.get(status, "The request was refused.")
    return Problem(status=status, code=CODES.get(status, "error"), error=sentence)


# Error handlers outside the API's views: urls.py names them.


@csrf_exempt
def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    if is_for_api(request):
        return as_response(NOT_FOUND, request.path_info)
    return defaults.page_not_found(request, exception)


# Django's LoginRequiredMiddleware would lead a program to a page.
not_found.login_required = False  # type: ignore[attr-defined]


def server_error(request: HttpRequest) -> HttpResponse:
    if is_for_api(request):
        return as_response(problem(sys.exc_info()[1] or Exception()), request.path_info)
    return defaults.server_error(request)
