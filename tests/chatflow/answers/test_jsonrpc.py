"""One call in a request, one answer to it."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.decorators import authentication_classes, permission_classes
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from chatflow.answers import jsonrpc
from chatflow.answers.jsonrpc import Call, Fault
from chatflow.endpoints.views import api_view
from chatflow.wire.problems import Problem
from chatflow.workflows.exceptions import JobNotFound

CALL = {"jsonrpc": "2.0", "id": 7, "method": "Say", "params": {"text": "hello"}}
NOT_FOUND = -32001


def serve(call: Call) -> HttpResponse:
    """Say again what was said, or go wrong as one is told to."""
    if call.method == "Lose":
        raise JobNotFound
    if call.method == "Crash":
        raise RuntimeError("secret detail")
    if call.method != "Say":
        raise Fault(jsonrpc.METHOD_NOT_FOUND, "There is no such method.", {"known": ["Say"]}, 404)
    return jsonrpc.answered(call, call.params)


def translate(found: Problem) -> Fault | None:
    return Fault(NOT_FOUND, found.error) if found.status == 404 else None


@api_view(["POST"])
@authentication_classes([])
@permission_classes([])
def view(request: Request) -> HttpResponse:
    return jsonrpc.respond(request, serve, translate)


@api_view(["POST"])
@authentication_classes([])
@permission_classes([])
def strict_view(request: Request) -> HttpResponse:
    return jsonrpc.respond(request, serve, translate, malformed=400)


def post(body: Any, content_type: str = "application/json", view: Any = view) -> tuple[int, Any]:
    content: Any = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = APIRequestFactory().generic("POST", "/rpc", content, content_type)
    answer = view(request)
    # What isn't about a call is answered by the framework.
    getattr(answer, "render", lambda: None)()
    return answer.status_code, json.loads(answer.content)


def test_a_call_is_answered() -> None:
    assert post(CALL) == (200, {"jsonrpc": "2.0", "id": 7, "result": {"text": "hello"}})


@pytest.mark.parametrize("name", ["a", "", 0, -3, None, "x" * 255])
def test_the_answer_has_the_calls_id(name: Any) -> None:
    _, answer = post({**CALL, "id": name})
    assert answer["id"] == name


def test_a_call_may_have_no_params() -> None:
    call = {name: value for name, value in CALL.items() if name != "params"}
    assert post(call)[1]["result"] == {}


def test_a_notification_is_known_by_having_no_id() -> None:
    assert jsonrpc.as_call({"jsonrpc": "2.0", "method": "Say"}).is_notification
    assert not jsonrpc.as_call({"jsonrpc": "2.0", "method": "Say", "id": None}).is_notification


def test_a_fault_says_what_is_wrong_with_the_call() -> None:
    error = {"code": -32601, "message": "There is no such method.", "data": {"known": ["Say"]}}
    assert post({**CALL, "method": "Sing"}) == (404, {"jsonrpc": "2.0", "id": 7, "error": error})


def test_what_is_about_the_call_becomes_a_fault() -> None:
    status, answer = post({**CALL, "method": "Lose"})
    assert (status, answer["id"], answer["error"]["code"]) == (200, 7, NOT_FOUND)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b'"\xff"', -32700),
        (b'{"a": NaN}', -32700),
        (b'{"jsonrpc": "2.0", "method": "\\ud800", "id": 7}', -32700),
        (b"[" * 100_000, -32700),
        ([CALL], -32600),
        ([], -32600),
        ("Say", -32600),
        (None, -32600),
        ({}, -32600),
        ({**CALL, "jsonrpc": "1.0"}, -32600),
        ({**CALL, "jsonrpc": ["2.0"]}, -32600),
        ({**CALL, "method": None}, -32600),
        ({**CALL, "method": ""}, -32600),
        ({**CALL, "method": {"name": "Say"}}, -32600),
        ({**CALL, "id": True}, -32600),
        ({**CALL, "id": 1.5}, -32600),
        ({**CALL, "id": ["a"]}, -32600),
        ({**CALL, "id": "x" * 256}, -32600),
        ({**CALL, "id": 10**30}, -32600),
        ({**CALL, "params": ["hello"]}, -32602),
        ({**CALL, "params": None}, -32602),
    ],
)
def test_what_is_no_call(body: Any, code: int) -> None:
    status, answer = post(body)

    assert (status, answer["error"]["code"]) == (200, code)
    sent_id = body.get("id") if isinstance(body, dict) else None
    assert answer["id"] == (7 if sent_id == 7 else None)
    assert post(body, view=strict_view)[0] == 400


@pytest.mark.parametrize("type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_is_no_json_by_its_own_word(type: str) -> None:
    status, _ = post(CALL, type)
    assert status == 415


def test_a_text_without_a_type_is_taken_for_json() -> None:
    assert post(CALL, "")[0] == 200
    assert post(CALL, "text/plain;charset=UTF-8")[0] == 200


def test_what_is_not_about_the_call_keeps_its_status() -> None:
    """And gives nothing away."""
    status, answer = post({**CALL, "method": "Crash"})
    assert status == 500
    assert "secret" not in str(answer)


@pytest.mark.parametrize(
    ("status", "code"), [(400, -32600), (401, -32000), (429, -32000), (500, -32603), (503, -32000)]
)
def test_a_refusal_names_no_call(status: int, code: int) -> None:
    found = Problem(status=status, code="word", error="A sentence.")
    assert jsonrpc.refusal(found) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": code, "message": "A sentence.", "data": {"code": "word"}},
    }
