"""The AI SDK's dialect: frames, and the rules by which its client reads them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatflow.dialects import BREAK
from chatflow.dialects.ai_sdk import DONE, ENDING, AiSdk, decision, start
from chatflow.workflows.models import Job, Session
from tests.chatflow.dialects.contract import (
    ANSWER,
    BEGUN,
    LOGS,
    QUESTION,
    TAKEN_BACK,
    WORDS,
    DialectContract,
    Said,
    job,
    log,
)

Chunk = dict[str, Any]


def chunks(frames: list[bytes]) -> list[Chunk]:
    """Return what the client reads of *frames*."""
    read = [frame.removeprefix(b"data: ") for frame in frames if frame not in (DONE, BREAK)]
    return [json.loads(each) for each in read]


def encode(said: list[Said], **how: Any) -> list[bytes]:
    encoder = AiSdk(job(), **how)
    return [frame for event in log(said) for frame in encoder.frames(event)]


def told(said: list[Said], **how: Any) -> list[Chunk]:
    """Return the chunks of a log, without its progress."""
    read = chunks(encode(said, **how))
    return [each for each in read if each["type"] != "data-progress"]


def texts(read: list[Chunk]) -> list[str]:
    """Return the text parts that a client has who has read the chunks."""
    found: list[str] = []
    for each in read:
        if each["type"] == "text-start":
            found.append("")
        elif each["type"] == "text-delta":
            found[-1] += each["delta"]
    return found


class TestAiSdk(DialectContract):
    name = "ai-sdk"
    dialect = AiSdk

    def is_end(self, frame: bytes) -> bool:
        return frame == DONE

    def words(self, frames: list[bytes]) -> str:
        text = ""
        for each in chunks(frames):
            if each["type"] == "data-restarted":
                text = text[: each["data"]["text_length"]]
            text += each.get("delta", "")
        return text


def test_the_bytes_of_a_message() -> None:
    assert encode([WORDS[0], WORDS[1], WORDS[2], ("completed", ANSWER)]) == [
        b'data: {"type":"start-step"}\n\n',
        b'data: {"type":"text-start","id":"text"}\n\n',
        b'data: {"type":"text-delta","id":"text","delta":"One"}\n\n',
        b'data: {"type":"text-delta","id":"text","delta":" two"}\n\n',
        b'data: {"type":"text-delta","id":"text","delta":" three"}\n\n',
        b'data: {"type":"text-end","id":"text"}\n\n',
        b'data: {"type":"data-progress","id":"progress","data":{"progress":50,"message":"m"}}\n\n',
        b'data: {"type":"finish-step"}\n\n',
        b'data: {"type":"finish","finishReason":"stop"}\n\n',
        b"data: [DONE]\n\n",
    ]


def test_the_start_names_message_job_and_session() -> None:
    begun = Job(public_id="workflow_x", session=Session(key="s"))
    assert start("msg_x", begun) == (
        b'data: {"type":"start","messageId":"msg_x",'
        b'"messageMetadata":{"jobId":"workflow_x","sessionId":"s"}}\n\n'
    )


def test_progress_is_told_when_it_changes() -> None:
    step = {"name": "Counting", "number": 1, "total": 1}
    told = [each["data"] for each in chunks(encode(BEGUN)) if each["type"] == "data-progress"]
    still = {"progress": 50, "message": "m"}

    assert told == [still, {**still, "step": step}, still]


@pytest.mark.parametrize(
    ("response", "parts"),
    [
        ("One two three", ["One two three"]),
        ("One two three four", ["One two three four"]),
        # Stripped, as workflows do with what models say.
        ("Onetwothree", ["One two three"]),
        ("Another.", ["One two three", "Another."]),
        ("", ["One two three"]),
    ],
)
def test_the_response_at_the_end(response: str, parts: list[str]) -> None:
    read = told([*WORDS, ("completed", {**ANSWER, "response": response})])
    assert texts(read) == parts


def test_sources_and_actions() -> None:
    sources = [
        {"title": "Tea", "url": "/ai-demo/knowledge/pages/x"},
        {"title": "Evil", "url": "javascript:alert(1)"},
        {"title": "Odd", "url": "http://[x"},
        {"url": "https://a.example/"},
        {"title": "You"},
    ]
    actions = [{"type": "quick_reply", "label": "Again"}]
    read = told([("completed", {**ANSWER, "sources": sources, "actions": actions})])

    assert [each for each in read if "source" in each["type"] or "actions" in each["type"]] == [
        {
            "type": "source-url",
            "sourceId": "source_1_1",
            "url": "/ai-demo/knowledge/pages/x",
            "title": "Tea",
        },
        *(
            {
                "type": "source-document",
                "sourceId": f"source_1_{place}",
                "mediaType": "text/plain",
                "title": title,
            }
            for place, title in ((2, "Evil"), (3, "Odd"))
        ),
        {"type": "source-url", "sourceId": "source_1_4", "url": "https://a.example/"},
        {
            "type": "source-document",
            "sourceId": "source_1_5",
            "mediaType": "text/plain",
            "title": "You",
        },
        {"type": "data-actions", "id": "actions", "data": actions},
    ]


def test_a_question() -> None:
    choices = [{"value": 1, "label": "Tea"}, {"value": 2, "label": "Milk"}]
    awaiting = {"kind": "choice", "prompt": "Which?", "optional": False, "choices": choices}
    asked = {**ANSWER, "response": "Which?", "awaiting": awaiting}
    read = told([("delta", {"delta": "Hm. "}), ("completed", asked)])

    assert texts(read) == ["Hm. ", "Which?\n1. Tea\n2. Milk"]
    assert {"type": "data-awaiting", "id": "awaiting", "data": awaiting} in read
    assert read[-1] == {"type": "finish", "finishReason": "stop"}


def test_an_approval() -> None:
    awaiting = {
        "kind": "approval",
        "prompt": "Delete?",
        "optional": False,
        "approval_id": "approval_x",
        "details": {"rows": 3},
    }
    read = told([("completed", {**ANSWER, "response": "Delete?", "awaiting": awaiting})])

    assert texts(read) == ["Delete?"]
    assert read[-4:-2] == [
        {
            "type": "tool-input-available",
            "toolCallId": "approval_x",
            "toolName": "approve",
            "input": {"prompt": "Delete?", "details": {"rows": 3}},
            "dynamic": True,
        },
        {"type": "tool-approval-request", "approvalId": "approval_x", "toolCallId": "approval_x"},
    ]


def test_a_decision() -> None:
    assert chunks([decision("x", True, "old"), decision("x", False, "new")]) == [
        {
            "type": "tool-output-available",
            "toolCallId": "x",
            "output": {"approved": True, "reason": "old"},
        },
        {"type": "tool-output-denied", "toolCallId": "x"},
    ]


def test_what_goes_on_with_a_message_has_words_of_its_own() -> None:
    read = told([*WORDS, ("completed", ANSWER)], number=2)
    assert {each["id"] for each in read if "text" in each["type"]} == {"text-2"}


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("failed", {"type": "error", "errorText": "The printer is on fire."}),
        ("timeout", {"type": "error", "errorText": "It ran too long."}),
        ("cancelled", {"type": "abort", "reason": "cancelled"}),
        ("cancelled in the queue", {"type": "abort", "reason": "cancelled"}),
    ],
)
def test_no_success(name: str, end: Chunk) -> None:
    frames = encode(LOGS[name])
    assert frames[-1] == DONE
    assert chunks(frames)[-1] == end
    assert not any(each["type"] == "finish" for each in chunks(frames))


def test_the_stream_breaks_off_where_words_are_taken_back() -> None:
    frames = encode(TAKEN_BACK[:6])
    assert frames[-1] == BREAK
    assert chunks(frames)[-2:] == [
        {"type": "text-end", "id": "text"},
        {"type": "data-restarted", "data": {"text_length": 3}, "transient": True},
    ]


def test_where_no_word_is_taken_back_it_goes_on() -> None:
    again: Said = ("restarted", {"attempt": 2, "text_length": 3})
    said = [("started", {}), WORDS[0], again, *WORDS[1:], ("completed", ANSWER)]
    frames = encode(said)
    assert BREAK not in frames
    assert texts(chunks(frames)) == ["One two three"]


def test_who_comes_back_has_the_words_that_stand() -> None:
    frames = encode([*TAKEN_BACK, ("completed", ANSWER)], restarts=1)
    assert BREAK not in frames
    assert texts(chunks(frames)) == ["One two three"]


def test_a_second_time() -> None:
    said: list[Said] = [
        *TAKEN_BACK,
        ("restarted", {"attempt": 3, "text_length": 0}),
        ("delta", {"delta": "Ünd"}),
    ]
    assert encode(said, restarts=1)[-3:] != encode(said, restarts=2)[-3:]
    assert BREAK in encode(said, restarts=1)
    assert texts(told(said, restarts=2)) == ["Ünd"]


# Logs by chance, judged by the rules of the client.

WORD = st.text(max_size=5)
STEP = st.builds(lambda name: {"step": {"name": name, "number": 1, "total": 2}}, WORD)
EVENT: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.just("delta"), st.builds(lambda word: {"delta": word}, WORD)),
    st.tuples(st.sampled_from(["step_started", "step_finished"]), STEP),
    st.tuples(st.sampled_from(["started", "progress"]), st.just({})),
    st.tuples(st.just("restarted"), st.builds(lambda n: {"text_length": n}, st.integers(0, 5))),
)
APPROVAL = {**QUESTION, "kind": "approval", "approval_id": "approval_x"}
END = st.one_of(
    st.tuples(
        st.just("completed"),
        st.fixed_dictionaries(
            {
                **{name: st.just(value) for name, value in ANSWER.items()},
                "response": WORD,
                "sources": st.lists(st.dictionaries(st.sampled_from(["title", "url"]), WORD)),
            },
            optional={"awaiting": st.sampled_from([QUESTION, APPROVAL])},
        ),
    ),
    st.tuples(
        st.sampled_from(["failed", "timeout", "cancelled"]),
        st.just({"error": "It failed.", "code": "x"}),
    ),
)
SAID = st.builds(lambda said, end: [*said, end], st.lists(EVENT, max_size=12), END)
ENDS = {"finish", "error", "abort"}


def judge(read: list[Chunk]) -> None:
    """See to it that the client's reader would take these chunks: each part is open when used."""
    open_texts: set[str] = set()
    tools: set[str] = set()
    assert read[0] == {"type": "start-step"}
    for each in read:
        match each["type"]:
            case "text-start":
                assert each["id"] not in open_texts
                open_texts.add(each["id"])
            case "text-delta":
                assert each["id"] in open_texts
                assert each["delta"]
            case "text-end":
                open_texts.remove(each["id"])
            case "tool-input-available":
                tools.add(each["toolCallId"])
            case "tool-approval-request":
                assert each["toolCallId"] in tools
            case "source-document":
                assert isinstance(each["title"], str)
    assert not open_texts
    assert [each["type"] for each in read if each["type"] in ENDS] == [read[-1]["type"]]


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(said=SAID)
def test_any_log(said: list[Said]) -> None:
    restarts, words = 0, ""
    for _, data in said:
        stands = words[: data.get("text_length")]
        restarts += stands != words
        words = stands + data.get("delta", "")
    for known in range(restarts + 1):
        frames = encode(said, restarts=known)
        assert frames.count(BREAK) == restarts - known
        assert frames == encode(said, restarts=known)
        if known == restarts:
            judge(chunks(frames))
            if said[-1][0] == "completed":
                assert frames[-2:] == ENDING
    assert "".join(texts(told(said, restarts=restarts))).startswith(words)
