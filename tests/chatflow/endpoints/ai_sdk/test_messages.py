"""Which jobs' words are one message."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.workflows import Context, WorkflowError, services, workflow
from chatflow.workflows.models import ApprovalRequest, Job, Session
from chatflow.workflows.services import decisions
from tests.chatflow.endpoints.ai_sdk.conftest import (
    CHAT,
    Ask,
    chunks,
    decides,
    kinds,
    says,
    text_of,
)

pytestmark = pytest.mark.django_db

STREAM = f"{CHAT}/s/stream"


def message_of(client: Client) -> list[Any]:
    return chunks(client.get(STREAM))


def id_of(read: list[Any]) -> str:
    return str(read[0]["messageId"])


def test_a_decision_that_was_made_elsewhere(ask: Ask, client: Client, bob: User) -> None:
    asking = chunks(ask(says("go"), workflow="twice"))
    asked = ApprovalRequest.objects.get()
    via = ApprovalRequest.Via.ADMIN
    decisions.decide(asked, by=bob, via=via, approved=False, reason="not now")

    read = message_of(client)
    assert id_of(read) == id_of(asking)
    assert {"type": "tool-output-denied", "toolCallId": asked.public_id} in read
    assert text_of(read) == "First. Delete it?No: not now"


def test_unclear_words_begin_a_message_and_a_decision_goes_on_with_it(
    ask: Ask, client: Client
) -> None:
    first = chunks(ask(says("go"), workflow="twice"))
    unclear = chunks(ask(says("perhaps", "u2")))
    assert "yes or no" in text_of(unclear)
    assert id_of(unclear) != id_of(first)

    asked = ApprovalRequest.objects.get()
    ask(decides(asked.public_id, id_of(unclear), approved=False))
    read = message_of(client)
    assert id_of(read) == id_of(unclear)
    assert text_of(read).endswith("No: ")


def test_what_is_done_again_takes_the_place_of_the_failure(ask: Ask, client: Client) -> None:
    broken = [True]

    def shaky(ctx: Context) -> str:
        ctx.approve("Go on?")
        if broken:
            raise WorkflowError("It is broken.")
        return "Mended."

    workflow("shaky")(shaky)
    asking = chunks(ask(says("go"), workflow="shaky"))
    asked = ApprovalRequest.objects.get()
    failed = chunks(ask(decides(asked.public_id, id_of(asking), approved=True)))
    assert failed[-1] == {"type": "error", "errorText": "It is broken."}
    broken.clear()
    services.retry(Job.objects.latest("pk"))

    read = message_of(client)
    assert id_of(read) == id_of(asking)
    assert text_of(read) == "Go on?Mended."
    assert kinds(read)[-1] == "finish"


def test_a_conversation_without_its_session_is_gone(ask: Ask, client: Client) -> None:
    ask(says("go"), workflow="twice")
    services.delete_session(Session.objects.get())
    assert client.get(STREAM).status_code == 204


def test_turns_by_words_are_messages_of_their_own(ask: Ask, client: Client) -> None:
    """Though their conversation has a decision in it."""

    def mixed(ctx: Context) -> str:
        ctx.approve("May I?")
        return f"Hello {ctx.ask('Who are you?')}."

    workflow("mixed")(mixed)
    ask(says("go"), workflow="mixed")
    asked = ApprovalRequest.objects.get()
    both = chunks(ask(decides(asked.public_id, approved=True)))
    assert text_of(both) == "Who are you?"
    assert text_of(message_of(client)) == "May I?Who are you?"

    last = chunks(ask(says("Ada", "u2")))
    assert id_of(last) != id_of(both)
    assert message_of(client) == last
