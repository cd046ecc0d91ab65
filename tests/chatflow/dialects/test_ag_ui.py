"""AG-UI: golden frames, the contract, and logs made by chance, judged by the protocol's client."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatflow.dialects import BREAK
from chatflow.dialects.ag_ui import KEPT, AgUi, Run, Thread
from chatflow.dialects.questions import in_words
from chatflow.workflows.models import Event
from tests.chatflow.dialects.contract import (
    ANSWER,
    BEGUN,
    ERROR,
    EVIL,
    LOGS,
    QUESTION,
    TAKEN_BACK,
    DialectContract,
    Said,
    job,
    log,
)

HEX = "0" * 32
IDS = {"threadId": "t", "runId": "r"}
MSG = {"messageId": f"msg_{HEX}"}
START = {"type": "TEXT_MESSAGE_START", **MSG, "role": "assistant"}
END = {"type": "TEXT_MESSAGE_END", **MSG}
HELLO = {"id": "u1", "role": "user", "content": "Hello"}
LATER = {"id": "u2", "role": "user", "content": "And?"}
THREAD = Thread.of([HELLO], [LATER])


def content(delta: str) -> dict[str, Any]:
    return {"type": "TEXT_MESSAGE_CONTENT", **MSG, "delta": delta}


def answer(text: str) -> dict[str, Any]:
    return {"id": f"msg_{HEX}", "role": "assistant", "content": text}


def delta(**values: Any) -> dict[str, Any]:
    patch = [{"op": "replace", "path": f"/{name}", "value": each} for name, each in values.items()]
    return {"type": "STATE_DELTA", "delta": patch}


def activity(progress: int, message: str) -> dict[str, Any]:
    return {
        "type": "ACTIVITY_SNAPSHOT",
        "messageId": f"progress_{HEX}",
        "activityType": "PROGRESS",
        "content": {"progress": progress, "message": message},
        "replace": True,
    }


def make(thread: Thread = THREAD) -> AgUi:
    return AgUi(job(), Run("t", "r"), thread)


def read(frames: bytes) -> list[dict[str, Any]]:
    blocks = frames.decode().removesuffix("\n\n").split("\n\n")
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def tell(encoder: AgUi, *events: Event) -> list[dict[str, Any]]:
    """Return what the client is told of these events."""
    frames = b"".join(frame for event in events for frame in encoder.frames(event))
    return read(frames) if frames else []


def event(type: str, progress: int = 0, message: str = "", **data: Any) -> Event:
    return Event(type=type, progress=progress, message=message, data=data)


def run(said: list[Said], cursor: int | None = None) -> list[dict[str, Any]]:
    """Return all that a client is told; one that comes back behind the first *cursor* events."""
    encoder, events = make(), log(said)
    if cursor is None:
        return [*read(encoder.connected(job())), *tell(encoder, *events)]
    told = tell(encoder, *events[:cursor])
    ended = cursor == len(events)
    return [
        *read(encoder.so_far(THREAD)),
        *(told[-1:] if ended else tell(encoder, *events[cursor:])),
    ]


class TestAgUi(DialectContract):
    name = "ag-ui"
    dialect = AgUi

    def is_end(self, frame: bytes) -> bool:
        return frame.startswith((b'data: {"type":"RUN_FINISHED', b'data: {"type":"RUN_ERROR'))

    def words(self, frames: list[bytes]) -> str:
        text = ""
        for frame in frames:
            (told,) = read(frame)
            if told["type"] == "TEXT_MESSAGE_CONTENT":
                text += told["delta"]
            elif told["type"] == "MESSAGES_SNAPSHOT":
                (text,) = [each["content"] for each in told["messages"] if each["id"][:3] == "msg"]
        return text


def test_what_no_page_may_link_to_is_no_address() -> None:
    told = tell(make(), *log([("completed", {**ANSWER, "sources": [EVIL]})]))
    (sources,) = (each["value"] for each in told if each.get("name") == "sources")
    assert sources == told[-1]["result"]["sources"] == [{"title": "Evil"}]


def test_a_run() -> None:
    done = {**ANSWER, "sources": [{"title": "You"}], "actions": [{"label": "Again"}]}
    encoder = make()
    assert encoder.connected(job()) == (
        b'data: {"type":"RUN_STARTED","threadId":"t","runId":"r"}\n\n'
        b'data: {"type":"STATE_SNAPSHOT","snapshot":{"jobId":"workflow_' + HEX.encode() + b'",'
        b'"status":"queued","progress":0,"message":""}}\n\n'
    )
    step = {"name": "Counting", "number": 1, "total": 1}
    assert tell(encoder, event("started")) == [delta(status="processing")]
    assert tell(encoder, event("step_started", 0, "Counting...", step=step)) == [
        {"type": "STEP_STARTED", "stepName": "Counting"},
        activity(0, "Counting..."),
        delta(message="Counting..."),
    ]
    assert tell(encoder, event("delta", delta="One")) == [START, content("One")]
    assert tell(encoder, event("delta", delta=" two")) == [content(" two")]
    assert tell(encoder, event("progress", 50, "Half")) == [
        activity(50, "Half"),
        delta(progress=50, message="Half"),
    ]
    assert tell(encoder, event("step_finished", 50, "Half", step={**step, "duration_ms": 7})) == [
        {"type": "STEP_FINISHED", "stepName": "Counting"}
    ]
    assert tell(encoder, event("completed", 100, "Completed", **done)) == [
        content(" three"),
        END,
        {"type": "CUSTOM", "name": "sources", "value": [{"title": "You"}]},
        {"type": "CUSTOM", "name": "actions", "value": [{"label": "Again"}]},
        delta(status="completed", progress=100, message="Completed"),
        {
            "type": "RUN_FINISHED",
            **IDS,
            "outcome": {"type": "success"},
            "result": {
                "response": "One two three",
                "actions": [{"label": "Again"}],
                "sources": [{"title": "You"}],
                "jobId": f"workflow_{HEX}",
            },
        },
    ]


def test_an_answer_that_differs_from_the_words() -> None:
    told = run([("started", {}), ("delta", {"delta": "Hm"}), ("completed", ANSWER)])

    assert [each["delta"] for each in told if "CONTENT" in each["type"]] == ["Hm"]
    assert told[-1]["result"]["response"] == "One two three"


def test_an_empty_answer() -> None:
    told = run(
        [("started", {}), ("delta", {"delta": ""}), ("completed", {**ANSWER, "response": ""})]
    )

    assert not [each for each in told if "TEXT" in each["type"]]


def test_failures() -> None:
    failed, late, stopped = (run(LOGS[name]) for name in ("failed", "timeout", "cancelled"))

    assert failed[-1] == {"type": "RUN_ERROR", "message": ERROR["error"], "code": "fire"}
    assert late[-1] == {"type": "RUN_ERROR", "message": "It ran too long.", "code": "timeout"}
    assert stopped[-1] == {"type": "RUN_FINISHED", **IDS, "outcome": {"type": "cancelled"}}


def test_a_question() -> None:
    told = run(LOGS["a question"])
    interrupt = {
        "id": f"ask_{HEX}",
        "reason": "text",
        "message": QUESTION["prompt"],
        "responseSchema": {"type": "string"},
    }
    outcome = {"type": "interrupt", "interrupts": [interrupt]}
    assert told[-1] == {"type": "RUN_FINISHED", **IDS, "outcome": outcome}


def test_a_question_that_may_be_skipped() -> None:
    asked = {**ANSWER, "awaiting": {**QUESTION, "optional": True}}
    (interrupt,) = run([("completed", asked)])[-1]["outcome"]["interrupts"]
    assert interrupt["metadata"] == {"optional": True}


def test_an_approval() -> None:
    awaiting = {
        "kind": "approval",
        "prompt": "Delete it?",
        "optional": False,
        "approval_id": "approval_x",
        "expires_at": "2026-01-14T13:45:00Z",
        "details": {"invoice": 7},
    }
    told = run([("completed", {**ANSWER, "awaiting": awaiting})])
    (interrupt,) = told[-1]["outcome"]["interrupts"]
    assert interrupt.pop("responseSchema")["required"] == ["approved"]
    assert interrupt == {
        "id": "approval_x",
        "reason": "approval",
        "message": "Delete it?",
        "expiresAt": "2026-01-14T13:45:00Z",
        "metadata": {"details": {"invoice": 7}},
    }


def test_a_choice_has_its_labels_in_words() -> None:
    awaiting = {"kind": "choice", "prompt": "Which?", "choices": [{"value": "r", "label": "Red"}]}
    told = run([("completed", {**ANSWER, "response": "Which?", "awaiting": awaiting})])

    assert content("Which?\n1. Red") in told


def test_steps_of_one_name() -> None:
    """Side by side, and of an attempt that was lost."""
    encoder = make()
    begins, ends = (event(f"step_{word}", step={"name": "s"}) for word in ("started", "finished"))
    told = tell(encoder, begins, begins, ends, begins, event("started"), begins, ends, ends)
    assert [(each["type"], each["stepName"]) for each in told if "stepName" in each] == [
        ("STEP_STARTED", "s"),
        ("STEP_STARTED", "s (2)"),
        ("STEP_FINISHED", "s (2)"),
        ("STEP_STARTED", "s (2)"),
        ("STEP_FINISHED", "s"),
        ("STEP_FINISHED", "s (2)"),
        ("STEP_STARTED", "s"),
        ("STEP_FINISHED", "s"),
    ]


def test_words_that_are_taken_back() -> None:
    encoder, events = make(), log(TAKEN_BACK)
    tell(encoder, *events[:5])

    assert tell(encoder, events[5]) == [
        END,
        {"type": "MESSAGES_SNAPSHOT", "messages": [HELLO, answer("One"), LATER]},
        START,
    ]
    assert tell(encoder, event("restarted", 50, "m", text_length=3)) == []


def test_who_has_a_long_thread_comes_back_for_them() -> None:
    long = Thread.of([{**HELLO, "content": "x" * KEPT}], [])
    encoder, events = make(long), log(TAKEN_BACK)
    tell(encoder, *events[:5])

    assert encoder.frames(events[5]) == [BREAK]
    (snapshot,) = [each for each in read(encoder.so_far(long)) if "messages" in each]
    assert snapshot["messages"][-1] == answer("One")


def test_a_client_that_comes_back() -> None:
    encoder = make()
    tell(encoder, *log(BEGUN[:4]))

    assert read(encoder.so_far(THREAD)) == [
        {"type": "RUN_STARTED", **IDS},
        {
            "type": "STATE_SNAPSHOT",
            "snapshot": {
                "jobId": f"workflow_{HEX}",
                "status": "processing",
                "progress": 50,
                "message": "m",
            },
        },
        {
            "type": "MESSAGES_SNAPSHOT",
            "messages": [
                HELLO,
                {
                    "id": f"progress_{HEX}",
                    "role": "activity",
                    "activityType": "PROGRESS",
                    "content": {"progress": 50, "message": "m"},
                },
                answer("One"),
                LATER,
            ],
        },
        START,
        {"type": "STEP_STARTED", "stepName": "Counting"},
    ]


@pytest.mark.parametrize("said", LOGS.values(), ids=LOGS.keys())
def test_a_client_that_comes_back_has_the_same_in_the_end(said: list[Said]) -> None:
    whole = shown(run(said))
    for cursor in range(len(said) + 1):
        assert shown(run(said, cursor)) == whole


def test_a_dropped_question() -> None:
    told = read(make().dropped())
    assert [each["type"] for each in told] == ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]
    assert told[-1]["outcome"] == {"type": "cancelled"}


def shown(told: list[dict[str, Any]]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return what a client shows in the end: the answer, its state, and the last event."""
    text, state = "", {}
    for each in told:
        match each["type"]:
            case "TEXT_MESSAGE_CONTENT":
                text += each["delta"]
            case "MESSAGES_SNAPSHOT":
                own = [one["content"] for one in each["messages"] if one["id"] == f"msg_{HEX}"]
                text = "".join(own)
            case "STATE_SNAPSHOT":
                state = each["snapshot"]
            case "STATE_DELTA":
                state |= {one["path"][1:]: one["value"] for one in each["delta"]}
    # A failure is told by its event alone.
    return text, {} if told[-1]["type"] == "RUN_ERROR" else state, told[-1]


