"""OpenAI's Responses."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as rules
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from chatflow.dialects import Dialect
from chatflow.dialects.responses import Responses, Unheard
from chatflow.workflows.models import NOTES
from tests.chatflow.dialects import openai_logs
from tests.chatflow.dialects.contract import ANSWER, BEGUN, TAKEN_BACK, DialectContract, Said, log

HEX = "0" * 32
SAID = {
    "model": "echo",
    "background": True,
    "metadata": {"own": "yes", "job_id": "mine"},
    "previous_response_id": "resp_1",
}
LAST = ("response.completed", "response.failed", "response.incomplete")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def data(frame: bytes) -> Any:
    """Return what a client finds in ``event.data``, under the event's own name."""
    name, line = frame.decode().removesuffix("\n\n").split("\n")
    found = json.loads(line.removeprefix("data: "))
    assert name == f"event: {found['type']}"
    return found


def make() -> Responses:
    return Responses(openai_logs.job(options={NOTES: SAID}))


def encode(said: list[Said], encoder: Responses | None = None) -> list[Any]:
    encoder = encoder or make()
    return [data(frame) for event in log(said) for frame in encoder.frames(event)]


class TestResponses(DialectContract):
    name = "responses"
    dialect = Responses

    def make(self) -> Dialect:
        return make()

    def is_end(self, frame: bytes) -> bool:
        return frame.startswith(tuple(f"event: {name}\n".encode() for name in LAST))

    def words(self, frames: list[bytes]) -> str:
        """Return the text of the last message."""
        text = ""
        for event in map(data, frames):
            if event["type"] == "response.output_item.added" and "content" in event["item"]:
                text = ""
            elif event["type"] == "response.output_text.delta":
                text += event["delta"]
        return text


def shown(status: str, **fields: Any) -> dict[str, Any]:
    metadata = {"own": "yes", "session_id": "s", "job_id": f"workflow_{HEX}"}
    metadata |= {"progress": "0", "status_message": ""} | fields.pop("metadata", {})
    return {
        "id": f"resp_{HEX}",
        "object": "response",
        "created_at": 1768311900,
        "background": True,
        "model": "echo",
        "previous_response_id": "resp_1",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": metadata,
        "output": [],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
        **fields,
    }


def test_the_opening() -> None:
    encoder = make()
    before = encoder.opening()
    offered = [{"type": "link", "label": "Go", "url": "/x"}]
    encode([*BEGUN, ("completed", {**ANSWER, "actions": offered})], encoder)
    assert encoder.opening() == before
    assert [data(frame) for frame in before] == [
        {"type": f"response.{name}", "sequence_number": number, "response": shown("queued")}
        for number, name in enumerate(("created", "queued"))
    ]


def test_the_events() -> None:
    encoder = make()
    sources = [{"title": "T", "url": "/t"}]
    answer = {**ANSWER, "response": "One", "sources": sources, "usage": openai_logs.USAGE}
    events = encode([BEGUN[0], BEGUN[3], ("completed", answer)], encoder)

    line = {"type": "summary_text", "text": "m"}
    empty = {"type": "summary_text", "text": ""}
    thought = {"type": "reasoning", "id": f"rs_{HEX}"}
    cited = {"type": "url_citation", "url": "/t", "title": "T", "start_index": 0, "end_index": 3}
    text = {"type": "output_text", "text": "One", "annotations": [cited], "logprobs": []}
    begun = {**text, "text": "", "annotations": []}
    message = {"type": "message", "id": f"msg_{HEX}", "role": "assistant"}
    thinking = {"item_id": f"rs_{HEX}", "output_index": 0, "summary_index": 0}
    saying = {"item_id": f"msg_{HEX}", "output_index": 1, "content_index": 0}
    reasoning = {**thought, "summary": [line], "status": "completed"}
    said = {**message, "content": [text], "status": "completed"}
    final = shown(
        "completed",
        completed_at=1768311900,
        metadata={"progress": "50", "status_message": "m"},
        output=[reasoning, said],
        usage={
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 7,
        },
    )
    working = {"progress": "50", "status_message": "m"}
    expected: list[tuple[str, dict[str, Any]]] = [
        ("in_progress", {"response": shown("in_progress", metadata=working)}),
        (
            "output_item.added",
            {"output_index": 0, "item": {**thought, "summary": [], "status": "in_progress"}},
        ),
        ("reasoning_summary_part.added", {**thinking, "part": empty}),
        ("reasoning_summary_text.delta", {**thinking, "delta": "m"}),
        ("reasoning_summary_text.done", {**thinking, "text": "m"}),
        ("reasoning_summary_part.done", {**thinking, "part": line}),
        (
            "output_item.added",
            {"output_index": 1, "item": {**message, "content": [], "status": "in_progress"}},
        ),
        ("content_part.added", {**saying, "part": begun}),
        ("output_text.delta", {**saying, "delta": "One", "logprobs": []}),
        ("output_text.annotation.added", {**saying, "annotation_index": 0, "annotation": cited}),
        ("output_text.done", {**saying, "text": "One", "logprobs": []}),
        ("content_part.done", {**saying, "part": text}),
        ("output_item.done", {"output_index": 1, "item": said}),
        ("output_item.done", {"output_index": 0, "item": reasoning}),
        ("completed", {"response": final}),
    ]
    assert events == [
        {"type": f"response.{name}", "sequence_number": number, **fields}
        for number, (name, fields) in enumerate(expected, 2)
    ]
    assert encoder.response() == final


