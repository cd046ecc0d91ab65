"""The AI SDK's chat: a message begins the stream of its answer; come back to it, or stop it."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.scopes import find_approval, reach_of
from chatflow.answers.bodies import StoppedBody
from chatflow.answers.errors import SessionNotFound
from chatflow.answers.schema import KEY, refusals
from chatflow.dialects.ai_sdk import HEADERS
from chatflow.endpoints import inbox, speaking
from chatflow.endpoints.ai_sdk import posts
from chatflow.endpoints.ai_sdk.messages import Part, continued, parts_up_to, whole
from chatflow.endpoints.ai_sdk.posts import ChatSerializer, Decided, Posted
from chatflow.endpoints.views import api_view
from chatflow.streams import following
from chatflow.workflows.exceptions import ApprovalDecided, ApprovalNotFound, TokenRefused
from chatflow.workflows.models import ApprovalRequest, Job, Message

STREAM: Any = {(200, "text/event-stream"): OpenApiTypes.STR}


@extend_schema(
    summary="Send a message of the AI SDK's, or decide an approval",
    description="Server-Sent Events: a UI message stream, version 1.",
    parameters=[KEY],
    request=ChatSerializer,
    responses={**STREAM, **refusals(400, 401, 403, 404, 409, 413, 415, 429, 503)},
)
@api_view(["POST"])
def chat(request: Request) -> HttpResponse:
    posted = posts.validated(request.data)
    following.check_room(request)
    decided = posts.decided(posted)
    if decided is None:
        job = say(request, posted)
        encoding, first = whole([Part(job)])
    else:
        job = decide(request, posted["id"], decided)
        encoding, first = continued(parts_up_to(request, job), decided.message)
    return following.stream(request, job, encoding, first, HEADERS)


def say(request: Request, posted: Posted) -> Job:
    """Store the newest message; return the job that answers it."""
    text, key = posts.text(posted), posted["id"]
    again = posted["trigger"] == posts.REGENERATE
    before = said_before(request, key, text) if again else None
    wanted = posts.named(request, posted)
    if before is not None and not wanted.workflow:
        wanted = replace(wanted, workflow=workflow_named(before))
    return speaking.say(
        request,
        text,
        session_key=key,
        wanted=wanted,
        options=posts.flags(posted),
        edits=before.pk if before is not None else None,
    ).job


def workflow_named(message: Message) -> str:
    """Return the workflow that was named for a message; empty where its words decided."""
    job = message.job
    return job.workflow if job is not None and job.explicit and job.root_id is None else ""


def said_before(request: Request, key: str, text: str) -> Message | None:
    """Return the message that *text* takes the place of when it is to be answered anew.

    That is the conversation's last one, if it says the same. Else, or where the conversation is
    busy, or not the token's alone, the text is one more message.
    """
    session = speaking.own_session(request, key)
    if session is None or reach_of(request).workflow or session.jobs.active().exists():
        return None
    mine = session.messages.filter(role=Message.Role.USER, cut=False)
    last = mine.select_related("job").order_by("-pk").first()
    return last if last is not None and last.content == text else None


def decide(request: Request, key: str, decided: Decided) -> Job:
    """Decide an approval as the API does; return the job that goes on.

    Raises:
        TokenRefused: the token may not decide.
        ApprovalNotFound: there is no such request in this conversation.
        All that decisions.decide() raises.
    """
    if not reach_of(request).decides:
        raise TokenRefused
    asked = find_approval(request, decided.approval)
    if asked.session.key != key:
        raise ApprovalNotFound
    try:
        return inbox.take(request, asked, **decided.decision)
    except ApprovalDecided:
        # The client has lost the answer, and decides the same again.
        job = decided_so(asked, decided)
        if job is None:
            raise
        return job


def decided_so(asked: ApprovalRequest, decided: Decided) -> Job | None:
    """Return the job that went on with the same decision, if that was it."""
    asked.refresh_from_db()
    given = decided.decision
    if (asked.approved, asked.reason) != (given["approved"], given["reason"]) or asked.job is None:
        return None
    turns = Job.objects.filter(root=asked.job.conversation_id, pk__gt=asked.job.pk)
    return turns.select_related("session").order_by("pk").first()


@extend_schema(
    summary="Come back to the AI SDK's newest answer",
    description="From its start: while it is being given, and for an hour.",
    responses={
        **STREAM,
        204: OpenApiResponse(description="There is none."),
        **refusals(401, 403, 429, 503),
    },
)
@api_view(["GET"])
def resume(request: Request, session_id: str) -> HttpResponse:
    try:
        session = speaking.find_session(request, session_id)
    except SessionNotFound:
        return HttpResponse(status=204)
    job = speaking.newest_job(request, session)
    if job is None:
        return HttpResponse(status=204)
    if not job.is_finished:
        following.check_room(request)
    encoding, first = whole(parts_up_to(request, job))
    return following.stream(request, job, encoding, first, HEADERS)


@extend_schema(
    summary="Stop the AI SDK's answer",
    request=None,
    responses={200: StoppedBody, **refusals(401, 403, 404, 503)},
)
@api_view(["POST"])
def stop(request: Request, session_id: str) -> Response:
    return Response(speaking.stop(request, session_id))


urlpatterns = [
    path("api/chat", chat, name="ai-sdk"),
    path("api/chat/<path:session_id>/stream", resume, name="ai-sdk-stream"),
    path("api/chat/<path:session_id>/stop", stop, name="ai-sdk-stop"),
]