# Logs made by chance. Here they are judged by what a client shows, and by the protocol's own client
# in tests/acceptance/clients/test_ag_ui.py.

WORD = st.text(max_size=5)
STEP = st.builds(lambda name, number: {"step": {"name": name, "number": number}}, WORD, st.none())
EVENT: st.SearchStrategy[Said] = st.one_of(
    st.tuples(st.just("delta"), st.builds(lambda word: {"delta": word}, WORD)),
    st.tuples(st.sampled_from(["step_started", "step_finished"]), STEP),
    st.tuples(st.sampled_from(["started", "progress"]), st.just({})),
    st.tuples(st.just("restarted"), st.builds(lambda n: {"text_length": n}, st.integers(0, 5))),
)
OFFERS = st.lists(st.dictionaries(st.sampled_from(["title", "url"]), WORD), max_size=2)
AWAITING = st.sampled_from(
    [
        QUESTION,
        {**QUESTION, "kind": "confirm"},
        {**QUESTION, "kind": "choice", "choices": [{"value": 1, "label": "One"}]},
        {**QUESTION, "kind": "form", "schema": {"type": "object", "properties": {}}},
        {
            **QUESTION,
            "kind": "approval",
            "approval_id": "approval_x",
            "expires_at": "2026-01-14T13:45:00Z",
        },
    ]
)
END_EVENT: st.SearchStrategy[Said] = st.one_of(
    st.tuples(
        st.just("completed"),
        st.fixed_dictionaries(
            {"response": WORD, "sources": OFFERS, "actions": OFFERS},
            optional={"awaiting": AWAITING},
        ),
    ),
    st.tuples(
        st.sampled_from(["failed", "timeout", "cancelled"]),
        st.just({"error": "It failed.", "code": ""}),
    ),
)
SAID = st.builds(lambda begun, end: [*begun, end], st.lists(EVENT, max_size=12), END_EVENT)


