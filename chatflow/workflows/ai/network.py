"""The bytes of providers, read at less cost.

httpcore sets anyio's limit of time around each read, which takes longer than the read itself: a
model's words come in thousands of them. asyncio's own does the same for a tenth.

And what was read goes through half a dozen libraries. Where one process hears a hundred models at
once, it listens to each of them a little less often: two milliseconds later for each.
"""

import asyncio
import ssl
from asyncio import sleep
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore2
from anyio.streams.tls import TLSStream
from httpcore2._utils import is_socket_readable

# Seconds from one read to the next, for each of the connections that are being read; and at most.
EACH = 0.002
MOST = 0.15
# The first reads of a response wait for nothing: its head, and its first words.
FIRST = 3
# Bytes of a read that more may have been waiting behind: no words, but a body that comes at once.
MUCH = 4096


class Network(httpcore2.AnyIOBackend):
    """Connects one client as httpcore does. Belongs to one event loop.

    Attributes:
        reading: how many of its connections are being read behind the first words of an answer.
    """

    reading = 0

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        connected = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(connected, self)


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection.

    Args:
        inner: httpcore's own.
        network: which made it.
    """

    def __init__(self, inner: Any, network: Network) -> None:
        self._inner = inner
        self._network = network
        self._bytes: anyio.abc.ByteStream = inner._stream
        self._socket = inner.get_extra_info("socket")
        # Reads since the last request; when the latest was, by the loop's clock, and its length.
        self._reads = 0
        self._read_at = 0.0
        self._length = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        # Models that think for a while are no work.
        counts = self._reads >= FIRST
        self._network.reading += counts
        try:
            await self._let_more_come()
            async with asyncio.timeout(timeout):
                found = await self._bytes.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(str(error)) from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore2.ReadError(str(error)) from error
        finally:
            self._network.reading -= counts
        self._reads += 1
        self._read_at = asyncio.get_running_loop().time()
        self._length = len(found)
        return found

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._reads = 0
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        secured = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _Stream(secured, self._network)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # At the end of each request httpcore asks all that are idle.
            return is_socket_readable(self._socket)
        return self._inner.get_extra_info(info)

    async def _let_more_come(self) -> None:
        """Wait until it is time to read again, unless there is more already."""
        if self._reads < FIRST or self._length >= MUCH or self._is_behind():
            return
        next_at = self._read_at + min(MOST, EACH * self._network.reading)
        if (pause := next_at - asyncio.get_running_loop().time()) > 0:
            await sleep(pause)

    def _is_behind(self) -> bool:
        """Say whether records have come that weren't read: each read of TLS returns one."""
        return isinstance(self._bytes, TLSStream) and self._bytes._read_bio.pending > 0
