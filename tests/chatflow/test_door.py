"""The limits of a request's head, over real connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.server import ServerState

from chatflow import door
from chatflow.door import HEAD_BYTES, Door
from chatflow.wire.addresses import as_connected
from chatflow.wire.asgi_types import Receive, Scope, Send
from tests.configure import configure

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
SECONDS = 10.0
Connect = Callable[[], Any]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body, or with the scheme and the client where there is none."""
    scope = as_connected(scope, send)
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    body = body or f"{scope['scheme']} {scope['client'][0]}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server of this test's own."""
    served: Any = app
    config = uvicorn.Config(ProxyHeadersMiddleware(served), lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: Door(config, state, {}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()
        await asyncio.sleep(0)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return all until the server closes the connection."""
    return await asyncio.wait_for(reader.read(), SECONDS)


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    return await reader.readexactly(length)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.05)


async def test_it_works() -> None:
    async with connection() as (reader, writer):
        for text in (b"one", b"two"):
            writer.write(HEAD + b"Content-Length: 3\r\n\r\n" + text)
            assert await answer(reader) == text
        # Two at once.
        writer.write((HEAD + b"\r\n") * 2)
        assert [await answer(reader), await answer(reader)] == [b"http 127.0.0.1"] * 2


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("begun", [b"", b"G", HEAD, HEAD + b"X: "])
async def test_a_head_that_does_not_come(begun: bytes) -> None:
    async with connection() as (reader, writer):
        writer.write(begun)
        assert await rest(reader) == b""


@pytest.mark.usefixtures("hasty")
async def test_the_second_head_neither() -> None:
    async with connection() as (reader, writer):
        writer.write(HEAD + b"\r\n" + HEAD)
        await answer(reader)
        assert await rest(reader) == b""


@pytest.mark.usefixtures("hasty")
async def test_a_body_may_take_longer() -> None:
    """That is serving/site.py's to limit."""
    async with connection() as (reader, writer):
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n1")
        await asyncio.sleep(0.2)
        writer.write(b"2")
        assert await answer(reader) == b"12"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\n",
        HEAD + b"X: " + b"x" * HEAD_BYTES,
        HEAD + b"X: x\r\n" * (HEAD_BYTES // 6 + 1),
        HEAD + b"X: " + b"x" * HEAD_BYTES + b"\r\n\r\n",
    ],
)
async def test_a_head_that_is_too_large(head: bytes) -> None:
    async with connection() as (reader, writer):
        writer.write(head)
        answered = await rest(reader)
    assert answered.startswith(b"HTTP/1.1 400")
    assert answered.count(b"HTTP/1.1") == 1


async def test_a_large_body_is_no_head() -> None:
    body = b"x" * (HEAD_BYTES * 2)
    async with connection() as (reader, writer):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert await answer(reader) == body
        writer.write(HEAD + b"Content-Length: 1\r\n\r\n1")
        assert await answer(reader) == b"1"


@pytest.mark.parametrize(
    ("trusted", "seen"), [(False, b"http 127.0.0.1"), (True, b"https 192.0.2.7")]
)
async def test_a_proxy_is_believed_only_where_it_is_trusted(
    settings: Any, trusted: bool, seen: bytes
) -> None:
    configure(settings, TRUST_PROXY=trusted)
    said = b"X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n"
    async with connection() as (reader, writer):
        writer.write(HEAD + said + b"\r\n")
        assert await answer(reader) == seen
