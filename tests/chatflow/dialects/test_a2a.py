"""A2A's encoder; a2a-sdk's own protobuf messages are the judge of all that it says."""

import json
from typing import Any

import pytest
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types import StreamResponse, Task, TaskState
from a2a.utils.proto_utils import validate_proto_required_fields
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st

from chatflow.dialects.a2a import A2A, ANSWER, PROGRESS
from chatflow.workflows.models import Job, Session, State
from tests.chatflow.dialects.contract import (
    ANSWER as RESPONSE,
)
from tests.chatflow.dialects.contract import (
    BEGUN,
    ERROR,
    EVIL,
    LOGS,
    NOON,
    QUESTION,
    TAKEN_BACK,
    DialectContract,
    Said,
    log,
)

HEX = "0" * 32
ADDRESS = {"taskId": f"workflow_{HEX}", "contextId": "s"}
ENDS = {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
    TaskState.TASK_STATE_INPUT_REQUIRED,
}


def turn(**fields: Any) -> Job:
    return Job(public_id=f"workflow_{HEX}", session=Session(key="s"), created_at=NOON, **fields)


def data(frame: bytes) -> Any:
    """Return the result that a frame holds."""
    return json.loads(frame.removeprefix(b"data: "))["result"]


def read(frame: bytes) -> StreamResponse:
    """Read a frame as the real client does, but let nothing pass that the protocol lacks."""
    found: StreamResponse = ParseDict(data(frame), StreamResponse())
    validate_proto_required_fields(found)
    return found


def follow(task: Task, frames: list[bytes]) -> Task:
    """Keep up with a task, by the SDK's own rules."""
    for update in map(read, frames):
        if update.HasField("artifact_update"):
            append_artifact_to_task(task, update.artifact_update)
        elif update.HasField("status_update"):
            task.status.CopyFrom(update.status_update.status)
        else:
            task = update.task
    return task


def answer(task: Task) -> str:
    return "".join(part.text for each in task.artifacts for part in each.parts)


class TestA2A(DialectContract):
    name = "a2a"
    dialect = A2A

    def make(self) -> A2A:
        return A2A(turn(), "call")

    def is_end(self, frame: bytes) -> bool:
        return bool(frame) and read(frame).status_update.status.state in ENDS

    def words(self, frames: list[bytes]) -> str:
        return answer(follow(Task(id=ADDRESS["taskId"]), frames))


def encode(said: list[Said], encoder: A2A | None = None) -> list[Any]:
    encoder = encoder or A2A(turn(), 7)
    return [data(frame) for event in log(said) for frame in encoder.frames(event)]


def status(state: str, *parts: Any, name: str = "", **more: Any) -> Any:
    said = {"messageId": f"msg_{HEX}{name}", **ADDRESS, "role": "ROLE_AGENT", "parts": list(parts)}
    message = {"message": said} if parts else {}
    shown = {"state": f"TASK_STATE_{state}", "timestamp": "2026-01-13T13:45:00Z", **message}
    return {"statusUpdate": {**ADDRESS, "status": shown, **more}}


def artifact(text: str, *, append: bool, last: bool = False, **metadata: Any) -> Any:
    cited = {"metadata": metadata} if metadata else {}
    shown = {"artifactId": ANSWER, "parts": [{"text": text}], **cited}
    return {"artifactUpdate": {**ADDRESS, "artifact": shown, "append": append, "lastChunk": last}}


TRACKER = {"id": "job", "progress": 50, "total": 100, "message": "m"}
WORKING = status("WORKING", {"text": "m"}, name="_1", metadata={PROGRESS: {"trackers": [TRACKER]}})


def test_the_bytes_of_a_frame() -> None:
    (frame,) = A2A(turn(), "c").frames(log([("cancelled", ERROR)])[0])
    assert frame.startswith(
        b'data: {"jsonrpc":"2.0","id":"c","result":{"statusUpdate":{"taskId":"workflow_000'
    )


def test_a_whole_turn() -> None:
    sources = [{"title": "You", "url": "/you"}]
    said = [*BEGUN, ("completed", {**RESPONSE, "sources": sources})]
    assert encode(said) == [
        WORKING,
        artifact("One", append=False),
        artifact(" two", append=True),
        artifact(" three", append=True),
        artifact("", append=True, last=True, sources=sources),
        status("COMPLETED"),
    ]


def test_what_no_page_may_link_to_is_no_address() -> None:
    told = encode([("completed", {**RESPONSE, "sources": [EVIL]})])
    assert told[0]["artifactUpdate"]["artifact"]["metadata"] == {"sources": [{"title": "Evil"}]}


def test_a_line_of_progress_is_told_once() -> None:
    events = log([("started", {}), ("progress", {}), ("progress", {}), ("progress", {})])
    for event, line, percent in zip(events, ("", "a", "a", "a"), (0, 0, 0, 10), strict=True):
        event.message, event.progress = line, percent
    encoder = A2A(turn())
    frames = [data(frame) for event in events for frame in encoder.frames(event)]
    told = [frame["statusUpdate"] for frame in frames]
    assert ["message" in each["status"] for each in told] == [False, True, True]
    assert [each["metadata"][PROGRESS]["trackers"][0]["progress"] for each in told] == [0, 0, 10]


