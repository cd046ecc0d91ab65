import json
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from openai import AsyncOpenAI, AsyncStream, not_given, omit
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError
from pydantic_ai.models._sdk_retries import with_max_retries
from pydantic_ai.settings import ModelSettings

from chatflow.workflows.ai.quick_chunks import read_chunks_quickly

CHUNK = {
    "id": "1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "Hi", "reasoning": "hm"}, "finish_reason": None}],
}


@pytest.fixture
def client() -> AsyncOpenAI:
    client = AsyncOpenAI(api_key="none")
    read_chunks_quickly(client)
    return client


def read(client: AsyncOpenAI, data: dict[str, Any]) -> ChatCompletionChunk:
    found: Any = client._process_response_data(
        data=data,
        cast_to=ChatCompletionChunk,
        response=None,  # type: ignore[arg-type]
    )
    assert isinstance(found, ChatCompletionChunk)
    return found


def test_a_chunk_is_the_same_as_the_sdk_makes_it(client: AsyncOpenAI) -> None:
    slow = read(AsyncOpenAI(api_key="none"), CHUNK)

    assert read(client, CHUNK) == slow
    assert read(client, CHUNK).model_dump() == slow.model_dump()


@pytest.mark.parametrize(
    "odd", [{"choices": None}, {"created": "today"}, {"choices": [{"finish_reason": "tired"}]}]
)
def test_an_odd_one_is_read_as_before(client: AsyncOpenAI, odd: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ChatCompletionChunk.model_validate(CHUNK | odd)

    slow = read(AsyncOpenAI(api_key="none"), CHUNK | odd)
    assert read(client, CHUNK | odd).model_dump(warnings=False) == slow.model_dump(warnings=False)


async def test_the_sdk_reads_its_streams_by_it(client: AsyncOpenAI) -> None:
    """It is a method of its own that nobody has promised: it may move with another version."""
    response = httpx2.Response(
        200,
        content=f"data: {json.dumps(CHUNK)}\n\ndata: [DONE]\n\n".encode(),
        request=httpx2.Request("POST", "/"),
    )
    # As pydantic-ai does it for each request.
    copy = client.with_options(max_retries=0)
    with patch.object(ChatCompletionChunk, "construct", side_effect=AssertionError):
        stream = AsyncStream(cast_to=ChatCompletionChunk, response=response, client=copy)
        chunks = [chunk async for chunk in stream]

    assert chunks == [ChatCompletionChunk.model_validate(CHUNK)]


async def test_a_request_is_the_same_as_the_sdk_makes_it() -> None:
    """As pydantic-ai makes it: with all that it doesn't say as well."""
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={"choices": []})

    arguments: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": omit,
        "timeout": 3.0,
        "user": not_given,
        "extra_headers": {"User-Agent": "mine"},
        "extra_body": {"mine": True},
    }
    for quick in (False, True):
        transport = httpx2.MockTransport(answer)
        client = AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport))
        if quick:
            read_chunks_quickly(client)
        await client.chat.completions.create(**arguments)

    slow, fast = sent
    assert json.loads(fast.content) == json.loads(slow.content)
    assert (fast.url, fast.headers) == (slow.url, slow.headers)
    assert fast.extensions["timeout"] == slow.extensions["timeout"]


def test_no_client_is_made_for_a_request(client: AsyncOpenAI) -> None:
    """pydantic-ai wants one that tries once."""
    assert with_max_retries(client, ModelSettings(max_retries=0)) is client
