"""What a client of the AI SDK posts: all messages that it has, of which one counts."""

from dataclasses import dataclass
from typing import Any, TypedDict, cast

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chatflow.endpoints.speaking import Wanted, check_text, wanted
from chatflow.wire.lengths import SESSION_ID_LENGTH, WORKFLOW_LENGTH
from chatflow.wire.serializers import (
    DecisionSerializer,
    MessagesField,
    StrictBooleanField,
    StrictCharField,
    make_session_id,
    no_control,
    session_key,
)
from chatflow.workflows.ai import names

SUBMIT, REGENERATE = "submit-message", "regenerate-message"


class ChatSerializer(serializers.Serializer[Any]):
    id = StrictCharField(
        required=False,
        min_length=1,
        max_length=SESSION_ID_LENGTH,
        trim_whitespace=False,
        validators=[session_key],
        help_text="The conversation; made when absent.",
    )
    messages = MessagesField(help_text="The newest one counts.")
    trigger = serializers.ChoiceField(choices=[SUBMIT, REGENERATE], default=SUBMIT)
    workflow = StrictCharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=WORKFLOW_LENGTH,
        validators=[no_control],
        help_text="The workflow that the message begins; by default the message decides.",
    )
    model = StrictCharField(
        required=False, allow_null=True, help_text="The model to ask, one of the allowed."
    )
    actions = StrictBooleanField(default=True, help_text="False is plain chat.")
    memory = StrictBooleanField(default=True, help_text="False: neither read nor kept.")
    intelligent_rag = StrictBooleanField(default=True, help_text="Search documents if it helps.")
    answer = serializers.DictField(
        required=False, help_text="What was filled in, where an approval has a form."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # By its own name, which is none of Python's.
        message_id = StrictCharField(
            required=False,
            allow_null=True,
            allow_blank=True,
            max_length=SESSION_ID_LENGTH,
            source="message_id",
            help_text="The message that goes on, where an approval was decided in it.",
        )
        return {**super().get_fields(), "messageId": message_id}

    def validate_messages(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not value:
            raise serializers.ValidationError("There must be a message.")
        return value

    def validate_model(self, value: str | None) -> str | None:
        if value is not None and value not in names.allowed():
            raise serializers.ValidationError("There is no such model to choose.")
        return value


class Posted(TypedDict):
    """A valid request; see ChatSerializer."""

    id: str
    messages: list[dict[str, Any]]
    trigger: str
    message_id: str | None
    workflow: str | None
    model: str | None
    actions: bool
    memory: bool
    intelligent_rag: bool
    answer: dict[str, Any] | None


NAMED = ("message_id", "workflow", "model", "answer")
# One for all requests: making its fields takes longer than to validate.
_chat = ChatSerializer()


def validated(data: Any) -> Posted:
    """Validate a request.

    Raises:
        ValidationError: which fields are wrong, and how.
    """
    given = _chat.run_validation(data)
    return cast(Posted, {"id": make_session_id(), **dict.fromkeys(NAMED), **given})


def named(request: Request, posted: Posted) -> Wanted:
    """Return the workflow and the model that the request names.

    Raises:
        UnknownWorkflow: there is no such workflow.
    """
    found = wanted(request, posted["workflow"])
    return Wanted(workflow=found.workflow, model=posted["model"] or found.model)


def flags(posted: Posted) -> dict[str, Any]:
    """Return the flags that the workflow goes by."""
    return {
        "actions": posted["actions"],
        "memory": posted["memory"],
        "intelligent_rag": posted["intelligent_rag"],
    }


def text(posted: Posted) -> str:
    """Return what the newest message of the user's says.

    Raises:
        ValidationError: it says nothing, or another message is the newest one.
    """
    messages = posted["messages"]
    if posted["trigger"] == SUBMIT and messages[-1].get("role") != "user":
        raise _wrong("The last one must be the user's, or one with an approval that was decided.")
    newest = next((each for each in reversed(messages) if each.get("role") == "user"), None)
    if newest is None:
        raise _wrong("None of them is the user's.")
    return check_text("\n".join(_texts(newest)))


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision of the user's.

    Args:
        message: the id of the message that asked, by the client; None where that's no id.
        approval: the public id of the request for approval, by the client.
        decision: validated; what decisions.decide() takes.
    """

    message: str | None
    approval: str
    decision: dict[str, Any]


def decided(posted: Posted) -> Decided | None:
    """Return the decision that the request is about; None where it is about a message.

    Raises:
        ValidationError: it's no decision.
    """
    if posted["trigger"] != SUBMIT:
        return None
    asking = _answering(posted)
    found = next(filter(_is_decided, reversed(_parts(asking))), None)
    if asking.get("role") != "assistant" or found is None:
        return None
    approval, key = found["approval"], asking.get("id")
    given = DecisionSerializer(data=_decision(approval, posted["answer"]))
    given.is_valid(raise_exception=True)
    return Decided(
        message=key if isinstance(key, str) and len(key) <= SESSION_ID_LENGTH else None,
        approval=str(approval.get("id")),
        decision=given.validated_data,
    )


def _answering(posted: Posted) -> dict[str, Any]:
    """Return the message that the request is about: the named one, or the last one."""
    messages, key = posted["messages"], posted["message_id"]
    about = (each for each in reversed(messages) if key and each.get("id") == key)
    return next(about, messages[-1])


def _decision(approval: dict[str, Any], answer: dict[str, Any] | None) -> dict[str, Any]:
    # A client need not give a reason, and some say so.
    given = {name: approval.get(name) for name in ("approved", "reason")}
    said = {name: value for name, value in given.items() if value is not None}
    return said if answer is None else {**said, "answer": answer}


def _is_decided(part: dict[str, Any]) -> bool:
    return part.get("state") == "approval-responded" and isinstance(part.get("approval"), dict)


def _texts(message: dict[str, Any]) -> list[str]:
    said = [part.get("text") for part in _parts(message) if part.get("type") == "text"]
    if not all(isinstance(each, str) for each in said):
        raise _wrong("A text must be a string.")
    return cast(list[str], said)


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    parts = message.get("parts")
    if not isinstance(parts, list) or not all(isinstance(each, dict) for each in parts):
        raise _wrong("Each must have a list of parts.")
    return parts


def _wrong(sentence: str) -> ValidationError:
    return ValidationError({"messages": [sentence]})
