"""A conversation as a whole: its owner reads it, takes it along, or deletes it."""

from typing import Annotated, Any, NotRequired, TypedDict, cast

from django.db.models import Prefetch, Q
from django.db.models.functions import Length, Now
from django.urls import reverse
from django.utils.text import slugify
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import authentication_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.limits import search_slot
from chatflow.access.tenants import tenant_of, workflows_of
from chatflow.answers import bodies
from chatflow.answers.bodies import (
    JSON,
    ApprovalBody,
    AwaitingBody,
    ConversationBody,
    FileBody,
    LinksBody,
    MessageBody,
    Moment,
    OutcomeBody,
    Shown,
    SummaryBody,
)
from chatflow.answers.errors import SessionNotFound, no_streams
from chatflow.answers.schema import refusals
from chatflow.auth import EPOCH, MICROSECOND
from chatflow.endpoints.turns import FeedbackBody, SaidBody, feedback, said
from chatflow.endpoints.views import api_view
from chatflow.wire.moments import iso
from chatflow.wire.serializers import SessionSerializer, SessionsSerializer
from chatflow.workflows import services
from chatflow.workflows.models import (
    ACTIVE,
    ApprovalRequest,
    Job,
    Message,
    Session,
    SessionQuerySet,
    State,
    Step,
)
from chatflow.workflows.services import conversations, offers, turns

# The longest history that is answered; older messages are left out.
MESSAGES = 500


class ActiveJobBody(LinksBody):
    job_id: str
    state: Annotated[str, Shown(enum=ACTIVE)]


class HistoryBody(TypedDict):
    success: bool
    session_id: str
    messages: list[SaidBody]
    active_job: ActiveJobBody | None
    awaiting: AwaitingBody | None


@extend_schema(
    summary="Read a conversation",
    responses={200: HistoryBody, **refusals(401, 404, 503)},
)
@api_view(["GET"])
def history(request: Request, session_id: str) -> Response:
    session = find_session(request, session_id)
    messages = session.messages.filter(cut=False).prefetch_related("attachments")
    latest = messages.order_by("-pk")[:MESSAGES]
    rows = list(reversed(latest))
    jobs = turns.load_jobs(session, rows)
    for row in rows:
        row.job = jobs.get(row.job_id) if row.job_id else None
    used = offers.used(row.job for row in rows if row.job is not None)
    shown = turns.describe(rows, jobs, workflows_of(request))
    ordered = turns.in_order(rows, jobs)
    body: HistoryBody = {
        "success": True,
        "session_id": session.key,
        "messages": [said(row, used, shown.get(row.pk), request) for row in ordered],
        "active_job": active_job(request, session),
        "awaiting": session.open_job.awaiting if session.open_job else None,
    }
    return Response(body)


def own_sessions(request: Request) -> SessionQuerySet:
    """Return the sessions of the request's user and tenant."""
    return Session.objects.visible_to(request.user, tenant_of(request))


def find_session(request: Request, key: str) -> Session:
    """Return the user's own session.

    Raises:
        SessionNotFound: there is no such session, or it is somebody else's, or another tenant's.
    """
    if "\0" not in key:
        found = own_sessions(request).filter(key=key).select_related("open_job").first()
        if found is not None:
            return found
    raise SessionNotFound


def active_job(request: Request, session: Session) -> ActiveJobBody | None:
    """Return the job that the session is working on, or else the one that is next."""
    found: Any = session.jobs.filter(state__in=ACTIVE).annotate(now=Now())
    active = list(found.order_by("pk"))
    active.sort(key=lambda job: job.state != State.PROCESSING)
    if not active:
        return None
    job = active[0]
    # The link is new, since the job may have waited for longer than a link lives.
    links = bodies.links(request, job, issued=job.now)
    return {"job_id": job.public_id, **links, "state": job.state}


class DeletedBody(TypedDict):
    success: bool
    session_id: str
    jobs: Annotated[int, "How many jobs went with it."]


