"""The bytes of providers, read at less cost than httpcore does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from chatflow.workflows.ai.connections import Client
from chatflow.workflows.ai.network import _Stream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@asynccontextmanager
async def serving(response: bytes, *, stays: bool = False) -> AsyncIterator[str]:
    talks: list[asyncio.Future[None]] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.get_running_loop().create_future()
        talks.append(talk)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()
        if stays:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        talk.set_result(None)

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await asyncio.gather(*talks)


async def get(url: str, **options: Any) -> httpx2.Response:
    async with Client() as client:
        return await client.get(url, **options)


async def test_it_works() -> None:
    """It is what httpcore reads by, which has no promise for it."""
    async with serving(HEAD + b"Content-Length: 2\r\n\r\nHi", stays=True) as url:
        response = await get(url)

    assert response.text == "Hi"
    assert isinstance(response.extensions["network_stream"], _Stream)


async def test_a_body_until_the_end() -> None:
    async with serving(HEAD + b"\r\nHi") as url:
        assert (await get(url)).text == "Hi"


async def test_a_body_that_breaks_off() -> None:
    async with serving(HEAD + b"Content-Length: 20\r\n\r\nHi") as url:
        with pytest.raises(httpx2.RemoteProtocolError):
            await get(url)


async def test_a_server_that_is_silent() -> None:
    async with serving(HEAD + b"Content-Length: 20\r\n\r\nHi", stays=True) as url:
        with pytest.raises(httpx2.ReadTimeout):
            await get(url, timeout=0.05)


async def test_nobody_is_there() -> None:
    async with serving(b"") as url:
        pass
    with pytest.raises(httpx2.ConnectError):
        await get(url)
