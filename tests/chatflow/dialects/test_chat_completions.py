"""OpenAI's Chat Completions."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as rules
from openai.types.chat import ChatCompletionChunk

from chatflow.dialects import CLOSE, Dialect
from chatflow.dialects.chat_completions import DONE, ChatCompletions
from tests.chatflow.dialects import openai_logs
from tests.chatflow.dialects.contract import ANSWER, BEGUN, DialectContract, Said, log

HEAD = (
    '"id":"chatcmpl-00000000000000000000000000000000","object":"chat.completion.chunk",'
    '"created":1768311900,"model":"echo"'
)


def data(frame: bytes) -> Any:
    """Return what a client finds in a frame; None for the last line, and for comments."""
    if frame in (DONE, CLOSE):
        return None
    return json.loads(frame.removeprefix(b"data: "))


def read(frames: list[bytes], field: str = "content") -> str:
    """Return what the deltas of *frames* make together."""
    text = ""
    for chunk in map(data, frames):
        for choice in (chunk or {}).get("choices", ()):
            text += choice["delta"].get(field, "")
    return text


def make(**options: Any) -> ChatCompletions:
    return ChatCompletions(openai_logs.job(), "echo", **options)


def encode(said: list[Said], **options: Any) -> list[bytes]:
    encoder = make(**options)
    return [frame for event in log(said) for frame in encoder.frames(event)]


class TestChatCompletions(DialectContract):
    name = "chat-completions"
    dialect = ChatCompletions
    takes_back = False

    def make(self) -> Dialect:
        return make()

    def is_end(self, frame: bytes) -> bool:
        return frame == DONE or frame.startswith(b'data: {"error"')

    def words(self, frames: list[bytes]) -> str:
        return read(frames)


def test_the_bytes() -> None:
    encoder = make(with_usage=True)
    completed = ("completed", {**ANSWER, "response": "One", "usage": openai_logs.USAGE})
    frames = [frame for event in log([BEGUN[3], completed]) for frame in encoder.frames(event)]

    def chunk(choices: str, more: str = "") -> bytes:
        return f'data: {{{HEAD},"choices":[{choices}]{more}}}\n\n'.encode()

    def delta(delta: str, finish: str = "null") -> bytes:
        return chunk(f'{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}')

    assert [encoder.connected(openai_logs.job()), *frames] == [
        delta('"role":"assistant","content":""'),
        delta('"reasoning_content":"m\\n"'),
        delta('"content":"One"'),
        delta("", '"stop"'),
        chunk("", ',"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}'),
        b"data: [DONE]\n\n",
    ]


@pytest.mark.parametrize("kind", ["failed", "timeout", "cancelled"])
def test_what_failed_ends_without_a_reason_to_finish(kind: str) -> None:
    frames = encode([*BEGUN, (kind, {"error": "It broke.", "code": "broken"})])
    assert frames[-1] == (
        b'data: {"error":{"message":"It broke.","type":"server_error","code":"broken"}}\n\n'
    )
    assert DONE not in frames


def test_sources_are_in_the_last_delta() -> None:
    sources = [{"title": "T", "url": "/t", "relevance": 7}]
    frames = encode([*BEGUN, ("completed", {**ANSWER, "sources": sources})])
    cited = data(frames[-3])["choices"][0]["delta"]["annotations"]
    about = {"url": "/t", "title": "T", "start_index": 0, "end_index": 13}
    assert cited == [{"type": "url_citation", "url_citation": about}]


@pytest.mark.parametrize(
    ("response", "rest"),
    [
        ("One two three four", " four"),
        ("One two three\n", "\n"),
        ("three", ""),
        ("Else", "\n\nElse"),
    ],
)
def test_the_answer_is_shown_whatever_was_streamed(response: str, rest: str) -> None:
    frames = encode([*BEGUN, ("completed", {**ANSWER, "response": response})])
    assert read(frames) == "One two three" + rest


def test_a_question_shows_its_choices() -> None:
    awaiting = openai_logs.QUESTIONS[2]
    completed = {**ANSWER, "response": "Which?", "awaiting": awaiting}
    assert read(encode([("completed", completed)])) == "Which?\n1. Red\n2. Blue"


def restarted(length: int) -> Said:
    return "restarted", {"attempt": 2, "text_length": length}


@pytest.mark.parametrize("again", [["One two", " three"], ["One two three four"], ["O", "ne two"]])
def test_words_that_come_again_are_not_sent_again(again: list[str]) -> None:
    deltas: list[Said] = [("delta", {"delta": each}) for each in again]
    response = "".join(again)
    completed = ("completed", {**ANSWER, "response": max(response, "One two three", key=len)})
    frames = encode([*BEGUN, restarted(0), *deltas, completed])
    assert read(frames) == completed[1]["response"]
    assert frames[-1] == DONE


def test_other_words_end_the_stream() -> None:
    frames = encode([*BEGUN, restarted(4), ("delta", {"delta": "too"})])
    assert data(frames[-2])["error"]["code"] == "restarted"
    assert frames[-1] == CLOSE


def test_words_that_never_come_again_do_too() -> None:
    frames = encode([*BEGUN, restarted(4), ("completed", {**ANSWER, "response": "One more"})])
    assert data(frames[-1])["error"]["code"] == "restarted"
    assert read(frames) == "One two three"


def test_clients_that_want_something_else_share_no_frames() -> None:
    variants = {make().variant, make(with_usage=True).variant}
    variants.add(ChatCompletions(openai_logs.job(), "other").variant)
    assert len(variants) == 3


@rules(max_examples=100, derandomize=True, database=None, deadline=None)
@given(openai_logs.logs())
def test_any_log_makes_chunks_as_openai_describes_them(said: list[Said]) -> None:
    encoder = make(with_usage=True)
    frames = [encoder.connected(openai_logs.job())]
    for event in openai_logs.events(said):
        frames += encoder.frames(event)
        if frames[-1] == CLOSE:
            break
    *chunks, last = [frame for frame in frames if frame != CLOSE]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(data(chunk), strict=True)
    reasons = [each["finish_reason"] for chunk in chunks for each in data(chunk)["choices"]]
    if last != DONE:
        assert data(last)["error"]["type"] == "server_error"
        assert set(reasons) == {None}
        return
    assert reasons[-1] == "stop"
    assert set(reasons[:-1]) == {None}
    assert read(frames).rstrip().endswith(said[-1][1]["response"].strip()[-200:]) or said[-1][
        1
    ].get("awaiting")
