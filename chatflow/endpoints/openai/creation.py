"""Making a response: what the request says is read whole before anything is stored."""

from dataclasses import dataclass

from rest_framework.request import Request

from chatflow.dialects.openai import JSON
from chatflow.endpoints import speaking
from chatflow.endpoints.openai import asking, kept, replies
from chatflow.endpoints.openai.asking import wrong
from chatflow.wire import serializers
from chatflow.workflows.models import NOTES, Job

# OpenAI's own limits of what a client attaches.
PAIRS, NAME_LENGTH, VALUE_LENGTH = 16, 64, 512
REQUEST = {
    "type": "object",
    "properties": {
        "model": {"type": "string", "description": "A workflow, or `chatflow`."},
        "input": {
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "object"}, "minItems": 1},
            ]
        },
        "background": {"type": "boolean"},
        "stream": {"type": "boolean"},
        "store": {"type": "boolean", "description": "False: neither read nor kept."},
        "previous_response_id": {"type": "string"},
        "metadata": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Its `session_id` is the conversation.",
        },
    },
    "required": ["input"],
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request says.

    Args:
        wanted: the workflow or the model that it names.
        reply: what the user says in it.
        about: the job that it answers, if it says so; that of the question, or the one before.
        session_key: the conversation.
        background: the client comes back for the answer.
        streams: it wants to see the events as they come.
        remembered: whether the conversation is read and kept.
        said: what is kept of it.
    """

    wanted: speaking.Wanted
    reply: replies.Reply
    about: Job | None
    session_key: str
    background: bool
    streams: bool
    remembered: bool
    said: JSON


def read(request: Request) -> Asked:
    """Read the body of a request.

    Raises:
        ValidationError, Refused, JobNotFound: what is wrong with it.
    """
    body = asking.body_of(request)
    if body.get("conversation") is not None:
        raise wrong("conversation", "Name the conversation by metadata.session_id.")
    reply = replies.read(body.get("input"))
    model, background = asking.text(body, "model"), asking.flag(body, "background")
    previous, metadata = asking.text(body, "previous_response_id") or None, _metadata(body)
    before = kept.own(request, previous) if previous else None
    about = kept.own(request, f"resp_{reply.hex}") if reply.hex else before
    return Asked(
        wanted=asking.wanted(request, model),
        reply=reply,
        about=about,
        session_key=_session_key(metadata, about),
        background=background,
        streams=asking.flag(body, "stream"),
        remembered=asking.flag(body, "store", default=True),
        said={
            "model": model,
            "background": background,
            "metadata": metadata,
            "previous_response_id": previous,
        },
    )


def start(request: Request, asked: Asked) -> Job:
    """Store what a request says, and return the job that answers it."""
    if isinstance(asked.reply, replies.Decision):
        job = replies.decide(request, asked.about, asked.reply, {NOTES: asked.said})
        asking.note_begun(request)
        return job
    memory = {} if asked.remembered else {"memory": False}
    job = speaking.say(
        request,
        asked.reply.text,
        session_key=asked.session_key,
        wanted=asked.wanted,
        options={NOTES: asked.said, **memory},
        answers_to=asked.about if asked.reply.hex else None,
    ).job
    asking.note_begun(request)
    return job


def _session_key(metadata: dict[str, str], about: Job | None) -> str:
    if "session_id" in metadata:
        return asking.session_key(metadata["session_id"], "metadata")
    return about.session.key if about is not None else serializers.make_session_id()


def _metadata(body: JSON) -> dict[str, str]:
    """Return the client's own metadata, which it is told again."""
    found = asking.metadata(body)
    if len(found) > PAIRS:
        raise wrong("metadata", f"There may be {PAIRS} pairs.")
    for name, value in found.items():
        if not isinstance(value, str) or len(value) > VALUE_LENGTH or len(name) > NAME_LENGTH:
            sentence = f"Must be strings of at most {NAME_LENGTH} and {VALUE_LENGTH} characters."
            raise wrong("metadata", sentence)
        if "\0" in name + value:
            raise wrong("metadata", "NUL is not allowed.")
    return found