def test_words_that_are_taken_back() -> None:
    events = encode([*TAKEN_BACK, ("completed", ANSWER)])
    items = [each["item"] for each in events if each["type"] == "response.output_item.done"]
    first, second, _ = items
    assert (first["id"], first["status"]) == (f"msg_{HEX}", "incomplete")
    assert (second["id"], second["status"]) == (f"msg_{HEX}_2", "completed")
    assert second["content"][0]["text"] == "One two three"
    # The places in the output: the first one's stays empty.
    assert [each["id"] for each in events[-1]["response"]["output"]] == [
        f"rs_{HEX}",
        f"msg_{HEX}_2",
    ]


def test_words_of_which_none_is_taken_back_go_on() -> None:
    events = encode([*BEGUN, ("restarted", {"attempt": 2, "text_length": 13})])
    assert "response.output_text.done" not in [each["type"] for each in events]


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("One two three four", "One two three four"),
        # One that can't be told from what was streamed.
        (" One two three\n", "One two three"),
        ("Else", "Else"),
    ],
)
def test_the_response_is_the_answer_whatever_was_streamed(response: str, text: str) -> None:
    events = encode([*BEGUN, ("completed", {**ANSWER, "response": response})])
    (message,) = [each for each in events[-1]["response"]["output"] if each["type"] == "message"]
    assert message["content"][0]["text"] == text


@pytest.mark.parametrize(
    ("kind", "name"), [("text", "ask"), ("confirm", "confirm"), ("choice", "choose"), ("form",) * 2]
)
def test_a_question_is_a_call(kind: str, name: str) -> None:
    (awaiting,) = [each for each in openai_logs.QUESTIONS if each["kind"] == kind]
    asked = {**ANSWER, "response": awaiting["prompt"], "awaiting": awaiting}
    *_, added, delta, done, over, last = encode([("completed", asked)])
    call = {"type": "function_call", "id": f"fc_{HEX}", "call_id": f"call_{HEX}", "name": name}
    assert added["item"] == {**call, "arguments": "", "status": "in_progress"}
    assert json.loads(delta["delta"]) == awaiting
    assert done["arguments"] == delta["delta"]
    whole = {**call, "arguments": delta["delta"], "status": "completed"}
    assert over["item"] == last["response"]["output"][-1] == whole
    assert last["response"]["status"] == "completed"


def test_an_approval_is_one_of_openais() -> None:
    awaiting = openai_logs.QUESTIONS[-1]
    metadata = {"workflow": "pay"}
    asked = {**ANSWER, "response": "May I?", "awaiting": awaiting, "metadata": metadata}
    *_, added, over, last = encode([("completed", asked)])
    item = {
        "type": "mcp_approval_request",
        "id": f"mcpr_{HEX}",
        "server_label": "chatflow",
        "name": "pay",
        "arguments": json.dumps(awaiting),
    }
    assert added["item"] == over["item"] == last["response"]["output"][-1] == item


def test_actions_are_metadata() -> None:
    actions = [{"type": "link", "label": "Los", "url": "/x"}]
    *_, last = encode([("completed", {**ANSWER, "actions": actions})])
    assert json.loads(last["response"]["metadata"]["actions"]) == actions


@pytest.mark.parametrize(
    ("kind", "code", "status", "last"),
    [
        ("failed", "fire", "failed", "response.failed"),
        ("timeout", "timeout", "failed", "response.failed"),
        ("cancelled", None, "cancelled", "response.incomplete"),
    ],
)
def test_another_end(kind: str, code: str | None, status: str, last: str) -> None:
    events = encode([*BEGUN, (kind, {"error": "It broke.", "code": "fire"})])
    assert events[-1]["type"] == last
    response = events[-1]["response"]
    assert response["status"] == status
    assert response["error"] == ({"code": code, "message": "It broke."} if code else None)
    assert [each["status"] for each in response["output"]] == ["completed", "incomplete"]


def test_what_nobody_asked_for_by_this_protocol_is_a_response_too() -> None:
    response = Responses(openai_logs.job()).response()
    assert (response["model"], response["background"]) == ("chatflow", False)
    assert response["previous_response_id"] is None


def known(response: Any) -> Any:
    """Return a response with a code that OpenAI has a name for: those of jobs are our own."""
    error = response["error"]
    return {**response, "error": error and {**error, "code": "server_error"}}


@rules(max_examples=60, derandomize=True, database=None, deadline=None)
@given(openai_logs.logs())
def test_who_only_looks_needs_no_frames(said: list[Said]) -> None:
    heard, unheard = make(), Unheard(openai_logs.job(options={NOTES: SAID}))
    for event in openai_logs.events(said):
        heard.frames(event)
        assert unheard.frames(event) == []
        assert unheard.response() == heard.response()


@rules(max_examples=100, derandomize=True, database=None, deadline=None)
@given(openai_logs.logs())
def test_any_log_makes_events_as_openai_describes_them(said: list[Said]) -> None:
    encoder = make()
    frames = encoder.opening()
    for event in openai_logs.events(said):
        frames += encoder.frames(event)
        Response.model_validate(known(encoder.response()), strict=True)
    events = [data(frame) for frame in frames]
    # As the Python package itself puts the events together.
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    for number, each in enumerate(events):
        assert each["sequence_number"] == number
        assert "error" not in each
        if "response" in each:
            each["response"] = known(each["response"])
        state.handle_event(EVENT.validate_python(each))
    assert events[-1]["response"] == known(encoder.response())
    if said[-1][0] == "completed":
        text = Response.model_validate(encoder.response()).output_text
        assert text.strip().startswith(said[-1][1]["response"].strip())
