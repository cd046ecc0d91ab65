"""A thread as a whole, for a client that knows no run of it."""

from datetime import timedelta

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow import following
from chatflow.bodies import StoppedBody
from chatflow.endpoints.ag_ui.runs import STREAM, go_on, run_of
from chatflow.schema import refusals
from chatflow.scopes import visible_jobs
from chatflow.speaking import find_session, stop
from workflows import clock
from workflows.models import Job

# For how long a page that was away is told of a run that has ended.
LATELY = timedelta(hours=1)


@extend_schema(
    summary="Follow a thread's newest run",
    description="AG-UI 1.0: as the same `runId` again does, for a page that has lost it.",
    responses={
        **STREAM,
        204: OpenApiResponse(description="There was none in the last hour."),
        **refusals(401, 403, 404, 429, 503),
    },
)
@api_view(["GET"])
def stream(request: Request, thread_id: str) -> HttpResponse:
    session = find_session(request, thread_id)
    following.check_room(request)
    runs = visible_jobs(request).filter(session=session).select_related("session")
    job = runs.order_by("-pk").first()
    if job is None or _is_past(job):
        return HttpResponse(status=204)
    return go_on(request, job, run_of(job), [])


def _is_past(job: Job) -> bool:
    return job.finished_at is not None and job.finished_at < clock.now() - LATELY


@extend_schema(
    summary="Cancel a thread's runs",
    request=None,
    responses={200: StoppedBody, **refusals(401, 403, 404, 503)},
)
@api_view(["POST"])
def cancel(request: Request, thread_id: str) -> Response:
    cancelled = stop(request, find_session(request, thread_id))
    body: StoppedBody = {"success": True, "cancelled": cancelled}
    return Response(body)
