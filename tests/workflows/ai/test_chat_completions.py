"""Chat completions as other servers speak them."""

import asyncio
import codecs
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatflow.workflows.ai.chat_completions import repair_completion, repair_stream

JSON = dict[str, Any]

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> JSON:
    delta = {} if content is None else {"content": content}
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def calls(*pieces: JSON) -> JSON:
    return {"choices": [{"index": 0, "delta": {"tool_calls": list(pieces)}}]}


HELLO, WORLD, STOP = chunk("Hello "), chunk("world"), chunk(finish="stop")
COUNTED = {"id": "c", "choices": [], "usage": USAGE}


def frames(*chunks: JSON | str) -> bytes:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in chunks]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def repaired(body: bytes, size: int = 7) -> list[Any]:
    """Return what becomes of a stream that comes in pieces of *size* bytes."""

    async def read() -> bytes:
        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), size):
                yield body[start : start + size]

        return b"".join([piece async for piece in repair_stream(pieces())])

    *events, last = asyncio.run(read()).decode().split("\n\n")
    assert last == ""
    texts = [event.removeprefix("data: ") for event in events]
    assert texts.pop() == "[DONE]"
    return [json.loads(text) for text in texts]


def words(chunks: list[Any]) -> str:
    said = [each["choices"][0]["delta"].get("content") for each in chunks if each["choices"]]
    return "".join(filter(None, said))


def reasons(chunks: list[Any]) -> list[str]:
    found = [each["choices"][0]["finish_reason"] for each in chunks if each["choices"]]
    return [reason for reason in found if reason is not None]


def usages(chunks: list[Any]) -> list[JSON]:
    return [each["usage"] for each in chunks if each.get("usage")]


@pytest.mark.parametrize("size", [1, 7])
def test_it_works(size: int) -> None:
    """What OpenAI sends stays as it is."""
    sent = [HELLO, WORLD, STOP, COUNTED]

    assert repaired(frames(*sent, "[DONE]"), size) == sent


def test_words_that_come_together_stay_together() -> None:
    both = chunk("Hello world")

    assert repaired(frames(HELLO, WORLD, STOP, COUNTED, "[DONE]"), 10_000) == [both, STOP, COUNTED]
    # Nothing else is put together.
    call = calls({"index": 0, "id": "a", "function": {"name": "add", "arguments": "{}"}})
    apart = [*map(words, ([each] for each in repaired(frames(HELLO, call, WORLD), 10_000)))]
    assert apart == ["Hello ", "", "world"]


def test_comments_and_line_ends() -> None:
    body = b": PROCESSING\r\n\r\nevent: message\r\ndata:" + json.dumps(HELLO).encode() + b"\r\n\r\n"

    assert repaired(body) == [HELLO]
    assert repaired(codecs.BOM_UTF8 + frames(HELLO)) == [HELLO]


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]},
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {"choices": [{"delta": {}, "finish_reason": ""}]},
    ],
)
def test_a_choice_that_says_nothing(odd: JSON) -> None:
    chunks = repaired(frames(HELLO, odd, WORLD, STOP, COUNTED, "[DONE]"))

    assert words(chunks) == "Hello world"
    assert [each["choices"][0]["delta"] for each in chunks[:3]][1] == {}
    assert reasons(chunks) == ["stop"]


def test_usage_in_every_chunk_is_told_once() -> None:
    """It is cumulative."""
    partial = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    sent = [HELLO | {"usage": partial}, WORLD | {"usage": USAGE}, STOP | {"usage": USAGE}]

    assert usages(repaired(frames(*sent, "[DONE]"))) == [USAGE]


def test_usage_that_is_sent_twice_is_told_once() -> None:
    sent = [HELLO, STOP | {"usage": USAGE}, COUNTED]

    assert usages(repaired(frames(*sent, "[DONE]"))) == [USAGE]


def test_usage_that_says_nothing() -> None:
    nothing = COUNTED | {"usage": dict.fromkeys(USAGE)}

    assert usages(repaired(frames(HELLO, STOP, nothing))) == []


def test_no_reason_for_the_end_of_a_complete_stream() -> None:
    """Who tells the usage of an answer has come to its end."""
    assert reasons(repaired(frames(HELLO, WORLD, COUNTED, "[DONE]"))) == ["stop"]
    assert reasons(repaired(frames(HELLO, WORLD, COUNTED))) == ["stop"]


def test_a_stream_that_is_not_complete() -> None:
    """A gateway may say that it is done when it has lost its provider."""
    assert reasons(repaired(frames(HELLO, "[DONE]"))) == []
    assert reasons(repaired(frames(HELLO | {"usage": USAGE}, "[DONE]"))) == []
    assert reasons(repaired(frames(COUNTED, HELLO))) == []


def test_a_whole_completion_instead_of_a_stream() -> None:
    message = {"role": "assistant", "content": "Hello world"}
    whole = {"id": "c", "choices": [{"index": 0, "message": message}], "usage": USAGE}

    for body in (json.dumps(whole).encode(), json.dumps(whole, indent=2).encode()):
        chunks = repaired(body)
        assert (words(chunks), reasons(chunks)) == ("Hello world", ["stop"])
        assert usages(chunks) == [USAGE]


