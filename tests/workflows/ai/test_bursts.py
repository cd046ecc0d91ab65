"""The pieces of a stream, joined where they come together."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chatflow.workflows.ai.bursts import Burst


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_it_works() -> None:
    """What has come together is one piece."""

    async def read() -> list[bytes]:
        return [piece async for piece in Burst(pieces(b"a", b"b", b"c"))]

    assert asyncio.run(read()) == [b"abc"]


def test_what_comes_later_follows() -> None:
    async def read() -> list[bytes]:
        more = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"a"
            await more.wait()
            yield b"b"

        found = []
        async for piece in Burst(body()):
            found.append(piece)
            more.set()
        return found

    assert asyncio.run(read()) == [b"a", b"b"]


def test_an_empty_stream() -> None:
    async def read() -> list[bytes]:
        return [piece async for piece in Burst(pieces())]

    assert asyncio.run(read()) == []


def test_a_stream_that_breaks() -> None:
    """What came before stands."""
    found = []

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionError

    async def read() -> None:
        async for piece in Burst(body()):
            found.append(piece)

    with pytest.raises(ConnectionError):
        asyncio.run(read())
    assert found == [b"a"]


def test_it_reads_no_more_once_it_is_closed() -> None:
    async def read() -> bool:
        closed = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            try:
                yield b"a"
                await asyncio.Event().wait()
            finally:
                closed.set()

        burst = Burst(body())
        assert await anext(aiter(burst)) == b"a"
        await burst.aclose()
        return closed.is_set()

    assert asyncio.run(read())
