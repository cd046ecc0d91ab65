"""OpenAI's chat completions as other servers speak them, put right before an SDK reads them.

Servers leave fields out, repeat the usage in each chunk, or never say that the answer has ended.
The SDK reads what OpenAI sends, and pydantic-ai trusts it.
"""

import asyncio
import codecs
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Any, cast

from pydantic_core import from_json

from chatflow.workflows.ai.network import MOST
from chatflow.workflows.ai.short_cut import Hear

JSON = dict[str, Any]

DONE = b"[DONE]"
# Seconds that the end of a body may come later than that of the answer in it, and be read later.
REST = 0.2 + MOST
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


async def repair_stream(
    body: AsyncIterator[bytes], hear: Hear | None = None
) -> AsyncIterator[bytes]:
    """Yield a streamed completion as OpenAI would send it.

    Words that come together stay together: where hundreds of models speak at once, an SDK takes
    longer to read a chunk than a model to say it. What was heard before the SDK reads it comes with
    whatever follows.

    Args:
        body: as the server sends it. It may be a whole completion instead of a stream.
        hear: hears words before the SDK reads them.
    """
    chunks, events, told = Chunks(), Events(), Told(hear)
    async for piece in body:
        if repaired := await told.pass_on(chunks.repair(events.feed(piece))):
            yield _frames(repaired)
        if events.are_over:
            break
    rest = await told.pass_on(chunks.repair(events.close()))
    yield _frames([*rest, *told.take(), *chunks.close()])
    # Who reads the answer stops at its end; the connection can be used again once it is read to the
    # body's, which a server may owe us.
    with suppress(TimeoutError):
        async with asyncio.timeout(REST):
            async for _ in body:
                pass
    yield _frames([DONE])


def repair_completion(body: bytes) -> bytes:
    """Return a whole completion as OpenAI would send it; any other body unchanged."""
    completion = _read_object(body)
    choices = _read_objects(completion.get("choices"))
    if not choices:
        return body
    completion["id"] = completion.get("id") or ""
    completion["object"] = "chat.completion"
    completion["created"] = _read_number(completion.get("created"))
    completion["usage"] = _read_usage(completion.get("usage"))
    for choice in choices:
        choice["finish_reason"] = choice.get("finish_reason") or None
        _repair_message(choice.get("message"))
    return json.dumps(completion).encode()


class Chunks:
    """Puts the chunks of one stream right, one after the other."""

    def __init__(self) -> None:
        # What all chunks have in common; the last usage that a chunk told; whether a chunk gave
        # the reason for the end, and whether one told the usage only, as the last one does.
        self._common: JSON = {}
        self._usage: JSON | None = None
        self._gave_reason = self._was_counted = False
        self._calls = Calls()

    def repair(self, events: list[bytes]) -> list[JSON | bytes]:
        """Return the chunks in these events as OpenAI would send them; as it is what is none."""
        repaired: list[JSON | bytes] = []
        for event in events:
            chunk = self._repair_chunk(event)
            if chunk is not None and not (repaired and _join(repaired[-1], chunk)):
                repaired.append(chunk)
        return repaired

    def _repair_chunk(self, data: bytes) -> JSON | bytes | None:
        """Return a chunk; as it is where it is none, and None if it says nothing."""
        chunk = _read_object(data)
        choices = _read_objects(chunk.get("choices"))
        if not chunk or chunk.get("error") or (chunk.get("choices") and not choices):
            # An error, or garbage: the SDK says which.
            return data
        usage = _read_usage(chunk.pop("usage", None))
        if usage is not None:
            # All that was used so far, so the last one counts; it is told once, at the end.
            self._usage = usage
        if usage is not None or choices:
            self._was_counted = not choices
        self._common = {key: value for key, value in chunk.items() if key != "choices"}
        for choice in choices:
            self._repair_choice(choice)
        return chunk | {"choices": choices} if choices else None

    def close(self) -> Iterator[JSON]:
        """Yield the chunks that the stream has still to say: why it has ended, and its usage."""
        if self._was_counted and not self._gave_reason:
            # Who tells the usage of an answer has come to its end.
            choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
            yield self._common | {"choices": [choice]}
        if self._usage is not None:
            yield self._common | {"choices": [], "usage": self._usage}

    def _repair_choice(self, choice: JSON) -> None:
        message = choice.pop("message", None)
        if isinstance(message, dict):
            # A whole completion where a stream was wanted.
            _repair_message(message)
            choice["delta"] = message
            choice["finish_reason"] = choice.get("finish_reason") or "stop"
        if not isinstance(choice.get("delta"), dict):
            choice["delta"] = {}
        for call in _read_objects(choice["delta"].get("tool_calls")):
            self._calls.repair(call)
        choice["index"] = choice.get("index") or 0
        choice["finish_reason"] = choice.get("finish_reason") or None
        self._gave_reason = self._gave_reason or choice["finish_reason"] is not None


class Calls:
    """Tells the calls of tools apart whose pieces come in the chunks of one stream."""

    def __init__(self) -> None:
        # By their own numbers: the index and the id that the server gave each, and its name.
        self._begun: list[tuple[Any, str | None, str | None]] = []

    def repair(self, call: JSON) -> None:
        """Give a piece of a call the number of that call, and the first one an id of its own."""
        function = call["function"] = call.get("function") or {}
        index, id_, name = call.get("index"), call.get("id") or None, function.get("name")
        number = self._find(index, id_)
        if number is None:
            number = len(self._begun)
            is_known = any(id_ == other for _, other, _ in self._begun)
            call["id"] = f"{id_}_{number}" if id_ and is_known else id_
            self._begun.append((index, id_, name))
        else:
            call["id"] = None
            if name == self._begun[number][2]:
                function["name"] = None
        call["index"] = number

    def _find(self, index: Any, id_: str | None) -> int | None:
        for number in reversed(range(len(self._begun))):
            other_index, other_id, _ = self._begun[number]
            if id_ is None and index is None:
                return number
            if index == other_index and id_ in (None, other_id):
                return number
        return None


