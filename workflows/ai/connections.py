"""Connections to providers that speak OpenAI's chat completions, each in its own way."""

from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx2
from pydantic_ai.models import Model, OpenAIChatCompatibleProvider, get_user_agent
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class

from workflows.ai.chat_completions import repair_completion, repair_stream

# The providers that speak it, by pydantic-ai's names.
SPEAKERS = {"openai", "openai-chat", *get_args(OpenAIChatCompatibleProvider.__value__)}
PATH = "/chat/completions"
# Seconds to connect, as pydantic-ai's own clients have it.
CONNECT = 5.0
# What no longer holds for a body that was repaired.
OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")


def make_provider(name: str) -> Provider[Any]:
    """Return the provider of that name; disconnect() closes its connections."""
    if name not in SPEAKERS:
        return infer_provider(name)
    provider_class: Any = infer_provider_class(name)
    provider: Provider[Any] = provider_class(http_client=Client())
    return provider


async def disconnect(model: Model) -> None:
    """Close the connections of a model's provider, where make_provider() has opened them."""
    provider = model.provider
    if provider is not None and provider.name in SPEAKERS:
        await provider.client.close()


class Client(httpx2.AsyncClient):
    """Puts chat completions right as they come, and goes where a server has moved to."""

    def __init__(self) -> None:
        super().__init__(follow_redirects=True, headers={"User-Agent": get_user_agent()})

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        timeout = request.extensions.get("timeout")
        if timeout and timeout.get("connect"):
            timeout["connect"] = min(timeout["connect"], CONNECT)
        response = await super().send(request, **options)
        if not (response.is_success and request.url.path.endswith(PATH)):
            return response
        if options.get("stream"):
            return _replace_body(response, stream=_RepairedStream(response))
        return _replace_body(response, content=repair_completion(response.content))


class _RepairedStream(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in repair_stream(self._response.aiter_bytes()):
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


def _replace_body(response: httpx2.Response, **body: Any) -> httpx2.Response:
    headers = [pair for pair in response.headers.items() if pair[0].lower() not in OF_THE_BODY]
    return httpx2.Response(
        response.status_code,
        headers=headers,
        request=response.request,
        extensions=response.extensions,
        history=response.history,
        **body,
    )
