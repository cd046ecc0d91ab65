"""A model's words, past the libraries that read its answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters

from chatflow.workflows.ai.connections import Connections
from chatflow.workflows.ai.recorded import RecordedModel

JSON = dict[str, Any]


def delta(**says: Any) -> JSON:
    return {"id": "c", "choices": [{"index": 0, "delta": says, "finish_reason": None}]}


def words(text: str) -> JSON:
    return delta(content=text)


STOP = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CALL = {"index": 0, "id": "1", "function": {"name": "look", "arguments": "{}"}}


class Journal:
    """Shows words.

    Args:
        at_once: whether it waits for nothing.
    """

    def __init__(self, at_once: bool) -> None:
        self.at_once = at_once
        self.shown: list[str] = []

    def begin(self) -> None:
        """Nothing was recorded."""

    def reserve(self, characters: int) -> None:
        """Everything is allowed."""

    def record(self, response: JSON, usage: JSON) -> None:
        """Nobody asks for it."""

    def show(self, text: str) -> None:
        self.shown.append(text)

    def shows_at_once(self) -> bool:
        return self.at_once

    def start_over(self) -> None:
        self.shown.clear()

    def seconds_left(self) -> float:
        return 60.0


class Server(httpx2.AsyncBaseTransport):
    """Sends chunks, each by itself."""

    def __init__(self, *chunks: JSON) -> None:
        self._chunks = chunks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"Content-Type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=_Body(self._chunks))


class _Body(httpx2.AsyncByteStream):
    def __init__(self, chunks: tuple[JSON, ...]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            # Longer than what comes together.
            await asyncio.sleep(0.005)
            yield f"data: {json.dumps(chunk)}\n\n".encode()
        yield b"data: [DONE]\n\n"


async def call(
    function: Callable[[], Any], *, surely: bool = False, quick: bool = False, own: bool = False
) -> Any:
    return function()


async def ask(journal: Journal, *chunks: JSON) -> ModelResponse:
    aside: Callable[..., Awaitable[Any]] = call
    model = Connections(Server(*chunks)).get_model("openai-chat:m")
    recorded = RecordedModel([model], journal, aside, show=True)  # type: ignore[arg-type]
    with patch("chatflow.workflows.ai.recorded.may_await", return_value=True):
        return await recorded.request([ModelRequest(parts=[])], None, ModelRequestParameters())


def text_of(response: ModelResponse) -> str:
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


async def test_it_works() -> None:
    """They are shown one by one as they come; the libraries read the first, and then the rest."""
    journal = Journal(at_once=True)
    read = []
    validate = ChatCompletionChunk.model_validate

    def note(data: Any) -> ChatCompletionChunk:
        read.append(data["choices"][0]["delta"].get("content"))
        return validate(data)

    with patch.object(ChatCompletionChunk, "model_validate", note):
        response = await ask(journal, words("It "), words("is "), words("a "), words("boy."), STOP)

    assert journal.shown == ["It ", "is ", "a ", "boy."]
    assert read == ["It ", "is a boy.", None]
    assert text_of(response) == "It is a boy."
    assert response.finish_reason == "stop"


@pytest.mark.parametrize(
    "chunks",
    [
        [words("It "), delta(reasoning="Hm."), words("is "), words("so.")],
        [words("It "), words("is "), delta(reasoning="Hm.", content="so "), words("it is.")],
        [words("\n"), words("It "), words("is "), words("\N{GRINNING FACE} so")],
        [words("I think"), words("</th"), words("ink>It "), words("is "), words("so.")],
        [words("It "), words("is "), words("\ud83d"), words("\ude00 so"), words(".")],
        [words("It "), words("is "), delta(tool_calls=[CALL]), words("so "), words("so.")],
        [words("It "), words(""), delta(role="assistant"), words("is "), {"choices": []}],
    ],
)
async def test_the_answer_is_the_same_as_without(chunks: list[JSON]) -> None:
    short, long = Journal(at_once=True), Journal(at_once=False)

    response, other = await ask(short, *chunks, STOP), await ask(long, *chunks, STOP)

    assert "".join(short.shown) == "".join(long.shown) != ""
    assert text_of(response) == text_of(other)
    calls, others = (
        [part.tool_name for part in each.parts if isinstance(part, ToolCallPart)]
        for each in (response, other)
    )
    assert calls == others


async def test_what_goes_wrong_there_comes_out() -> None:
    """Whoever shows the words may stop the answer in the middle of the libraries' code."""
    journal = Journal(at_once=True)

    def show(text: str) -> None:
        if text == "is ":
            raise KeyboardInterrupt

    journal.show = show  # type: ignore[method-assign]

    with pytest.raises(KeyboardInterrupt):
        await ask(journal, words("It "), words("is "), words("so."), STOP)
