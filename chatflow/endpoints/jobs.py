"""Jobs: look at one, follow it, cancel it, do it again; list them all."""

from typing import Any, TypedDict, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import authentication_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.limits import check_rate, slot
from chatflow.access.scopes import find_job, reach_of, visible_jobs
from chatflow.answers import bodies
from chatflow.answers.bodies import ListedBody, StartedBody, StatusBody
from chatflow.answers.errors import no_streams
from chatflow.answers.paging import Following, read_page
from chatflow.answers.schema import refusals
from chatflow.auth import Grant, JobAuthentication
from chatflow.endpoints.sends import sent_answer
from chatflow.endpoints.views import api_view
from chatflow.wire.serializers import PageSerializer
from chatflow.workflows import services

# How the stream and the status of a job may be asked for; the last is a link.
AUTH: Any = [{"bearer": []}, {"cookie": []}, {}]
LINK = OpenApiParameter("token", str, description="From `status_url` or `stream_url`.")


class JobsBody(TypedDict):
    success: bool
    jobs: list[ListedBody]
    next: Following


@extend_schema(
    summary="Look at a job",
    parameters=[LINK],
    responses={200: StatusBody, **refusals(401, 404, 503)},
    auth=AUTH,
)
@api_view(["GET"])
@authentication_classes([JobAuthentication])
def status(request: Request, job_id: str) -> Response:
    grant: Grant = cast(Any, request).grant
    return Response(bodies.status(grant.job))


@extend_schema(
    summary="Follow a job",
    description="Server-Sent Events: one JSON object each, the last one with a final `status`.",
    parameters=[
        LINK,
        OpenApiParameter("last_event_id", int, description="Events up to this one are skipped."),
        OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER),
    ],
    responses={
        (200, "text/event-stream"): OpenApiTypes.STR,
        204: OpenApiResponse(description="The last event was seen already."),
        **refusals(400, 401, 404, 409, 429, 503),
    },
    auth=AUTH,
)
@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
def stream(request: Request, job_id: str) -> Response:
    # Behind with_streams() this is reached by no GET: streams/of_job.py answers.
    raise no_streams()


@extend_schema(
    summary="Cancel a job",
    request=None,
    responses={200: StatusBody, **refusals(401, 403, 404, 503)},
)
@api_view(["POST"])
def cancel(request: Request, job_id: str) -> Response:
    services.cancel(find_job(request, job_id), reach=reach_of(request))
    return Response(bodies.status(find_job(request, job_id)))


@extend_schema(
    summary="Do a failed job again",
    request=None,
    responses={
        202: StartedBody,
        **refusals(401, 403, 404, 409, 429, 503),
    },
)
@api_view(["POST"])
def retry(request: Request, job_id: str) -> Response:
    job = find_job(request, job_id)
    check_rate(request.user)
    with slot("async", request.user):
        return sent_answer(request, services.retry(job, reach=reach_of(request)))


@extend_schema(
    summary="List your jobs, the newest first",
    parameters=[PageSerializer],
    responses={200: JobsBody, **refusals(400, 401, 404, 503)},
)
@api_view(["GET"])
def jobs(request: Request) -> Response:
    found = visible_jobs(request).select_related("session", "root")
    page, last = read_page(request, found, find_job)
    listed = [bodies.listed(job) for job in page]
    more = last.public_id if last else None
    body: JobsBody = {"success": True, "jobs": listed, "next": more}
    return Response(body)
