"""The API and the pages: parse, call one verb, answer. The stream is in stream.py."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow import answers, serializers
from chatflow.auth import Grant, JobAuthentication, find_job
from chatflow.errors import SessionNotFound, Unavailable
from chatflow.limits import check_rate, slot
from chatflow.paging import read_page
from chatflow.parsers import canonical
from workflows import services
from workflows.exceptions import InProgress
from workflows.models import ACTIVE, Job, Session, State
from workflows.registry import all_workflows
from workflows.services import Mode, OnBusy, Started

# The longest history that is answered; older messages are left out.
MESSAGES = 500
ERROR = serializers.ErrorSerializer
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key and body start one job only.",
)
# How the stream and the status of a job may be asked for; the last is a link.
AUTH: Any = [{"bearer": []}, {"cookie": []}, {}]
LINK = OpenApiParameter("token", str, description="From `status_url` or `stream_url`.")


@extend_schema(
    summary="Send a message",
    parameters=[KEY],
    request=serializers.SendSerializer,
    responses={
        200: serializers.ResultSerializer,
        202: serializers.StartedSerializer,
        **dict.fromkeys([400, 401, 403, 409, 413, 415, 429, 500, 503, 504], ERROR),
    },
)
@api_view(["POST"])
def send(request: Request) -> Response:
    sent = serializers.validated_send(request.data)

    def start(**how: Any) -> Started:
        return services.start(
            request.user,
            sent["message"],
            session_key=sent["session_id"],
            workflow=sent["workflow"],
            options=serializers.options(sent),
            **how,
        )

    return turn(request, start, mode=sent["mode"], on_busy=sent["on_busy"])


def turn(
    request: Request, start: Callable[..., Started], *, mode: Mode, on_busy: OnBusy
) -> Response:
    """Take a request that starts a job: bound it, start, run what is sync, and answer.

    Args:
        request: whose body, with its Idempotency-Key, starts one job only.
        start: called with what the verbs that start jobs have in common; see services.start().
        mode: as the client asked for it.
        on_busy: likewise.
    """
    key = idempotency_key(request)
    check_rate(request.user, key)
    with slot(mode, request.user) as allowed:
        started = start(
            mode=allowed,
            on_busy=on_busy,
            idempotency_key=key,
            body_hash=hashlib.sha256(canonical(request.data)).hexdigest(),
        )
        job = started.job
        if job.mode == "sync" and not started.replayed:
            job = services.run_inline(job)
    return sent_answer(request, job, replayed=started.replayed)


def sent_answer(request: Request, job: Job, *, replayed: bool = False) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    if replayed and job.mode == "sync" and not job.is_finished:
        raise InProgress
    # A sync job that isn't finished was lost to a worker, which goes on with it.
    if job.mode == "async" or not job.is_finished:
        return Response(answers.started(request, job), status=202, headers=headers)
    return Response(
        answers.finished(job), status=answers.SYNC_STATUS[State(job.state)], headers=headers
    )


def idempotency_key(request: Request) -> str | None:
    key: str = request.META.get("HTTP_IDEMPOTENCY_KEY", "").strip()
    if len(key) > 255 or not key.isprintable():
        raise ValidationError("The Idempotency-Key must be at most 255 printable characters.")
    return key or None


@extend_schema(
    summary="Look at a job",
    parameters=[LINK],
    responses={200: serializers.StatusSerializer, **dict.fromkeys([401, 404, 503], ERROR)},
    auth=AUTH,
)
@api_view(["GET"])
@authentication_classes([JobAuthentication])
def status(request: Request, job_id: str) -> Response:
    grant = cast(Grant, request.auth)
    return Response(answers.status(grant.job))


@extend_schema(
    summary="Follow a job",
    description="Server-Sent Events: one JSON object each, the last one with a final `status`.",
    parameters=[
        LINK,
        OpenApiParameter("last_event_id", int, description="Events up to this one are skipped."),
        OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER),
    ],
    responses={
        **serializers.EVENT_STREAM,
        204: OpenApiResponse(description="The last event was seen already."),
        **dict.fromkeys([400, 401, 404, 409, 429, 503], ERROR),
    },
    auth=AUTH,
)
@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
def stream(request: Request, job_id: str) -> Response:
    # Under asgi.py this is reached by no GET: stream.py answers.
    raise Unavailable("Streams need an ASGI server: uvicorn chatflow.asgi:application")


@extend_schema(
    summary="Cancel a job",
    request=None,
    responses={200: serializers.StatusSerializer, **dict.fromkeys([401, 403, 404, 503], ERROR)},
)
@api_view(["POST"])
def cancel(request: Request, job_id: str) -> Response:
    job = find_job(request.user, job_id)
    services.cancel(job)
    return Response(answers.status(find_job(request.user, job_id)))


@extend_schema(
    summary="Do a failed job again",
    request=None,
    responses={
        202: serializers.StartedSerializer,
        **dict.fromkeys([401, 403, 404, 409, 429, 503], ERROR),
    },
)
@api_view(["POST"])
def retry(request: Request, job_id: str) -> Response:
    job = find_job(request.user, job_id)
    check_rate(request.user)
    with slot("async", request.user):
        return sent_answer(request, services.retry(job))


@extend_schema(
    summary="List your jobs, the newest first",
    parameters=[serializers.PageSerializer],
    responses={200: serializers.JobsSerializer, **dict.fromkeys([400, 401, 404, 503], ERROR)},
)
@api_view(["GET"])
def jobs(request: Request) -> Response:
    found = Job.objects.visible_to(request.user).select_related("session", "root")
    page, last = read_page(request, found, find_job)
    listed = [answers.listed(job) for job in page]
    more = last.public_id if last else None
    return Response({"success": True, "jobs": listed, "next": more})


@extend_schema(
    summary="Read a conversation",
    responses={200: serializers.HistorySerializer, **dict.fromkeys([401, 404, 503], ERROR)},
)
@api_view(["GET"])
def history(request: Request, session_id: str) -> Response:
    session = find_session(request.user, session_id)
    latest = session.messages.select_related("job").order_by("-pk")[:MESSAGES]
    return Response(
        answers.history(session, reversed(latest), active_job(request, session)),
    )


def find_session(user: Any, key: str) -> Session:
    """Return the user's own session.

    Raises:
        SessionNotFound: there is no such session, or it is somebody else's.
    """
    if "\0" not in key:
        found = Session.objects.filter(user=user, key=key).select_related("open_job").first()
        if found is not None:
            return found
    raise SessionNotFound


def active_job(request: Request, session: Session) -> dict[str, Any] | None:
    """Return the job that the session is working on, or else the one that is next."""
    active = list(session.jobs.filter(state__in=ACTIVE).order_by("pk"))
    active.sort(key=lambda job: job.state != State.PROCESSING)
    if not active:
        return None
    job = active[0]
    # The link is new, since the job may have waited for longer than a link lives.
    links = answers.links(request, job, issued=timezone.now())
    return {"job_id": job.public_id, **links, "state": job.state}


# The pages.


@login_required
def chat(request: HttpRequest) -> HttpResponse:
    """Show the demo page."""
    workflows = [
        {"name": each.name, "title": each.title, "description": each.description}
        for each in all_workflows()
    ]
    context = {"model_name": settings.AI_MODEL, "workflows": workflows, "urls": urls()}
    return render(request, "chat.html", context)


@login_required
def example(request: HttpRequest) -> HttpResponse:
    """Show the page that uses every part of AsyncChatClient."""
    return render(request, "example.html", {"urls": urls()})


def urls() -> str:
    """Return where AsyncChatClient finds what it calls, as JSON; the names are its own."""
    plain = ("send", "jobs", "action", "approvals")
    one_of = {
        "history": "session_id",
        "status": "job_id",
        "stream": "job_id",
        "cancel": "job_id",
        "approval": "approval_id",
    }
    found = {name: reverse(name) for name in plain}
    found |= {name: reverse(name, args=[f"{{{key}}}"]) for name, key in one_of.items()}
    return json.dumps(found)
