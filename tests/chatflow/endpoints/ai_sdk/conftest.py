"""A client as the AI SDK's transport is one, whose jobs are run at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.wire.openings import ON_LOOP
from chatflow.workflows import Context, workflow
from tests.conftest import Bearer

CHAT = "/api/chat"
# What the requests of a client have that speaks to the whole application.
LOOP: Any = {ON_LOOP: True}
Ask = Callable[..., Any]
Chunk = dict[str, Any]


def says(text: str, id: str = "u1") -> dict[str, Any]:
    """Return a message of the user's."""
    return {"id": id, "role": "user", "parts": [{"type": "text", "text": text}]}


def decides(approval: str, message: str = "", **decision: Any) -> dict[str, Any]:
    """Return the assistant's message, as it is once its approval is decided."""
    part = {
        "type": "dynamic-tool",
        "toolName": "approve",
        "toolCallId": approval,
        "state": "approval-responded",
        "approval": {"id": approval, **decision},
    }
    return {"id": message, "role": "assistant", "parts": [{"type": "step-start"}, part]}


def chunks(answer: Any) -> list[Chunk]:
    """Return what a client reads of an answer that is whole."""
    assert answer.status_code == 200, answer.content
    assert answer["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer["Content-Type"] == "text/event-stream"
    assert answer["Content-Encoding"] == "identity"
    *read, done, end = answer.content.decode().split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [json.loads(each.removeprefix("data: ")) for each in read]


def kinds(read: list[Chunk]) -> list[str]:
    return [each["type"] for each in read if each["type"] != "data-progress"]


def text_of(read: list[Chunk]) -> str:
    return "".join(each.get("delta", "") for each in read)


@pytest.fixture(autouse=True)
def approving(flows: None) -> None:
    """Register a workflow that wants to be approved, twice."""

    def twice(ctx: Context) -> str:
        ctx.write("First. ")
        first = ctx.approve("Delete it?", details={"rows": 3})
        if not first.approved:
            return f"No: {first.reason}"
        second = ctx.approve("Really?")
        return f"{first.approved} {second.approved}: {second.reason}"

    workflow("twice")(twice)


@pytest.fixture
def client(alice: User, bearer: Bearer, inline: None) -> Client:
    return Client(headers=bearer(alice), raise_request_exception=False, **LOOP)


@pytest.fixture
def ask(client: Client) -> Ask:
    """Return what posts messages."""

    def ask(*messages: Any, by: Client = client, **fields: Any) -> Any:
        body = {"id": "s", "messages": list(messages), "trigger": "submit-message", **fields}
        return by.post(CHAT, body, "application/json")

    return ask
