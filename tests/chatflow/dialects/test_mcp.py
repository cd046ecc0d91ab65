"""MCP's dialect, judged by the types that the protocol's own package has."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types import jsonrpc_message_adapter, methods

from chatflow.dialects.mcp import SERVER, Mcp, answered
from chatflow.workflows.models import Event
from tests.chatflow.dialects.contract import (
    ANSWER,
    BEGUN,
    ERROR,
    EVIL,
    LOGS,
    NOON,
    DialectContract,
    Said,
    job,
    log,
)

ABOUT = {"session_id": "s", "job_id": job().public_id}


def make(**call: Any) -> Mcp:
    return Mcp(job(), **{"call_id": 7, "session_id": "s", "token": "t", **call})


def data(frame: bytes) -> Any:
    return json.loads(frame.removeprefix(b"data: "))


def progress(*steps: tuple[int, str]) -> list[Any]:
    """Return what is told of events with these percentages and messages."""
    encoder = make()
    events = [
        Event(seq=seq, type="progress", progress=percent, message=line, data={}, created_at=NOON)
        for seq, (percent, line) in enumerate(steps, 1)
    ]
    told = [data(frame)["params"] for event in events for frame in encoder.frames(event)]
    return [(each["progress"], each.get("message")) for each in told]


class TestMcp(DialectContract):
    name = "mcp"
    dialect = Mcp
    streams_words = False

    def make(self) -> Mcp:
        return make()

    def is_end(self, frame: bytes) -> bool:
        return b"id" in frame and "id" in data(frame)

    def words(self, frames: list[bytes]) -> str:
        return ""


def test_the_bytes_of_a_call() -> None:
    encoder = make()
    frames = [frame for event in log(LOGS["completed"]) for frame in encoder.frames(event)]
    about = f'"session_id":"s","job_id":"workflow_{"0" * 32}"'
    assert frames == [
        b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":'
        b'{"progressToken":"t","progress":50,"total":100,"message":"m"}}\n\n',
        b'data: {"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":'
        b'[{"type":"text","text":"One two three"}],"structuredContent":'
        b'{"response":"One two three","actions":[],"sources":[],'
        + about.encode()
        + b'},"isError":false,"_meta":{"io.modelcontextprotocol/serverInfo":'
        + json.dumps(SERVER, separators=(",", ":")).encode()
        + b"}}}\n\n",
    ]


def test_a_version_with_a_handshake_has_plain_results() -> None:
    encoder = make(is_modern=False)
    (frame,) = encoder.frames(log([("completed", ANSWER)])[0])
    assert data(frame)["result"].keys() == {"content", "structuredContent", "isError"}


def test_who_has_no_token_hears_of_the_end_only() -> None:
    encoder = make(token=None)
    frames = [
        frame for event in log([*BEGUN, ("failed", ERROR)]) for frame in encoder.frames(event)
    ]
    assert [data(frame)["id"] for frame in frames] == [7]


@pytest.mark.parametrize("end", ["failed", "timeout", "cancelled"])
def test_a_job_without_an_answer_is_a_tools_error(end: str) -> None:
    (frame,) = make().frames(log([(end, ERROR)])[0])
    result = data(frame)["result"]
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "The printer is on fire."}]
    assert result["structuredContent"] == {**ERROR, **ABOUT}


def test_what_no_page_may_link_to_is_no_address() -> None:
    result = answered({**ANSWER, "sources": [EVIL]}, **ABOUT)
    assert result["structuredContent"]["sources"] == [{"title": "Evil"}]


def test_a_question_is_the_answer() -> None:
    choices = [{"value": "s", "label": "Small"}, {"value": "l", "label": "Large"}]
    awaiting = {"kind": "choice", "prompt": "Which?", "choices": choices}
    outcome = {**ANSWER, "response": "Which?", "awaiting": awaiting}
    result = answered(outcome, **ABOUT)
    assert result["content"] == [{"type": "text", "text": "Which?\n1. Small\n2. Large"}]
    assert result["structuredContent"]["awaiting"] == awaiting
    assert "metadata" not in result["structuredContent"]


def test_progress_grows_with_each_notification() -> None:
    assert progress((0, "a"), (0, "a"), (10, "a"), (10, "b"), (10, ""), (5, "c"), (11, "c")) == [
        (0, "a"),
        (10, "a"),
        (10.001, "b"),
        (10.002, "c"),
        (11, "c"),
    ]
    assert progress((0, ""), (0, "")) == [(0, None)]


def test_callers_share_no_frames() -> None:
    calls: list[dict[str, Any]] = [
        {},
        {"call_id": "7"},
        {"token": None},
        {"token": 1},
        {"token": "1"},
        {"is_modern": False},
    ]
    assert len({make(**call).variant for call in calls}) == len(calls)
    assert make().variant == make().variant


TEXT = st.text(max_size=20)
EVENTS = st.tuples(
    st.sampled_from(["started", "progress", "step_started", "step_finished", "delta"]),
    st.integers(0, 100),
    TEXT,
)
ENDS: st.SearchStrategy[Said] = st.one_of(
    TEXT.map(lambda text: ("completed", {**ANSWER, "response": text})),
    st.tuples(st.sampled_from(["failed", "timeout", "cancelled"]), st.just(ERROR)),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.lists(EVENTS, max_size=8),
    ENDS,
    st.text(max_size=9) | st.integers(-9, 9),
    st.sampled_from(["2026-07-28", "2025-11-25"]),
)
def test_any_log_is_what_the_protocol_wants(
    steps: list[tuple[str, int, str]], end: Said, token: Any, version: str
) -> None:
    encoder = make(token=token, is_modern=version == "2026-07-28")
    events = [
        Event(seq=seq, type=kind, progress=percent, message=line, data={"delta": "x"})
        for seq, (kind, percent, line) in enumerate(steps, 1)
    ]
    *told, last = [
        data(frame) for event in [*events, *log([end])] for frame in encoder.frames(event)
    ]
    for message in told:
        jsonrpc_message_adapter.validate_python(message, by_name=False)
        methods.parse_server_notification(message["method"], version, message["params"])
    shown = [message["params"]["progress"] for message in told]
    assert shown == sorted(set(shown))
    assert all(number < 101 for number in shown)
    jsonrpc_message_adapter.validate_python(last, by_name=False)
    methods.validate_server_result("tools/call", version, last["result"])
