"""A turn of a conversation: how its job went, and what its owner thinks of the answer."""

from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict, cast

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.scopes import find_job
from chatflow.answers import bodies
from chatflow.answers.bodies import URL, MessageBody, Moment, Shown
from chatflow.answers.schema import refusals
from chatflow.endpoints.views import api_view
from chatflow.wire.addresses import job_page, request_prefix
from chatflow.wire.moments import iso
from chatflow.wire.serializers import StrictCharField
from chatflow.workflows import services
from chatflow.workflows.models import Feedback, Message, State
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.services.turns import StepShown, Turn

COMMENT_LENGTH = 1000


class FeedbackBody(TypedDict):
    value: Annotated[str, Shown(enum=tuple(Feedback.Value))]
    comment: str


class StepBody(TypedDict):
    name: str
    state: Annotated[str, Shown(enum=("running", "finished", "failed", "stopped"))]
    duration_ms: int | None


class TurnBody(TypedDict):
    """How a message was answered."""

    job_id: str
    retry_of: Annotated[str | None, "The job that this one did again."]
    state: Annotated[str, Shown(enum=tuple(State))]
    workflow: str
    title: str
    attempts: Annotated[int, "More than 1: it was resumed after an interruption."]
    queued_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    duration_ms: int | None
    queue_ms: int | None
    steps: list[StepBody]
    model: str | None
    requests: int
    input_tokens: int
    output_tokens: int
    cost: Annotated[float | None, "US dollars, where the price is known."]
    error: NotRequired[str]
    code: NotRequired[str]
    words: NotRequired[Annotated[str, "What was streamed before the answer broke off."]]
    feedback: FeedbackBody | None
    can_retry: bool
    admin_url: NotRequired[URL]
    exception: NotRequired[str]


class SaidBody(MessageBody):
    """A message of a conversation."""

    id: int
    turn: NotRequired[TurnBody]


class FeedbackSentSerializer(serializers.Serializer[Any]):
    value = serializers.ChoiceField(choices=Feedback.Value.choices, allow_null=True)
    comment = StrictCharField(
        required=False, default="", allow_blank=True, max_length=COMMENT_LENGTH
    )


class FeedbackAnswerBody(TypedDict):
    success: bool
    feedback: FeedbackBody | None


@extend_schema(
    summary="Say what you think of an answer",
    description="`null` takes it back. The last one counts.",
    request=FeedbackSentSerializer,
    responses={200: FeedbackAnswerBody, **refusals(400, 401, 403, 404, 503)},
)
@api_view(["POST"])
def give_feedback(request: Request, job_id: str) -> Response:
    job = find_job(request, job_id)
    given = FeedbackSentSerializer(data=request.data)
    given.is_valid(raise_exception=True)
    kept = services.give_feedback(job, **given.validated_data)
    body: FeedbackAnswerBody = {"success": True, "feedback": feedback(kept)}
    return Response(body)


def feedback(given: Feedback | None) -> FeedbackBody | None:
    return None if given is None else {"value": given.value, "comment": given.comment}


def said(
    row: Message, used: set[str], turn: Turn | None, request: Request | None = None
) -> SaidBody:
    """Return a message with its turn, where it stands with one.

    Args:
        row: the message.
        used: the ids of the actions that can't be used any more.
        turn: of turns.describe().
        request: whose user reads it.
    """
    body = cast(SaidBody, {**bodies.message(row, used), "id": row.pk})
    if turn is not None:
        body["turn"] = describe(turn, request)
    return body


def describe(turn: Turn, request: Request | None) -> TurnBody:
    job, usage = turn.job, turn.job.usage
    body: TurnBody = {
        "job_id": job.public_id,
        "retry_of": turn.retry_of.public_id if turn.retry_of else None,
        "state": job.state,
        "workflow": job.workflow,
        "title": _title(job.workflow),
        "attempts": job.attempt,
        "queued_at": iso(job.created_at),
        "started_at": iso(job.started_at) if job.started_at else None,
        "finished_at": iso(job.finished_at) if job.finished_at else None,
        "duration_ms": _milliseconds(job.started_at, job.finished_at),
        "queue_ms": _milliseconds(job.created_at, job.started_at),
        "steps": [_step(step) for step in turn.steps],
        "model": ", ".join(usage.get("models", [])) or None,
        "requests": usage.get("requests", 0),
        "input_tokens": usage.get("input_tokens", 0),
        "output_tokens": usage.get("output_tokens", 0),
        "cost": usage.get("cost_usd"),
        "feedback": feedback(getattr(job, "feedback", None)),
        "can_retry": turn.can_retry,
    }
    if job.is_unsuccessful:
        body["error"], body["code"] = bodies.failure(job)
    if turn.words:
        body["words"] = turn.words
    if request is not None and getattr(request.user, "is_staff", False):
        if page := job_page(job.pk):
            body["admin_url"] = request.build_absolute_uri(request_prefix() + page)
        if settings.DEBUG and job.traceback:
            body["exception"] = job.traceback
    return body


def _title(name: str) -> str:
    titles = {workflow.name: workflow.title for workflow in all_workflows()}
    return titles.get(name, name)


def _milliseconds(begin: datetime | None, end: datetime | None) -> int | None:
    if begin is None or end is None:
        return None
    return max(0, round((end - begin).total_seconds() * 1000))


def _step(step: StepShown) -> StepBody:
    return {"name": step.name, "state": step.state, "duration_ms": step.duration_ms}
