"""What nobody would send, and answers that are as the OpenAPI schema says."""

from typing import Any

import jsonschema
import pytest
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given
from hypothesis import strategies as st

from tests.chatflow.answers.test_schema import plain
from tests.chatflow.endpoints.openai.conftest import Ask
from tests.chatflow.test_fuzz import JSON, fuzz
from tests.configure import configure

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = plain(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]
TEXTS = st.sampled_from(["hello", "", "\0", "\u202e", "x" * 9999])
CONTENT = TEXTS | st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["text", "input_text"]), "text": TEXTS | JSON})
)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "tool"]) | JSON,
        "type": st.sampled_from(["message", "function_call_output", "mcp_approval_response"]),
        "content": CONTENT | JSON,
        "output": CONTENT | JSON,
        "call_id": st.sampled_from(["call_", f"call_{'0' * 32}"]) | JSON,
        "approval_request_id": st.sampled_from(["mcpr_x", f"mcpr_{'0' * 32}"]) | JSON,
        "approve": JSON,
    },
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["echo", "chatflow", "nope", "\0"]) | JSON,
        "messages": st.lists(SAID | JSON) | JSON,
        "input": TEXTS | st.lists(SAID | JSON) | JSON,
        "stream": st.booleans() | JSON,
        "background": st.booleans() | JSON,
        "store": st.booleans() | JSON,
        "metadata": JSON | st.dictionaries(st.text(), st.text()),
        "previous_response_id": st.sampled_from(["resp_", f"resp_{'0' * 32}"]) | JSON,
        "stream_options": JSON,
        "conversation": JSON,
    },
)


def check(answer: Any, path: str, method: str = "post") -> None:
    """Hold an answer against the schema."""
    shown = SCHEMA["paths"][path][method]["responses"][str(answer.status_code)]
    schema = shown["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), {**schema, "components": SCHEMA["components"]})


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_any_json(ask: Ask, settings: Any, path: str) -> None:
    configure(settings, RATE_LIMIT_SEND=(10_000, 60))

    @fuzz
    @given(body=BODIES)
    def attack(body: Any) -> None:
        try:
            answer = ask(path, body)
        except UnicodeEncodeError:
            # The test's own client can't send it.
            return
        assert answer.status_code < 500, answer.content
        if answer.status_code != 200:
            check(answer, f"/v1/{path}")

    attack()


@pytest.mark.usefixtures("inline")
def test_answers_are_as_the_schema_says(ask: Ask) -> None:
    for model in ("talk", "pick", "fail", "ask"):
        made = ask("responses", {"model": model, "input": "hello"})
        check(made, "/v1/responses")
        name = made.json()["id"]
        one = "/v1/responses/{response_id}"
        check(ask(f"responses/{name}", method="GET"), one, "get")
        check(ask(f"responses/{name}/cancel"), f"{one}/cancel")
        check(ask(f"responses/{name}/input_items", method="GET"), f"{one}/input_items", "get")
        check(ask(f"responses/{name}", method="DELETE"), one, "delete")
        check(ask(f"responses/{name}", method="GET"), one, "get")
        messages = [{"role": "user", "content": "hello"}]
        completed = ask("chat/completions", {"model": model, "messages": messages})
        check(completed, "/v1/chat/completions")
    check(ask("models", method="GET"), "/v1/models", "get")
    check(ask("models/echo", method="GET"), "/v1/models/{name}", "get")
    check(ask("models/nope", method="GET"), "/v1/models/{name}", "get")


def test_many_messages_are_read_at_once(ask: Ask) -> None:
    """As many as there is room for in a body."""
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 12_000
    body = {"model": "echo", "messages": [*messages, {"role": "user", "content": "c"}]}
    assert ask("chat/completions", {**body, "stream": True}).status_code == 200
    items = [{"type": "reasoning"}] * 40_000
    assert ask("responses", {"input": items, "background": True}).status_code == 400
