"""What is read of a request: bad ones end in the API's own error."""

from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chatflow.endpoints.ai_sdk import posts
from chatflow.workflows.exceptions import UnknownWorkflow
from tests.chatflow.endpoints.ai_sdk.conftest import Ask, decides, says
from tests.configure import configure

ANYBODY = Request(RequestFactory().post("/api/chat"))

WRONG: list[dict[str, Any]] = [
    {"messages": None},
    {"messages": []},
    {"messages": {}},
    {"messages": "hello"},
    {"messages": [None]},
    {"messages": [[]]},
    {"messages": [{}]},
    {"messages": [{"role": "user"}]},
    {"messages": [{"role": "user", "parts": "x"}]},
    {"messages": [{"role": "user", "parts": [None]}]},
    {"messages": [{"role": "user", "parts": []}]},
    {"messages": [{"role": "user", "parts": [{"type": "text"}]}]},
    {"messages": [{"role": "user", "parts": [{"type": "text", "text": 5}]}]},
    {"messages": [{"role": "user", "parts": [{"type": "file", "url": "data:,"}]}]},
    {"messages": [says(" ")]},
    {"messages": [says("a\0b")]},
    {"messages": [says("hello"), {"role": "assistant", "parts": []}]},
    {"messages": [{"role": "assistant", "parts": []}], "trigger": "regenerate-message"},
    {"messages": [decides("a")]},
    {"messages": [decides("a", approved="yes")]},
    {"messages": [decides("a", approved=True, reason=5)]},
    {"messages": [decides("a", approved=True, reason="x" * 1001)]},
    {"messages": [decides("a", approved=True)], "answer": []},
    {"id": 5},
    {"id": ""},
    {"id": "."},
    {"id": "a\0"},
    {"id": "x" * 256},
    {"trigger": "resume-stream"},
    {"trigger": {}},
    {"messageId": 5},
    {"messageId": "x" * 256},
    {"workflow": 5},
    {"workflow": "nothing like it"},
    {"workflow": "a\0"},
    {"model": "nothing like it"},
    {"model": []},
    {"memory": "yes"},
]


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong(ask: Ask, wrong: dict[str, Any]) -> None:
    answer = ask(**{"messages": [says("hello")], **wrong})
    assert answer.status_code == 400, answer.content
    assert answer.json()["success"] is False
    assert answer.json()["code"] in ("invalid", "unknown_workflow")


def test_the_newest_message_counts() -> None:
    older = {"role": "user", "parts": "of no interest"}
    parts = [
        {"type": "text", "text": "One"},
        {"type": "file", "url": "data:,"},
        {"type": "text", "text": "two"},
    ]
    said = posts.validated({"messages": [older, {"role": "user", "parts": parts}]})
    assert posts.text(said) == "One\ntwo"
    assert posts.decided(said) is None


def test_unknown_fields_are_ignored() -> None:
    said = posts.validated({"id": "s", "messages": [says("x")], "temperature": 5})
    assert said["id"] == "s"
    assert posts.named(ANYBODY, said).workflow == ""


def test_without_an_id_a_conversation_is_made() -> None:
    assert posts.validated({"messages": [says("x")]})["id"].startswith("session-")


def test_names(settings: Any) -> None:
    configure(settings, AI_ALLOWED_MODELS=["test:small"])

    def named(**names: Any) -> tuple[str, str | None]:
        found = posts.named(ANYBODY, posts.validated({"messages": [says("x")], **names}))
        return found.workflow, found.model

    assert named(workflow="chatflow") == ("", None)
    assert named(workflow="echo", model=None) == ("echo", None)
    assert named(workflow="echo", model="test:small") == ("echo", "test:small")
    assert named(workflow="test:small") == ("", "test:small")
    with pytest.raises(UnknownWorkflow):
        named(workflow="nothing like it")


def test_the_named_message_was_decided() -> None:
    messages = [decides("a", "m1", approved=True), says("x"), decides("b", "m2", approved=True)]
    said = posts.validated({"messages": messages, "messageId": "m1"})
    found = posts.decided(said)
    assert found == posts.Decided(
        message="m1", approval="a", decision={"approved": True, "reason": ""}
    )


def test_the_last_decision_of_a_message_counts() -> None:
    message = decides("a", "m", approved=True)
    message["parts"] += decides("b", approved=False, reason=None)["parts"]
    found = posts.decided(posts.validated({"messages": [message], "answer": {"n": 1}}))
    assert found is not None
    assert (found.approval, found.message) == ("b", "m")
    assert found.decision == {"approved": False, "reason": "", "answer": {"n": 1}}


@pytest.mark.parametrize("key", [5, None, "x" * 256, {}])
def test_an_id_that_is_none(key: Any) -> None:
    message = {**decides("a", approved=True), "id": key}
    found = posts.decided(posts.validated({"messages": [message]}))
    assert found is not None
    assert found.message is None


def test_words_behind_a_decision_are_words() -> None:
    said = posts.validated({"messages": [decides("a", approved=True), says("hello")]})
    assert posts.decided(said) is None
    assert posts.text(said) == "hello"


def test_who_answers_anew_decides_nothing() -> None:
    messages = [says("hello"), decides("a", approved=True)]
    said = posts.validated({"messages": messages, "trigger": "regenerate-message"})
    assert posts.decided(said) is None
    assert posts.text(said) == "hello"


def test_a_message_without_parts() -> None:
    with pytest.raises(ValidationError, match="parts"):
        posts.text(posts.validated({"messages": [{"role": "user", "content": "hello"}]}))