def test_words_that_are_taken_back() -> None:
    assert encode(TAKEN_BACK)[1:] == [
        artifact("One", append=False),
        artifact(" two", append=True),
        artifact("One", append=False),
        artifact(" two", append=True),
        artifact(" three", append=True),
    ]


@pytest.mark.parametrize(
    ("words", "response", "last"),
    [
        (["Hello"], "Hello you", artifact(" you", append=True, last=True)),
        (["Hello "], "Hello", artifact("Hello", append=False, last=True)),
        (["Hm"], "Hello", artifact("Hello", append=False, last=True)),
        (["Hello"], "", artifact("", append=True, last=True)),
        ([], "Hello", artifact("Hello", append=False, last=True)),
    ],
)
def test_the_response_has_the_last_word(words: list[str], response: str, last: Any) -> None:
    said: list[Said] = [("delta", {"delta": word}) for word in words]
    said.append(("completed", {**RESPONSE, "response": response}))
    assert encode(said)[-2:] == [last, status("COMPLETED")]


def test_an_answer_without_words_is_no_artifact() -> None:
    done: Said = ("completed", {**RESPONSE, "response": ""})
    assert encode([done]) == [status("COMPLETED")]


def test_a_question() -> None:
    choices = [{"value": 1, "label": "Red"}, {"value": 2, "label": "Blue"}]
    awaiting = {"kind": "choice", "prompt": "Which?", "choices": choices}
    asked = {**RESPONSE, "response": "Which?", "awaiting": awaiting}
    assert encode([("started", {}), ("completed", asked)])[1:] == [
        status("INPUT_REQUIRED", {"text": "Which?\n1. Red\n2. Blue"}, {"data": awaiting})
    ]


def test_a_failure() -> None:
    sentence, code = {"text": ERROR["error"]}, {"data": {"code": ERROR["code"]}}
    assert encode([("failed", ERROR)]) == [status("FAILED", sentence, code)]
    assert encode([("timeout", ERROR)]) == [status("FAILED", sentence, code)]
    assert encode([("cancelled", ERROR)]) == [status("CANCELED", sentence, code)]


def test_a_call_of_another_id_is_answered_apart() -> None:
    assert A2A(turn(), 1).variant != A2A(turn(), "1").variant
    assert A2A(turn(), 1).variant == A2A(turn(), 1).variant


def test_states_are_the_protocols() -> None:
    assert {A2A.status(state) for state in State} <= set(TaskState.keys())


@pytest.mark.parametrize("said", LOGS.values(), ids=LOGS)
def test_whoever_joins_late_knows_as_much(said: list[Said]) -> None:
    """A snapshot behind any event, and what is new from there, make up the same task."""
    events = log(said)
    for joined in range(len(events)):
        early, late = A2A(turn(), 1), A2A(turn(), 1)
        first = [early.snapshot()]
        first += [frame for event in events for frame in early.frames(event)]
        for event in events[:joined]:
            late.frames(event)
        second = [late.snapshot()]
        second += [frame for event in events[joined:] for frame in late.frames(event)]
        one, other = follow(Task(), first), follow(Task(), second)
        assert answer(one) == answer(other)
        assert one.status == other.status


LINE = st.text(max_size=5)
CITED = st.lists(st.fixed_dictionaries({"title": LINE, "url": LINE}), max_size=2)
EVENTS: Any = st.one_of(
    st.tuples(st.just("started"), st.just({})),
    st.tuples(st.just("progress"), st.just({})),
    st.tuples(st.just("delta"), st.fixed_dictionaries({"delta": LINE})),
    st.tuples(st.just("restarted"), st.fixed_dictionaries({"text_length": st.integers(0, 9)})),
)
ENDINGS = st.one_of(
    st.tuples(
        st.just("completed"),
        st.fixed_dictionaries(
            {"response": LINE, "sources": CITED, "actions": CITED},
            optional={"awaiting": st.just(QUESTION)},
        ),
    ),
    st.tuples(st.sampled_from(["failed", "timeout", "cancelled"]), st.just(ERROR)),
)


@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(
    begun=st.lists(st.tuples(EVENTS, LINE, st.integers(0, 100)), max_size=8),
    ending=ENDINGS,
)
def test_any_log_is_a_task_by_the_sdks_rules(begun: Any, ending: Said) -> None:
    events = log([said for said, _, _ in begun] + [ending])
    for event, (_, line, percent) in zip(events, begun, strict=False):
        event.message, event.progress = line, percent
    encoder = A2A(turn(), 1)
    frames = [encoder.snapshot(), *(frame for event in events for frame in encoder.frames(event))]

    task = follow(Task(), frames)

    *others, last = map(read, frames)
    assert last.status_update.status.state in ENDS
    assert not any(each.status_update.status.state in ENDS for each in others)
    if task.status.state == TaskState.TASK_STATE_COMPLETED and ending[1]["response"]:
        assert answer(task) == ending[1]["response"]
    # What is asked for afterwards is the same.
    assert answer(follow(Task(), [encoder.snapshot()])) == answer(task)