class ExportedStepBody(TypedDict):
    name: str
    duration_ms: int
    finished_at: Moment


class ExportedJobBody(SummaryBody, OutcomeBody):
    text: str
    options: JSON
    usage: JSON
    steps: list[ExportedStepBody]
    feedback: FeedbackBody | None


class ExportedApprovalBody(ApprovalBody):
    approved: bool | None
    reason: str
    answer: JSON | None
    by: str
    via: str
    decided_at: Moment | None


class ExportedMessageBody(MessageBody):
    id: int
    cut: NotRequired[Annotated[bool, "An edit has taken its place."]]


class ExportBody(TypedDict):
    success: bool
    session_id: str
    created_at: Moment
    updated_at: Moment
    summary: Annotated[str, "What the model is told of the older messages."]
    messages: list[ExportedMessageBody]
    jobs: list[ExportedJobBody]
    approvals: list[ExportedApprovalBody]
    documents: Annotated[list[FileBody], "Those that were brought to this conversation."]


class SessionsBody(TypedDict):
    success: bool
    sessions: list[ConversationBody]
    next: Annotated[str | None, "`cursor` of the next page."]


class ChangedBody(ConversationBody):
    success: bool


@extend_schema(
    summary="List conversations",
    description="The pinned ones first, then the latest.",
    parameters=[SessionsSerializer],
    responses={200: SessionsBody, **refusals(400, 401, 503)},
)
@api_view(["GET"])
def sessions(request: Request) -> Response:
    # As plain values: of a form's, DRF leaves out those that are empty.
    asked = SessionsSerializer(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    limit, words = asked.validated_data["limit"], asked.validated_data["q"].strip()
    found = own_sessions(request).order_by("-pinned", "-updated_at", "-pk")
    if "cursor" in asked.validated_data:
        found = found.filter(after(asked.validated_data["cursor"]))
    places: dict[int, str] = {}
    if words:
        with search_slot(request.user):
            places = conversations.search(found, words, limit + 1)
        found = found.filter(pk__in=places)
    rows = list(found[: limit + 1])
    listed = [bodies.conversation(each) for each in conversations.describe(rows[:limit])]
    for row, body in zip(rows, listed, strict=False):
        if words:
            body["excerpt"] = places[row.pk]
    more = len(rows) > limit
    page: SessionsBody = {
        "success": True,
        "sessions": listed,
        "next": place(rows[limit - 1]) if more else None,
    }
    return Response(page)


def place(row: Session) -> str:
    """Return the cursor of the page that follows *row*."""
    return f"{row.pinned:d}-{(row.updated_at - EPOCH) // MICROSECOND}-{row.pk}"


def after(cursor: str) -> Q:
    """Return the condition for the conversations behind that place of the list."""
    pinned, moment, pk = map(int, cursor.split("-"))
    at = EPOCH + moment * MICROSECOND
    # As the index is: what can't follow is left out first.
    behind = Q(updated_at__lt=at) | Q(updated_at=at, pk__lt=pk)
    return Q(pinned=True) & behind | Q(pinned=False) if pinned else Q(pinned=False) & behind


@extend_schema(
    summary="Follow all conversations",
    description="Server-Sent Events: changes of conversations, and the events of all their jobs.",
    parameters=[
        OpenApiParameter("last_event_id", str, description="The `id` of the last frame."),
        OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER),
    ],
    responses={
        (200, "text/event-stream"): OpenApiTypes.STR,
        **refusals(400, 401, 403, 409, 429, 503),
    },
)
@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
def stream(request: Request) -> Response:
    # Behind with_streams() this is reached by no GET: streams/of_user.py answers.
    raise no_streams()


