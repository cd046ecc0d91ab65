"""Connections to providers: kept and shared by all that one event loop asks of a provider.

Those to servers that speak OpenAI's chat completions put right what each says in its own way.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from functools import cache
from typing import Any, get_args
from weakref import WeakKeyDictionary

import httpx2
from pydantic_ai.models import Model, OpenAIChatCompatibleProvider, get_user_agent, infer_model
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class

from chatflow.workflows import tracing
from chatflow.workflows.ai import short_cut
from chatflow.workflows.ai.bursts import Burst
from chatflow.workflows.ai.chat_completions import repair_completion, repair_stream
from chatflow.workflows.ai.network import Network

# The providers that speak it, by pydantic-ai's names.
SPEAKERS = {"openai", "openai-chat", *get_args(OpenAIChatCompatibleProvider.__value__)}
PATH = "/chat/completions"
# Seconds to connect, as pydantic-ai's own clients have it.
CONNECT = 5.0
# As many requests as there may be at once, each with a connection; one that is idle is closed
# after so many seconds.
LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=60.0)
# What no longer holds for a body that was repaired.
OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
# pydantic-ai would take the text between these for reasoning. It knows tags only where a chunk is
# one, and so it is given some that never come: see words.Words.
NO_TAGS = ("\0reasoning", "\0answer")


class Connections:
    """The models that one event loop calls, and the connections to their providers.

    Args:
        transport: what sends the requests, instead of such connections.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._models: dict[str, Model] = {}
        self._providers: dict[str, Provider[Any]] = {}
        self._entered: set[str] = set()
        self._open = AsyncExitStack()
        self._end: AsyncGenerator[None] | None = None

    def get_model(self, name: str) -> Model:
        """Return the model called ``provider:model``.

        Raises:
            UserError: it isn't configured.
        """
        if name not in self._models:
            model = infer_model(name, self._get_provider)
            model.profile = ModelProfile(**{**model.profile, "thinking_tags": NO_TAGS})
            self._models[name] = model
        return self._models[name]

    async def keep_open(self) -> None:
        """Keep the connections of all providers, until the event loop ends."""
        if self._end is None:
            # An event loop closes the generators that are left when it ends.
            self._end = self._close_at_the_end()
            await anext(self._end)
        for name in self._providers.keys() - self._entered:
            self._entered.add(name)
            await self._open.enter_async_context(self._providers[name])

    def _get_provider(self, name: str) -> Provider[Any]:
        if name not in self._providers:
            self._providers[name] = self._make_provider(name)
        return self._providers[name]

    def _make_provider(self, name: str) -> Provider[Any]:
        if name not in SPEAKERS:
            return infer_provider(name)
        # OpenAI's SDK takes half a second to import; the offline model does without.
        from chatflow.workflows.ai.quick_chunks import read_chunks_quickly

        provider_class: Any = infer_provider_class(name)
        client = Client(self._transport)
        provider: Provider[Any] = provider_class(http_client=client)
        read_chunks_quickly(provider.client)
        self._open.push_async_callback(client.aclose)
        return provider

    async def _close_at_the_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            _all.pop(asyncio.get_running_loop(), None)
            await self._open.aclose()


_all: WeakKeyDictionary[asyncio.AbstractEventLoop, Connections] = WeakKeyDictionary()


def get_connections() -> Connections:
    """Return the connections of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _all:
        _all[loop] = Connections()
    return _all[loop]


@cache
def get_ssl_context() -> ssl.SSLContext:
    """Return the settings of all secure connections; reading the certificates takes long."""
    return httpx2.create_ssl_context()


class Client(httpx2.AsyncClient):
    """Puts chat completions right as they come, and goes where a server has moved to."""

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        super().__init__(
            transport=transport,
            follow_redirects=True,
            headers={"User-Agent": get_user_agent()},
            limits=LIMITS,
            verify=get_ssl_context(),
        )
        # httpx has no argument for it.
        pool = getattr(self._transport, "_pool", None)
        if pool is not None:
            pool._network_backend = Network()

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        timeout = request.extensions.get("timeout")
        if timeout and timeout.get("connect"):
            timeout["connect"] = min(timeout["connect"], CONNECT)
        request.headers.update(tracing.headers_for(request.url.host))
        response = await super().send(request, **options)
        if not (response.is_success and request.url.path.endswith(PATH)):
            return response
        if options.get("stream"):
            return _replace_body(response, stream=_RepairedStream(response))
        return _replace_body(response, content=repair_completion(response.content))


class _RepairedStream(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._burst = Burst(response.aiter_bytes())
        self._hear = short_cut.hearing()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in repair_stream(aiter(self._burst), self._hear):
            yield piece

    async def aclose(self) -> None:
        await self._burst.aclose()
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
