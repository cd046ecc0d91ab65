"""/v1/responses: make one, look at it, follow, cancel and delete it."""

from functools import partial

from django.http import HttpResponse, JsonResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.scopes import reach_of
from chatflow.answers.schema import KEY
from chatflow.dialects.ids import hex_of
from chatflow.dialects.openai import JSON
from chatflow.dialects.responses import Responses, Unheard
from chatflow.endpoints.openai import asking, creation, kept
from chatflow.endpoints.openai.asking import wrong
from chatflow.endpoints.openai.shapes import (
    DeletedResponseBody,
    InputItemsBody,
    ResponseBody,
    refusals,
)
from chatflow.endpoints.views import api_view
from chatflow.streams import following
from chatflow.workflows import services
from chatflow.workflows.models import Job, State

STREAM = OpenApiParameter("stream", bool, description="As Server-Sent Events.")
AFTER = OpenApiParameter(
    "starting_after",
    {"type": "integer", "minimum": 0},
    description="Events up to this `sequence_number` are skipped.",
)


@asking.once
@extend_schema(
    summary="Make a response",
    parameters=[KEY],
    request={"application/json": creation.REQUEST},
    responses={
        (200, "application/json"): ResponseBody,
        (200, "text/event-stream"): OpenApiTypes.STR,
        **refusals(400, 401, 403, 404, 409, 413, 415, 429, 500, 503),
    },
)
@api_view(["POST"])
def create(request: Request) -> HttpResponse:
    asked = creation.read(request)
    if asked.streams or not asked.background:
        following.check_room(request)
    job = creation.start(request, asked)
    if asked.streams:
        return _stream(request, job)
    if asked.background:
        return JsonResponse(_shown(job))
    return following.wait(request, job, partial(_show, job.pk))


@extend_schema(
    methods=["GET"],
    summary="Look at a response, or follow it",
    parameters=[STREAM, AFTER],
    responses={
        (200, "application/json"): ResponseBody,
        (200, "text/event-stream"): OpenApiTypes.STR,
        **refusals(400, 401, 403, 404, 429, 503),
    },
)
@extend_schema(
    methods=["DELETE"],
    summary="Delete a response",
    description="What runs is cancelled. The messages stay in the conversation.",
    responses={200: DeletedResponseBody, **refusals(401, 403, 404, 503)},
)
@api_view(["GET", "DELETE"])
def response(request: Request, response_id: str) -> HttpResponse:
    job = kept.own(request, response_id)
    if request.method == "DELETE":
        return _delete(request, job)
    streams = request.query_params.get("stream", "false")
    if streams not in ("true", "false"):
        raise wrong("stream", "Must be true or false.")
    if streams == "false":
        return JsonResponse(_shown(job))
    after = _read_cursor(request)
    following.check_room(request)
    return _stream(request, job, after)


def _delete(request: Request, job: Job) -> Response:
    _stop(request, job)
    kept.delete(job)
    body: DeletedResponseBody = {"id": kept.id_of(job), "object": "response", "deleted": True}
    return Response(body)


@extend_schema(
    summary="Cancel a response",
    request=None,
    responses={200: ResponseBody, **refusals(401, 403, 404, 503)},
)
@api_view(["POST"])
def cancel(request: Request, response_id: str) -> HttpResponse:
    job = kept.own(request, response_id)
    _stop(request, job)
    return _show(job.pk)


def _stop(request: Request, job: Job) -> None:
    """Cancel the job if it runs; the question of one that has ended stays open."""
    if not job.is_finished:
        services.cancel(job, reach=reach_of(request))


@extend_schema(
    summary="List what a response answers",
    responses={200: InputItemsBody, **refusals(401, 403, 404, 503)},
)
@api_view(["GET"])
def input_items(request: Request, response_id: str) -> Response:
    job = kept.own(request, response_id)
    name = f"msg_{hex_of(job.public_id)}_input"
    item = {
        "type": "message",
        "id": name,
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": job.text}],
    }
    body: InputItemsBody = {
        "object": "list",
        "data": [item],
        "first_id": name,
        "last_id": name,
        "has_more": False,
    }
    return Response(body)


def _get(job_id: int) -> Job:
    return Job.objects.select_related("session").get(pk=job_id)


def _show(job_id: int) -> HttpResponse:
    return JsonResponse(_shown(_get(job_id)))


def _shown(job: Job) -> JSON:
    """Return the response as its stream shows it, at this moment."""
    dialect = Unheard(job)
    # Of one that waits there is nothing to read.
    if job.state != State.QUEUED or job.last_seq:
        following.encode(job, dialect)
    return dialect.response()


def _stream(request: Request, job: Job, after: int = -1) -> HttpResponse:
    """Answer with the events behind the one that is numbered *after*."""
    dialect = Responses(job)
    encoding, later = following.encode(job, dialect)
    frames = dialect.opening() + later
    if after >= len(frames):
        raise wrong("starting_after", "There is no such event.")
    return following.stream(request, job, encoding, b"".join(frames[after + 1 :]))


def _read_cursor(request: Request) -> int:
    """Return the number of the last event that the client has; -1 if it has none."""
    raw = request.query_params.get("starting_after", "-1")
    if raw != "-1" and not (raw.isascii() and raw.isdigit() and len(raw) <= 10):
        raise wrong("starting_after", "Must be the sequence_number of an event.")
    return int(raw)


urlpatterns = [
    path("v1/responses", create, name="responses"),
    path("v1/responses/<str:response_id>", response, name="response"),
    path("v1/responses/<str:response_id>/cancel", cancel, name="response-cancel"),
    path("v1/responses/<str:response_id>/input_items", input_items, name="response-input"),
]
