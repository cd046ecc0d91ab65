"""The bytes of providers, read at less cost.

httpcore sets anyio's limit of time around each read, which takes longer than the read itself: a
model's words come in thousands of them. asyncio's own does the same for a tenth.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore2


class Network(httpcore2.AnyIOBackend):
    """Connects as httpcore does."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        connected = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(connected)


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection.

    Args:
        inner: httpcore's own.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._bytes: anyio.abc.ByteStream = inner._stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._bytes.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(str(error)) from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore2.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
