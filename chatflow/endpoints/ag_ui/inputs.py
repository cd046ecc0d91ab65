"""What a client of AG-UI sends: RunAgentInput, as much of it as counts here."""

from dataclasses import dataclass
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from chatflow.dialects.ag_ui import JSON, Run
from chatflow.wire.lengths import SESSION_ID_LENGTH
from chatflow.wire.serializers import MessagesField, StrictCharField, no_control, session_key

# It is a part of an Idempotency-Key.
RUN_ID_LENGTH = 128


@dataclass(frozen=True, kw_only=True)
class Resume:
    """The answer to an interrupt.

    Args:
        interrupt_id: names the question.
        payload: the answer; JSON.
        cancels: there is none; the question is dropped.
    """

    interrupt_id: str
    payload: Any = None
    cancels: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a client asks for.

    Args:
        run: by the client's names.
        messages: the thread as the client has it.
        resume: the answer to what the thread's last run asked.
    """

    run: Run
    messages: list[JSON]
    resume: Resume | None

    @property
    def words(self) -> str:
        """The text of the user's newest message.

        Raises:
            ValidationError: there is none.
        """
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message)
        raise ValidationError({"messages": ["There is no message of the user's."]})


def text_of(message: JSON) -> str:
    """Return the text parts of a message, each in a line of its own."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


@extend_schema_field(
    {
        "type": "array",
        "maxItems": 1,
        "items": {
            "type": "object",
            "required": ["interruptId", "status"],
            "properties": {
                "interruptId": {"type": "string"},
                "status": {"type": "string", "enum": ["resolved", "cancelled"]},
                "payload": {},
            },
        },
    }
)
class ResumeField(serializers.Field[Resume | None, Any, Any, Any]):
    """The answer to the interrupt of the thread's last run."""

    default_error_messages = {
        "invalid": "Must be a list of interruptId, status and payload.",
        "too_many": "A run ends with one interrupt at most, so one answer is enough.",
    }

    def to_internal_value(self, data: Any) -> Resume | None:
        if not isinstance(data, list):
            self.fail("invalid")
        if len(data) > 1:
            self.fail("too_many")
        return self._read(data[0]) if data else None

    def _read(self, entry: Any) -> Resume:
        if not isinstance(entry, dict) or not isinstance(entry.get("interruptId"), str):
            self.fail("invalid")
        status = entry.get("status")
        if status not in ("resolved", "cancelled"):
            self.fail("invalid")
        return Resume(
            interrupt_id=entry["interruptId"],
            payload=entry.get("payload"),
            cancels=status == "cancelled",
        )


class RunSerializer(serializers.Serializer[Any]):
    """RunAgentInput. Its other fields are accepted, and not used."""

    # Names that Python has no style for.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "threadId": StrictCharField(
                max_length=SESSION_ID_LENGTH,
                trim_whitespace=False,
                validators=[session_key],
                help_text="The conversation.",
            ),
            "runId": StrictCharField(
                max_length=RUN_ID_LENGTH,
                trim_whitespace=False,
                validators=[no_control],
                help_text="The client's name of the run: the same again is the reconnection.",
            ),
            "messages": MessagesField(help_text="The thread; the user's newest message counts."),
            "resume": ResumeField(required=False, allow_null=True, help_text=ResumeField.__doc__),
        }


def read(data: Any) -> Asked:
    """Read a request's body.

    Raises:
        ValidationError: which fields are wrong, and how.
    """
    body = RunSerializer(data=data)
    body.is_valid(raise_exception=True)
    fields = body.validated_data
    return Asked(
        run=Run(fields["threadId"], fields["runId"]),
        messages=fields["messages"],
        resume=fields.get("resume"),
    )
