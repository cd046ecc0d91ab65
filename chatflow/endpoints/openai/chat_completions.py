"""POST /v1/chat/completions."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from chatflow.answers.bodies import SYNC_STATUS, failure
from chatflow.answers.schema import KEY
from chatflow.dialects.chat_completions import ChatCompletions, annotations, head, usage
from chatflow.dialects.openai import JSON
from chatflow.dialects.questions import in_words
from chatflow.endpoints import speaking
from chatflow.endpoints.openai import asking, transcripts
from chatflow.endpoints.openai.asking import wrong
from chatflow.endpoints.openai.shapes import CompletionBody, refusals
from chatflow.endpoints.views import api_view
from chatflow.streams import following
from chatflow.wire import serializers
from chatflow.wire.addresses import placed
from chatflow.wire.problems import Problem
from chatflow.workflows.models import Job, State

SESSION_HEADER = "X-Session-Id"
OPEN_WEBUI_HEADER = "X-OpenWebUI-Chat-Id"
REQUEST = {
    "type": "object",
    "properties": {
        "model": {"type": "string", "description": "A workflow, or `chatflow`."},
        "messages": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "stream": {"type": "boolean"},
        "stream_options": {"type": "object"},
        "metadata": {"type": "object", "description": "Its `session_id` is the conversation."},
    },
    "required": ["messages"],
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request says.

    Args:
        model: as the client has named it.
        text: the newest message of the user's.
        before: what was said before.
        streams: the client wants to see the words as they come.
        with_usage: and the tokens behind them.
    """

    model: str | None
    text: str
    before: list[transcripts.Turn]
    streams: bool
    with_usage: bool


@asking.once
@extend_schema(
    summary="Complete a chat",
    parameters=[
        KEY,
        OpenApiParameter(
            SESSION_HEADER,
            str,
            OpenApiParameter.HEADER,
            description="The conversation; by default the one in which the messages were said.",
        ),
    ],
    request={"application/json": REQUEST},
    responses={
        (200, "application/json"): CompletionBody,
        (200, "text/event-stream"): OpenApiTypes.STR,
        **refusals(400, 401, 403, 404, 409, 413, 415, 429, 500, 503, 504),
    },
)
@api_view(["POST"])
def complete(request: Request) -> HttpResponse:
    asked = read(asking.body_of(request))
    wanted = asking.wanted(request, asked.model)
    session = session_of(request, asked)
    following.check_room(request)
    job = speaking.say(request, asked.text, session_key=session, wanted=wanted).job
    asking.note_begun(request)
    model = asked.model or ""
    if not asked.streams:
        return following.wait(request, job, partial(whole, job.pk, model))
    encoding, frames = following.encode(
        job, ChatCompletions(job, model, with_usage=asked.with_usage)
    )
    first = encoding.dialect.connected(job) + b"".join(frames)
    return following.stream(request, job, encoding, first)


def read(body: JSON) -> Asked:
    """Read the body of a request.

    Raises:
        ValidationError: what is wrong with it.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise wrong("messages", "Must be a list.")
    places = [place for place, each in enumerate(messages) if _is_users(each)]
    if not places:
        raise wrong("messages", "There must be one of the user's.")
    options = body.get("stream_options")
    if not isinstance(options, dict | None):
        raise wrong("stream_options", "Must be an object.")
    return Asked(
        model=asking.text(body, "model"),
        text=asking.words(asking.words_of(messages[places[-1]].get("content")), "messages"),
        before=transcripts.read(messages[: places[-1]]),
        streams=asking.flag(body, "stream"),
        with_usage=asking.flag(options or {}, "include_usage"),
    )


def _is_users(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"


def session_of(request: Request, asked: Asked) -> str:
    """Return the conversation that a request is about: named, or told again, or a new one."""
    named = (
        (SESSION_HEADER, request.headers.get(SESSION_HEADER)),
        ("metadata", asking.metadata(asking.body_of(request)).get("session_id")),
        (OPEN_WEBUI_HEADER, request.headers.get(OPEN_WEBUI_HEADER)),
    )
    for place, key in named:
        if key not in (None, ""):
            return asking.session_key(key, place)
    return transcripts.find(request, asked.before) or serializers.make_session_id()


def whole(job_id: int, model: str) -> HttpResponse:
    """Return the answer of a job that has ended.

    Args:
        job_id: its primary key.
        model: the name that the client called it by.
    """
    job = Job.objects.get(pk=job_id)
    if job.state == State.COMPLETED:
        return JsonResponse(completion(job, model))
    error, code = failure(job)
    found = Problem(status=SYNC_STATUS[State(job.state)], code=code, error=error)
    refusal = ChatCompletions.refusal(found)
    return JsonResponse(refusal, status=found.status, headers=found.headers)


def completion(job: Job, model: str) -> CompletionBody:
    """Return the answer of a job that was completed."""
    content = in_words(job.response, job.awaiting)
    message: JSON = {"role": "assistant", "content": content}
    if job.sources:
        message["annotations"] = annotations(placed(job.sources), len(content))
    return {
        **head(job, model, "chat.completion"),  # type: ignore[typeddict-item]
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": usage(job.usage),
    }


urlpatterns = [path("v1/chat/completions", complete, name="chat-completions")]