def standing(said: list[Said]) -> tuple[str, ...]:
    """Return what may stand in the end: the words, and as much more as the response has."""
    words, (_, end) = "", said[-1]
    for _, data in said:
        words = words[: data.get("text_length")] + data.get("delta", "")
    if "response" not in end:
        return (words,)
    whole = in_words(end["response"], end.get("awaiting"))
    return (whole,) if whole.startswith(words) else (words, whole)


def streams_of(said: list[Said]) -> Iterator[list[str]]:
    """Yield what a client reads over two connections, for each place where the first one breaks."""
    events, thread = log(said), Thread.of([HELLO], [])
    for event in events:
        event.progress, event.message = event.seq, f"No. {event.seq}"
    for cut in range(len(said) + 1):
        encoder = make(thread)
        opening = encoder.connected(job())
        begun = [frame for event in events[:cut] for frame in encoder.frames(event)]
        now = encoder.so_far(thread)
        rest = [frame for event in events[cut:] for frame in encoder.frames(event)]
        parts = ([opening, *begun], [now, *(rest or begun[-1:])])
        yield [b"".join(part).decode() for part in parts]


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(SAID)
def test_any_log(said: list[Said]) -> None:
    for parts in streams_of(said):
        frames = [each for part in parts for each in read(part.encode())]
        text, _, last = shown(frames)
        assert text in standing(said)
        assert last["type"] in ("RUN_FINISHED", "RUN_ERROR")