class Told:
    """The words that somebody has heard, and that the SDK is told together: it takes long to read.

    Args:
        hear: offered words before the SDK reads them; says whether it has heard them.
    """

    def __init__(self, hear: Hear | None) -> None:
        self._hear = hear
        self._heard: JSON | None = None

    async def pass_on(self, chunks: list[JSON | bytes]) -> list[JSON | bytes]:
        """Return what of these chunks the SDK is to read now, behind what it was not told yet."""
        passed: list[JSON | bytes] = []
        for chunk in chunks:
            # Once it has something to read, nothing overtakes that.
            if passed or not await self._is_heard(chunk):
                passed += [*self.take(), chunk]
            elif self._heard is None or not _join(self._heard, chunk):
                passed += self.take()
                self._heard = cast(JSON, chunk)
        return passed

    def take(self) -> list[JSON]:
        """Return what was heard, and the SDK wasn't told yet."""
        heard, self._heard = self._heard, None
        return [] if heard is None else [heard]

    async def _is_heard(self, chunk: JSON | bytes) -> bool:
        if self._hear is None or isinstance(chunk, bytes):
            return False
        words = _get_words(chunk)
        # With half a character the words that the SDK reads would be fewer than those heard.
        if words is None or HALF_CHARACTER.search(words["content"]):
            return False
        return await self._hear(words["content"])


def _repair_message(message: Any) -> None:
    if not isinstance(message, dict):
        return
    message["role"] = message.get("role") or "assistant"
    known = set()
    for number, call in enumerate(_read_objects(message.get("tool_calls"))):
        call["index"] = number
        call["id"] = call.get("id") or "call"
        if call["id"] in known:
            call["id"] += f"_{number}"
        known.add(call["id"])
        call["type"] = call.get("type") or "function"
        function = call.get("function")
        if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
            function["arguments"] = json.dumps(function["arguments"])


def _read_usage(usage: Any) -> JSON | None:
    """Return the usage with numbers for its counts; None where it says nothing."""
    if not isinstance(usage, dict):
        return None
    counts = {name: _read_number(usage[name]) for name in COUNTS if usage.get(name) is not None}
    if not any(counts.values()):
        return None
    return usage | {name: counts.get(name) or 0 for name in COUNTS}


def _read_number(value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _read_object(data: bytes) -> JSON:
    try:
        value = _read_json(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _read_json(data: bytes) -> Any:
    try:
        # Several times as quick.
        return from_json(data)
    except ValueError:
        # Half a character, for one, which the next chunk completes.
        return json.loads(data)


def _read_objects(values: Any) -> list[JSON]:
    """Return the list that *values* is; empty where it is none of objects."""
    if isinstance(values, list) and all(isinstance(value, dict) for value in values):
        return values
    return []


class Events:
    """The events of a stream, piece by piece; a body that is a JSON object counts as one.

    Attributes:
        are_over: the last one has come.
    """

    def __init__(self) -> None:
        self.are_over = False
        self._rest: list[bytes] = []
        self._data: list[bytes] = []
        self._is_object: bool | None = None

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of the events that end in this piece of the body."""
        if b"\n" not in piece:
            self._rest.append(piece)
            return []
        *lines, last = b"".join([*self._rest, piece]).split(b"\n")
        self._rest = [last]
        return self._read(lines)

    def close(self) -> list[bytes]:
        """Return the data of the last event, where the body ends without another line."""
        if self.are_over:
            return []
        found = self._read([b"".join(self._rest)])
        return [*found, b"\n".join(self._data)] if self._data else found

    def _read(self, lines: list[bytes]) -> list[bytes]:
        found = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if self._is_object is None and line.strip():
                line = line.removeprefix(codecs.BOM_UTF8)
                self._is_object = line.lstrip().startswith(b"{")
            if self._is_object:
                self._data.append(line)
            elif line.startswith(b"data:"):
                self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif not line and self._data:
                event, self._data = b"\n".join(self._data), []
                if event.startswith(DONE):
                    self.are_over = True
                    break
                found.append(event)
        return found


def _join(chunk: JSON | bytes, following: JSON | bytes) -> bool:
    """Add the words of the chunk that follows, if both bring nothing else; return whether."""
    if isinstance(chunk, bytes) or isinstance(following, bytes):
        return False
    delta, more = _get_words(chunk), _get_words(following)
    if delta is None or more is None:
        return False
    delta["content"] += more["content"]
    return True


def _get_words(chunk: JSON) -> JSON | None:
    """Return the delta of a chunk that brings words; None where it brings anything else."""
    [choice, *others] = chunk["choices"]
    delta: JSON = choice["delta"]
    if others or choice["index"] or choice["finish_reason"] or choice.get("logprobs"):
        return None
    said = [name for name, value in delta.items() if value and name != "role"]
    return delta if said == ["content"] and isinstance(delta["content"], str) else None


def _frames(chunks: Iterable[JSON | bytes]) -> bytes:
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in chunks]
    return b"".join(b"data: %s\n\n" % each.replace(b"\n", b"\ndata: ") for each in texts)
