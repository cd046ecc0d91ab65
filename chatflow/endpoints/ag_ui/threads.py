"""A thread as a whole, for a client that knows no run of it."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.answers.bodies import StoppedBody
from chatflow.answers.schema import refusals
from chatflow.endpoints import speaking
from chatflow.endpoints.ag_ui.runs import STREAM, go_on, run_of
from chatflow.endpoints.views import api_view
from chatflow.streams import following


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
    session = speaking.find_session(request, thread_id)
    following.check_room(request)
    job = speaking.newest_job(request, session)
    if job is None:
        return HttpResponse(status=204)
    return go_on(request, job, run_of(job), [])


@extend_schema(
    summary="Cancel a thread's runs",
    request=None,
    responses={200: StoppedBody, **refusals(401, 403, 404, 503)},
)
@api_view(["POST"])
def cancel(request: Request, thread_id: str) -> Response:
    return Response(speaking.stop(request, thread_id))
