"""The bytes of providers, read at less cost than httpcore does."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chatflow.workflows.ai import connections, network
from chatflow.workflows.ai.connections import Client
from chatflow.workflows.ai.network import MUCH, _Stream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@asynccontextmanager
async def serving(response: bytes, *, stays: bool = False) -> AsyncIterator[str]:
    talks: list[asyncio.Task[None] | None] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        # A client that waits no longer may reset the connection.
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response)
            await writer.drain()
            if stays:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await asyncio.gather(*filter(None, talks))


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
            await get(url, timeout=httpx2.Timeout(5, read=0.05))


async def test_nobody_is_there() -> None:
    async with serving(b"") as url:
        pass
    with pytest.raises(httpx2.ConnectError):
        await get(url)


class Conversation:
    """A server that says what the test tells it to, each piece by itself, and its one client.

    Args:
        secure: the server's side of TLS, where it speaks that.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, secure: ssl.SSLContext | None) -> None:
        self.pauses: list[float] = []
        self._secure = secure
        # However slow this machine is, the next read would come too early.
        monkeypatch.setattr(network, "EACH", 60)
        monkeypatch.setattr(network, "MOST", 60)
        monkeypatch.setattr(network, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.say("d", "e", "f")

    @asynccontextmanager
    async def begun(
        self, *pieces: str, client: Client | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Let the client read the head and these pieces, and yield what follows."""
        ours = nullcontext(client) if client else Client()
        connected: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + b"\r\n")
            connected.put_nowait(writer)

        server = await asyncio.start_server(respond, "127.0.0.1", 0, ssl=self._secure)
        port = server.sockets[0].getsockname()[1]
        url = f"http{'s' if self._secure else ''}://localhost:{port}/"
        async with server:
            async with ours as reader, reader.stream("GET", url) as response:
                self._writer = await connected.get()
                try:
                    body = response.aiter_raw()
                    for piece in pieces:
                        await self.say(piece)
                        assert await anext(body) == piece.encode()
                    yield body
                finally:
                    self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()

    async def say(self, *pieces: str) -> None:
        for piece in pieces:
            self._writer.write(piece.encode())
            await self._writer.drain()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's own, which clients trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = tmp_path / "server.pem"
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    trusting = ssl.create_default_context(cafile=str(file))
    monkeypatch.setattr(connections, "get_ssl_context", lambda: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_words_that_follow_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones wait for nothing: a user waits for them."""
    talk = Conversation(monkeypatch, None)
    async with talk.begun("a", "b") as body:
        assert not talk.pauses
        await talk.say("c")
        assert await anext(body) == b"cdef"

    [pause] = talk.pauses
    assert 0 < pause <= 60


async def test_no_pause_is_longer_than_a_reader_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections are being read."""
    most = network.MOST
    talk = Conversation(monkeypatch, None)
    monkeypatch.setattr(network, "MOST", most)
    async with talk.begun("a", "b") as body:
        while not talk.pauses:
            await talk.say("c")
            await anext(body)

    assert 0 < talk.pauses[0] <= most


async def test_those_that_say_nothing_yet_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that think for minutes leave the loop alone."""
    silent = Conversation(monkeypatch, None)
    async with Client() as client, silent.begun(client=client) as waiting:
        thought = asyncio.ensure_future(anext(waiting))
        talk = Conversation(monkeypatch, None)
        monkeypatch.setattr(network, "MOST", 600)
        async with talk.begun("a", "b", client=client) as body:
            await talk.say("c")
            await anext(body)
        await silent.say("a")
        assert await thought == b"a"

    [pause] = talk.pauses
    assert pause <= 60


async def test_over_tls_no_word_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, certificate: ssl.SSLContext
) -> None:
    """There each read returns a record, and a model sends one for each word."""
    talk = Conversation(monkeypatch, certificate)
    async with talk.begun("a", "b") as body:
        await talk.say("c")
        assert [await anext(body) for _ in range(4)] == [b"c", b"d", b"e", b"f"]

    assert len(talk.pauses) == 1


async def test_a_long_body_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Conversation(monkeypatch, None)
    async with talk.begun("a", "b" * MUCH) as body:
        await talk.say("c")
        assert await anext(body) == b"c"

    assert not talk.pauses


async def test_each_answer_on_a_connection_begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(HEAD + b"Content-Length: 2\r\n\r\nHi")
        writer.close()

    paused = AsyncMock()
    monkeypatch.setattr(network, "EACH", 60)
    monkeypatch.setattr(network, "sleep", paused)
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        async with Client() as client:
            for _ in range(network.FIRST + 1):
                assert (await client.get(url)).text == "Hi"
        [writer] = connected
        await writer.wait_closed()

    assert not paused.called
