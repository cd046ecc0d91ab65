"""Clients' requests, validated; the OpenAPI schema shows them too."""

import uuid
from typing import Any, TypedDict, cast, get_args

from django.core.validators import ProhibitNullCharactersValidator, RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chatflow.wire.lengths import MESSAGE_LENGTH, REASON_LENGTH, SESSION_ID_LENGTH, WORKFLOW_LENGTH
from chatflow.workflows.ai import names
from chatflow.workflows.services import Mode, OnBusy

# Files that go with one message.
MOST_FILES = 10

# The schema shows these patterns.
no_control = RegexValidator(r"^[^\x00-\x1f\x7f-\x9f]*\Z", "Control characters are not allowed.")
# In an address the two lead elsewhere, so nothing could be called by them.
session_key = RegexValidator(
    r"^(?!\.\.?\Z)[^\x00-\x1f\x7f-\x9f]*\Z",
    "Control characters are not allowed, nor is . or .. alone.",
)
words = RegexValidator(r"^(?=\s*\S)[^\x00]*\Z", "There must be words.")


class StrictCharField(serializers.CharField):
    """A string; a number is none."""

    default_error_messages = {"invalid": "Must be a string."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """true or false; neither 1 nor "true"."""

    default_error_messages = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictIntegerField(serializers.IntegerField):
    """A number; a string is none."""

    default_error_messages = {"invalid": "Must be a whole number."}

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(
    {"oneOf": [{"type": "boolean"}, {"type": "string", "enum": ["auto"]}], "default": False}
)
class ModeField(serializers.Field[Mode, Any, Any, Any]):
    """How to run: false is sync, true is async, and "auto" leaves it to the server."""

    default_error_messages = {
        "invalid": 'Must be true, false or "auto".',
    }

    def to_internal_value(self, data: Any) -> Mode:
        if data is True:
            return "async"
        if data is False:
            return "sync"
        if data != "auto":
            self.fail("invalid")
        return "auto"

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "format": "uuid"},
        "maxItems": MOST_FILES,
        "default": [],
    }
)
class FilesField(serializers.Field[list[str], Any, Any, Any]):
    """Documents of the user's that go with the message, by their ids."""

    default_error_messages = {
        "invalid": "Must be a list of the ids of documents.",
        "too_many": f"A message has at most {MOST_FILES} files.",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
            self.fail("invalid")
        if len(data) > MOST_FILES:
            self.fail("too_many")
        try:
            return [str(uuid.UUID(each)) for each in data]
        except ValueError:
            self.fail("invalid")

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "array", "items": {"type": "object", "additionalProperties": True}})
class MessagesField(serializers.Field[list[dict[str, Any]], Any, Any, Any]):
    """Messages as another dialect has them; what is in them is looked at only where it counts."""

    default_error_messages = {"invalid": "Must be a list of messages."}

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Sent(TypedDict):
    """A valid send."""

    message: str
    session_id: str
    mode: Mode
    actions: bool
    memory: bool
    intelligent_rag: bool
    workflow: str | None
    model: str | None
    edits: int | None
    on_busy: OnBusy
    files: list[str]


def make_session_id() -> str:
    return f"session-{uuid.uuid4().hex}"


# How a request that starts a job wants it to be run.
class TurnSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        on_busy = serializers.ChoiceField(
            choices=get_args(OnBusy),
            default="enqueue",
            help_text="What to do while the session works on an earlier message.",
        )
        # "async" can't be the name of an attribute.
        # A function, lest the schema shows the engine's word.
        mode = ModeField(default=lambda: "sync", source="mode", help_text=ModeField.__doc__)
        return {**super().get_fields(), "on_busy": on_busy, "async": mode}


class SendSerializer(TurnSerializer):
    message = StrictCharField(
        min_length=1,
        max_length=MESSAGE_LENGTH,
        validators=[words],
        help_text="What the user says.",
    )
    session_id = StrictCharField(
        required=False,
        min_length=1,
        max_length=SESSION_ID_LENGTH,
        trim_whitespace=False,
        validators=[session_key],
        help_text="The conversation; made and returned when absent.",
    )
    actions = StrictBooleanField(default=True, help_text="False is plain chat.")
    memory = StrictBooleanField(default=True, help_text="False: neither read nor kept.")
    intelligent_rag = StrictBooleanField(default=True, help_text="Search documents if it helps.")
    workflow = StrictCharField(
        required=False,
        min_length=1,
        max_length=WORKFLOW_LENGTH,
        validators=[no_control],
        help_text="The workflow to run; by default the message decides.",
    )
    model = StrictCharField(
        required=False,
        min_length=1,
        help_text="The model to ask, one of the allowed; by default the site's.",
    )

    files = FilesField(default=list, help_text=FilesField.__doc__)
    edits = StrictIntegerField(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="The id of your message that this one takes the place of; it and all after it "
        "are cut.",
    )

    def validate_model(self, value: str) -> str:
        if value not in names.allowed():
            raise serializers.ValidationError("There is no such model to choose.")
        return value

    def validate(self, attrs: Any) -> Any:
        return {
            "session_id": make_session_id(),
            "workflow": None,
            "model": None,
            "edits": None,
            **attrs,
        }


class ActSerializer(TurnSerializer):
    session_id = StrictCharField(
        min_length=1,
        max_length=SESSION_ID_LENGTH,
        trim_whitespace=False,
        validators=[session_key],
        help_text="The conversation that the action was offered in.",
    )
    action_id = StrictCharField(min_length=1, max_length=SESSION_ID_LENGTH, validators=[no_control])
    data = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="What was filled in, for a form."
    )


class DecisionSerializer(serializers.Serializer[Any]):
    approved = StrictBooleanField()
    reason = StrictCharField(required=False, default="", allow_blank=True, max_length=REASON_LENGTH)
    answer = serializers.DictField(required=False, help_text="What was filled in.")


class PageSerializer(serializers.Serializer[Any]):
    """Which part of a list."""

    limit = serializers.IntegerField(default=20, min_value=1, max_value=100)
    before = serializers.CharField(
        required=False,
        validators=[ProhibitNullCharactersValidator()],
        help_text="The `next` of the page before.",
    )


class SessionsSerializer(serializers.Serializer[Any]):
    """Which part of the list of conversations."""

    limit = serializers.IntegerField(default=20, min_value=1, max_value=100)
    cursor = serializers.RegexField(
        r"^[01]-[0-9]{1,17}-[0-9]{1,18}$",
        required=False,
        help_text="The `next` of the page before.",
    )
    q = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=200,
        validators=[ProhibitNullCharactersValidator()],
        help_text="Words of the title or of a message; any language, any case.",
    )


class SessionSerializer(serializers.Serializer[Any]):
    """What its owner changes of a conversation."""

    title = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=120,
        validators=[ProhibitNullCharactersValidator()],
        help_text="Empty: the first message again.",
    )
    pinned = serializers.BooleanField(required=False)
    read = serializers.ChoiceField([True], required=False)


def options(sent: Sent) -> dict[str, Any]:
    """Return the flags of a send that its workflow goes by."""
    flags = ("actions", "memory", "intelligent_rag", "model")
    return {name: value for name, value in sent.items() if name in flags and value is not None}


# One for all requests: it keeps none of the data it validates, and making its fields takes longer.
_send = SendSerializer()


def validated_send(data: Any) -> Sent:
    """Validate a send's fields.

    Raises:
        ValidationError: which fields are wrong, and how.
    """
    return cast(Sent, _send.run_validation(data))