@extend_schema(
    methods=["DELETE"],
    summary="Delete a conversation",
    responses={
        200: DeletedBody,
        **refusals(401, 403, 404, 503),
    },
)
@extend_schema(
    methods=["PATCH"],
    summary="Rename, pin or read a conversation",
    request=SessionSerializer,
    responses={200: ChangedBody, **refusals(400, 401, 403, 404, 415, 503)},
)
@api_view(["DELETE", "PATCH"])
def session(request: Request, session_id: str) -> Response:
    if request.method == "DELETE":
        return deleted(request, session_id)
    return changed(request, session_id)


def changed(request: Request, session_id: str) -> Response:
    found = find_session(request, session_id)
    asked = SessionSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    services.change_session(found, **asked.validated_data)
    (row,) = conversations.describe([find_session(request, session_id)])
    body: ChangedBody = {"success": True, **bodies.conversation(row)}
    return Response(body)


@extend_schema(
    methods=["GET"],
    summary="Take a conversation along",
    description="The answer is a download.",
    responses={200: ExportBody, **refusals(401, 404, 503)},
)
@extend_schema(methods=["DELETE"], exclude=True)
@api_view(["GET", "DELETE"])
def export(request: Request, session_id: str) -> Response:
    if request.method == "DELETE":
        # The key may have slashes, and these may be its last words.
        return deleted(request, f"{session_id}/export")
    session = find_session(request, session_id)
    filename = f"{slugify(session.key)[:100] or 'conversation'}.json"
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(exported(session), headers=headers)


def deleted(request: Request, session_id: str) -> Response:
    session = find_session(request, session_id)
    jobs = services.delete_session(session)
    body: DeletedBody = {"success": True, "session_id": session.key, "jobs": jobs}
    return Response(body)


def exported(session: Session) -> ExportBody:
    """Return all that is kept of a conversation, except the engine's own data."""
    public = Step.objects.filter(question=False).order_by("pk")
    public = public.only("job", "name", "duration_ms", "created_at")
    found = (
        session.jobs.select_related("feedback")
        .defer("traceback")
        .prefetch_related(Prefetch("steps", public))
    )
    jobs = {job.pk: job for job in found.order_by("pk")}
    messages = list(session.messages.prefetch_related("attachments").order_by("pk"))
    approvals = list(session.approval_requests.order_by("pk"))
    rows: list[Message | ApprovalRequest] = [*messages, *approvals]
    for row in rows:
        # Without another query for each of them.
        row.job = jobs.get(row.job_id) if row.job_id else None
    used = offers.used(jobs.values())
    documents = session.documents.annotate(size=Length("content")).defer("content")
    return {
        "success": True,
        "session_id": session.key,
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
        "summary": session.summary,
        "messages": [exported_message(row, used) for row in messages],
        "jobs": [exported_job(job) for job in jobs.values()],
        "approvals": [exported_approval(row) for row in approvals],
        "documents": [exported_document(row) for row in documents.order_by("created_at")],
    }


def exported_document(row: Any) -> FileBody:
    return {
        "id": str(row.pk),
        "name": row.name or row.title,
        "type": row.kind,
        "size": row.size,
        "url": reverse("chatflow:file", args=[row.pk]),
    }


def exported_message(row: Message, used: set[str]) -> ExportedMessageBody:
    body = cast(ExportedMessageBody, {**bodies.message(row, used), "id": row.pk})
    if row.cut:
        body["cut"] = True
    return body


def exported_job(job: Job) -> ExportedJobBody:
    return {
        **bodies.summary(job),
        "text": job.text,
        "options": job.options,
        **bodies.outcome(job),
        "usage": job.usage,
        "steps": [
            {
                "name": step.name,
                "duration_ms": step.duration_ms,
                "finished_at": iso(step.created_at),
            }
            for step in job.steps.all()
        ],
        "feedback": feedback(getattr(job, "feedback", None)),
    }


def exported_approval(row: ApprovalRequest) -> ExportedApprovalBody:
    return {
        **bodies.approval(row),
        "approved": row.approved,
        "reason": row.reason,
        "answer": row.answer,
        "by": row.by,
        "via": row.via,
        "decided_at": iso(row.decided_at) if row.decided_at else None,
    }
