"""What a client may ask for, validated, and what the OpenAPI schema shows."""

import uuid
from typing import Any, TypedDict, cast, get_args

from django.core.validators import ProhibitNullCharactersValidator, RegexValidator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from workflows.ai import names
from workflows.services import Mode, OnBusy

MESSAGE_LENGTH = 4000
SESSION_ID_LENGTH = 255
WORKFLOW_LENGTH = 100
REASON_LENGTH = 1000

no_control = RegexValidator(
    r"[\x00-\x1f\x7f-\x9f]", "Control characters are not allowed.", inverse_match=True
)


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
    on_busy: OnBusy


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
        mode = ModeField(default="sync", source="mode", help_text=ModeField.__doc__)
        return {**super().get_fields(), "on_busy": on_busy, "async": mode}


class SendSerializer(TurnSerializer):
    message = StrictCharField(
        min_length=1, max_length=MESSAGE_LENGTH, help_text="What the user says."
    )
    session_id = StrictCharField(
        required=False,
        max_length=SESSION_ID_LENGTH,
        trim_whitespace=False,
        validators=[no_control],
        help_text="The conversation; made and returned when absent.",
    )
    actions = StrictBooleanField(default=True, help_text="False is plain chat.")
    memory = StrictBooleanField(default=True, help_text="False: neither read nor kept.")
    intelligent_rag = StrictBooleanField(default=True, help_text="Search documents if it helps.")
    workflow = StrictCharField(
        required=False,
        max_length=WORKFLOW_LENGTH,
        validators=[no_control],
        help_text="The workflow to run; by default the message decides.",
    )
    model = StrictCharField(
        required=False, help_text="The model to ask, one of the allowed; by default the site's."
    )

    def validate_model(self, value: str) -> str:
        if value not in names.allowed():
            raise serializers.ValidationError("There is no such model to choose.")
        return value

    def validate(self, attrs: Any) -> Any:
        return {"session_id": make_session_id(), "workflow": None, "model": None, **attrs}


class ActSerializer(TurnSerializer):
    session_id = StrictCharField(
        max_length=SESSION_ID_LENGTH,
        trim_whitespace=False,
        validators=[no_control],
        help_text="The conversation that the action was offered in.",
    )
    action_id = StrictCharField(max_length=SESSION_ID_LENGTH, validators=[no_control])
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


def options(sent: Sent) -> dict[str, Any]:
    """Return the flags of a send that its workflow goes by."""
    flags = ("actions", "memory", "intelligent_rag", "model")
    return {name: value for name, value in sent.items() if name in flags and value is not None}


# One for all requests: it keeps nothing of what it validates, and to make its fields takes longer.
_send = SendSerializer()


def validated_send(data: Any) -> Sent:
    """Return what a send asks for.

    Raises:
        ValidationError: which fields are wrong, and how.
    """
    return cast(Sent, _send.run_validation(data))


# What the schema shows of the answers.


class ErrorSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField(default=False)
    error = serializers.CharField(help_text="One sentence for people.")
    code = serializers.CharField(help_text="One word for programs.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), required=False
    )


class AwaitingSerializer(serializers.Serializer[Any]):
    """The answer that the workflow waits for."""

    kind = serializers.ChoiceField(choices=["text", "choice", "confirm", "approval", "form"])
    prompt = serializers.CharField()
    choices = serializers.ListField(child=serializers.DictField(), required=False)
    optional = serializers.BooleanField()
    schema = serializers.DictField(required=False, help_text="JSON schema of what is filled in.")
    approval_id = serializers.CharField(required=False)
    details = serializers.DictField(required=False)
    expires_at = serializers.DateTimeField(required=False)


class ResultSerializer(serializers.Serializer[Any]):
    """A sync send's answer."""

    success = serializers.BooleanField()
    response = serializers.CharField()
    actions = serializers.ListField(child=serializers.DictField())
    sources = serializers.ListField(child=serializers.DictField())
    session_id = serializers.CharField()
    job_id = serializers.CharField()
    awaiting = AwaitingSerializer(required=False)


class StartedSerializer(serializers.Serializer[Any]):
    """An async send's answer."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    status = serializers.CharField()
    message = serializers.CharField()
    stream_url = serializers.URLField()
    status_url = serializers.URLField()
    session_id = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), "async": serializers.BooleanField()}


class StatusDataSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    session_id = serializers.CharField()
    workflow = serializers.CharField()
    status = serializers.ChoiceField(choices=["processing", "completed", "failed", "timeout"])
    state = serializers.ChoiceField(
        choices=["queued", "processing", "completed", "failed", "timeout", "cancelled"]
    )
    progress = serializers.IntegerField()
    message = serializers.CharField()
    updated_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    attempt = serializers.IntegerField()
    last_event_id = serializers.IntegerField()
    queue_position = serializers.IntegerField(required=False)
    response = serializers.CharField(required=False)
    actions = serializers.ListField(child=serializers.DictField(), required=False)
    sources = serializers.ListField(child=serializers.DictField(), required=False)
    awaiting = AwaitingSerializer(required=False)
    error = serializers.CharField(required=False)
    code = serializers.CharField(required=False)
    text = serializers.CharField(required=False, help_text="In the list of jobs only.")
    usage = serializers.DictField(required=False)


class StatusSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    data = StatusDataSerializer()  # type: ignore[assignment]


class JobsSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    jobs = StatusDataSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="`before` of the next page.")


class MessageSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=["user", "assistant"])
    content = serializers.CharField()
    actions = serializers.ListField(child=serializers.DictField())
    sources = serializers.ListField(child=serializers.DictField())
    awaiting = AwaitingSerializer(required=False)
    error = serializers.CharField(required=False)
    code = serializers.CharField(required=False)
    job_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class ActiveJobSerializer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    stream_url = serializers.URLField()
    status_url = serializers.URLField()
    state = serializers.ChoiceField(choices=["queued", "processing"])


class HistorySerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    session_id = serializers.CharField()
    messages = MessageSerializer(many=True)
    active_job = ActiveJobSerializer(allow_null=True)
    awaiting = AwaitingSerializer(allow_null=True)


class ApprovalSerializer(serializers.Serializer[Any]):
    """What is to be approved."""

    approval_id = serializers.CharField()
    prompt = serializers.CharField()
    details = serializers.DictField()
    schema = serializers.DictField(required=False, help_text="JSON schema of the answer.")
    workflow = serializers.CharField()
    session_id = serializers.CharField()
    job_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class ApprovalsSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    approvals = ApprovalSerializer(many=True)


class DeletedSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    session_id = serializers.CharField()
    jobs = serializers.IntegerField(help_text="How many jobs went with it.")


class ExportedStepSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    duration_ms = serializers.IntegerField()
    finished_at = serializers.DateTimeField()


class ExportedJobSerializer(StatusDataSerializer):
    options = serializers.DictField()
    steps = ExportedStepSerializer(many=True)


class ExportedApprovalSerializer(ApprovalSerializer):
    approved = serializers.BooleanField(allow_null=True)
    reason = serializers.CharField()
    answer = serializers.DictField(allow_null=True)
    by = serializers.CharField()
    via = serializers.CharField()
    decided_at = serializers.DateTimeField(allow_null=True)


class ExportSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    session_id = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    summary = serializers.CharField(help_text="What the model is told of the older messages.")
    messages = MessageSerializer(many=True)
    jobs = ExportedJobSerializer(many=True)
    approvals = ExportedApprovalSerializer(many=True)


EVENT_STREAM = {(200, "text/event-stream"): OpenApiTypes.STR}