@pytest.mark.parametrize(
    "data", ['{"error": {"message": "overloaded", "code": 529}}', '{"choices": "none"}', "3"]
)
def test_errors_and_garbage_are_the_sdks(data: str) -> None:
    assert repaired(frames(data)) == [json.loads(data)]


def piece(index: int | None, id_: str | None, name: str | None, arguments: str) -> JSON:
    return {"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "a", "look", '{"x"'), piece(0, None, None, ": 1}"), piece(1, "b", "see", "{}")],
        [piece(0, "a", "look", '{"x"'), piece(0, "a", "look", ": 1}"), piece(1, "b", "see", "{}")],
        [piece(0, "a", "look", '{"x": 1}'), piece(0, "b", "see", "{}")],
        [
            piece(None, "a", "look", '{"x"'),
            piece(None, "", "", ": 1}"),
            piece(None, "b", "see", "{}"),
        ],
        [piece(0, "a", "look", '{"x": 1}'), piece(1, "a", "see", "{}")],
    ],
)
def test_calls_are_told_apart(pieces: list[JSON]) -> None:
    found: dict[int, list[Any]] = {}
    for each in repaired(frames(*map(calls, pieces))):
        (call,) = each["choices"][0]["delta"]["tool_calls"]
        known = found.setdefault(call["index"], [[], "", ""])
        known[0] += [call["id"]] if call["id"] else []
        known[1] += call["function"]["name"] or ""
        known[2] += call["function"]["arguments"]

    (first, name, arguments), (second, *other) = found[0], found[1]
    assert (name, arguments, other) == ("look", '{"x": 1}', ["see", "{}"])
    assert len({*first, *second}) == 2


def complete(message: JSON | None = None, **more: Any) -> JSON:
    choice = {"index": 0, "message": message or {"content": "Hello"}, "finish_reason": ""}
    body = json.dumps({"choices": [choice], **more}).encode()
    found: JSON = json.loads(repair_completion(body))
    return found


@pytest.mark.parametrize("created", ["2024-01-01", "17.5", float("inf"), None])
def test_an_odd_moment(created: object) -> None:
    assert complete(created=created)["created"] in (0, 17)


def test_a_whole_completion() -> None:
    found = complete(
        created=1760000000.5, usage={"prompt_tokens": "100", "completion_tokens": 20.0}
    )

    assert (found["id"], found["object"], found["created"]) == ("", "chat.completion", 1760000000)
    assert found["usage"] == {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 0}
    (choice,) = found["choices"]
    assert choice["finish_reason"] is None
    assert choice["message"] == {"role": "assistant", "content": "Hello"}


def test_the_calls_of_a_whole_completion() -> None:
    call = {"function": {"name": "look", "arguments": {"x": 1}}}
    found = complete({"role": None, "tool_calls": [call, call]})

    first, second = found["choices"][0]["message"]["tool_calls"]
    assert first["function"]["arguments"] == '{"x": 1}'
    assert (first["type"], first["id"] != second["id"]) == ("function", True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices": []}', b'{"choices": [3]}'])
def test_what_is_no_completion_stays_as_it_is(body: bytes) -> None:
    assert repair_completion(body) == body


async def test_a_body_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is complete when it says so, though its connection can't be used again."""
    monkeypatch.setattr("chatflow.workflows.ai.chat_completions.REST", 0.0)

    async def pieces() -> AsyncIterator[bytes]:
        yield frames(HELLO, STOP, "[DONE]")
        await asyncio.Event().wait()

    read = [piece async for piece in repair_stream(pieces())]

    assert read[-1] == b"data: [DONE]\n\n"


async def heard(*sent: list[JSON]) -> tuple[list[str], list[list[Any]]]:
    """Return the words that are heard of a stream, and what is passed on piece by piece.

    Args:
        sent: the chunks of each piece of the stream.
    """
    found = []

    async def hear(words: str) -> bool:
        found.append(words)
        return True

    async def pieces() -> AsyncIterator[bytes]:
        for piece in sent:
            yield frames(*piece)
        yield frames("[DONE]")

    passed = []
    async for piece in repair_stream(pieces(), hear):
        *events, _ = piece.decode().split("\n\n")
        texts = [event.removeprefix("data: ") for event in events]
        passed.append([json.loads(text) for text in texts if text != "[DONE]"])
    return found, list(filter(None, passed))


async def test_words_that_are_heard_are_told_together() -> None:
    """Before whatever comes next, or at the end; behind that nothing is heard in its piece."""
    other = calls({"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}})
    found, passed = await heard([HELLO], [WORLD], [HELLO, other, WORLD], [WORLD, HELLO], [HELLO])

    assert found == ["Hello ", "world", "Hello ", "worldHello ", "Hello "]
    assert [words(piece) for piece in passed] == ["Hello worldHello world", "worldHello Hello "]
    assert len(passed[0]) == 3


async def test_half_a_character_is_not_heard() -> None:
    found, passed = await heard([chunk("\ud83d")], [chunk("\ude00")], [HELLO])

    assert found == ["Hello "]
    assert [words(piece) for piece in passed] == ["\ud83d", "\ude00", "Hello "]
