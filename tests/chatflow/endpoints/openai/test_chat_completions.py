"""POST /v1/chat/completions."""

import json
from typing import Any

import pytest
from django.test import Client
from openai.types.chat import ChatCompletion

from chatflow.workflows.models import Job, Session
from tests.chatflow.dialects.test_chat_completions import read
from tests.chatflow.endpoints.openai.conftest import Ask
from tests.configure import configure

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline")]

URL = "chat/completions"


def said(*texts: str) -> list[dict[str, Any]]:
    """Return the messages of a conversation, the user's first."""
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]


def body(*texts: str, **fields: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": said(*(texts or ("hello",))), **fields}


def test_it_works(ask: Ask) -> None:
    answer = ask(URL, body(model="talk"))
    job = Job.objects.get()
    length = len("One two three")
    about = {"url": "/t", "title": "T", "start_index": 0, "end_index": length}
    assert answer.json() == {
        "id": f"chatcmpl-{job.public_id.removeprefix('workflow_')}",
        "object": "chat.completion",
        "created": int(job.created_at.timestamp()),
        "model": "talk",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "One two three",
                    "annotations": [{"type": "url_citation", "url_citation": about}],
                },
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
    ChatCompletion.model_validate(answer.json(), strict=True)


def test_it_streams(ask: Ask) -> None:
    answer = ask(URL, body(model="talk", stream=True, stream_options={"include_usage": True}))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/event-stream"
    frames = [frame + b"\n\n" for frame in answer.content.split(b"\n\n")[:-1]]
    assert read(frames) == "One two three"
    assert "Thinking\n" in read(frames, "reasoning_content")
    assert frames[-1] == b"data: [DONE]\n\n"
    assert json.loads(frames[-2][6:])["usage"]["total_tokens"] == 0


def test_the_newest_message_of_the_users_counts(ask: Ask) -> None:
    parts = [{"type": "text", "text": "two"}, {"type": "image_url", "image_url": {}}]
    messages = [
        {"role": "system", "content": "Be rude."},
        *said("zero", "one"),
        {"role": "user", "content": [*parts, {"type": "text", "text": "three"}]},
        {"role": "assistant", "content": "Well, "},
    ]
    answer = ask(URL, {"model": "echo", "messages": messages})
    assert answer.json()["choices"][0]["message"]["content"] == "You said: two\nthree"


@pytest.mark.parametrize("model", [None, "chatflow", ""])
def test_the_message_may_decide(ask: Ask, model: str | None) -> None:
    assert ask(URL, body(model=model)).status_code == 200
    assert Job.objects.get().workflow == "chat"


def test_a_model_may_be_chosen(ask: Ask, settings: Any) -> None:
    configure(settings, AI_ALLOWED_MODELS=["offline"])
    assert ask(URL, body(model="offline")).json()["model"] == "offline"
    assert Job.objects.get().options["model"] == "offline"


@pytest.mark.parametrize("model", ["fail", "crash"])
def test_a_job_that_fails(ask: Ask, model: str) -> None:
    answer = ask(URL, body(model=model))
    assert answer.status_code == 500
    assert answer["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert error["type"] == "server_error"
    assert "secret" not in error["message"]
    if model == "fail":
        assert error == {
            "message": "The printer is on fire.",
            "type": "server_error",
            "param": None,
            "code": "fire",
        }
    streamed = ask(URL, body(model=model, stream=True)).content
    assert b"[DONE]" not in streamed
    assert b"finish_reason" in streamed
    assert b'"stop"' not in streamed


def test_a_session_by_name(ask: Ask) -> None:
    ask(URL, body(), X_Session_Id="a", X_OpenWebUI_Chat_Id="c")
    ask(URL, body(metadata={"session_id": "b"}), X_OpenWebUI_Chat_Id="c")
    ask(URL, body(), X_OpenWebUI_Chat_Id="c")
    assert [job.session.key for job in Job.objects.order_by("pk")] == ["a", "b", "c"]


def test_a_conversation_that_is_told_again_goes_on(ask: Ask) -> None:
    first = ask(URL, body(model="ask")).json()["choices"][0]["message"]["content"]
    assert first == "What is your name?"
    second = ask(URL, body("hello", first, "Ann", model="ask")).json()
    assert second["choices"][0]["message"]["content"] == "Hello Ann."
    assert Session.objects.count() == 1


def test_whatever_the_workflow_is_called_then(ask: Ask) -> None:
    first = ask(URL, body(model="pick")).json()["choices"][0]["message"]["content"]
    assert first == "Which?\n1. Red\n2. Blue"
    second = ask(URL, body("hello", first, "2", model="echo")).json()
    assert second["choices"][0]["message"]["content"] == "You chose Blue."


def test_a_key_starts_one_job(ask: Ask) -> None:
    answers = [ask(URL, body(), Idempotency_Key="k").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert Job.objects.count() == 1
    other = ask(URL, body("other"), Idempotency_Key="k")
    assert other.status_code == 409
    assert other["x-should-retry"] == "false"
    assert other.json()["error"]["code"] == "idempotency_conflict"


HOSTILE: list[tuple[dict[str, Any], str | None]] = [
    ({"messages": None}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [[[[]]], None, 7, "x"]}, "messages"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages"),
    ({"messages": [{"role": "user", "content": "\0"}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": {}, "text": "x"}]}]}, "messages"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": []}, "stream_options"),
    ({"stream_options": {"include_usage": 1}}, "include_usage"),
    ({"model": 7}, "model"),
    ({"model": {}}, "model"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"session_id": ["a"]}}, "metadata"),
    ({"metadata": {"session_id": "x" * 300}}, "metadata"),
]


@pytest.mark.parametrize(("fields", "param"), HOSTILE)
def test_what_is_wrong_is_named(ask: Ask, fields: dict[str, Any], param: str) -> None:
    answer = ask(URL, body(**fields))
    assert answer.status_code == 400, answer.content
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert not Job.objects.exists()


def test_what_is_not_json(ask: Ask, as_alice: Client) -> None:
    for sent in (b"[]", b"[" * 9999, b'"\\ud800"', b'{"a":"\\ud800"}', b"\xff", b"", b"{"):
        answer = as_alice.generic("POST", f"/v1/{URL}", sent, "application/json")
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_model_that_there_is_not(ask: Ask) -> None:
    answer = ask(URL, body(model="nope"))
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "The model 'nope' does not exist.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_who_says_too_much_waits(ask: Ask, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(1, 60))
    ask(URL, body())
    answer = ask(URL, body())
    assert answer.status_code == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert int(answer["Retry-After"]) > 0


def test_nobody_says_nothing(anonymous: Client) -> None:
    answer = anonymous.post(f"/v1/{URL}", body(), "application/json")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_without_an_event_loop_nothing_is_begun(as_alice: Client) -> None:
    answer = as_alice.post(f"/v1/{URL}", body(), "application/json")
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "server_error"
    assert not Job.objects.exists()


def test_a_page_of_another_site_is_told_not_to_repeat_it(ask: Ask, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://a.example"]
    answer = ask(URL, body(model="fail"), Origin="https://a.example")
    assert answer["Access-Control-Allow-Origin"] == "https://a.example"
    assert "x-should-retry" in answer["Access-Control-Expose-Headers"]
