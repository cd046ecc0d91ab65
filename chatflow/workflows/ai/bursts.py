"""The pieces of a stream, joined where they come together.

A piece takes an SDK longer to read than a model to say, and one read of a connection may bring
several: see network.
"""

import asyncio
from collections.abc import AsyncIterator


class Burst:
    """A stream in fewer pieces.

    Args:
        body: the stream, in the pieces in which it comes.
    """

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._pieces: list[bytes] = []
        self._came = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(lambda _: self._came.set())
        while self._pieces or not self._reading.done():
            await self._came.wait()
            self._came.clear()
            if self._pieces:
                together = b"".join(self._pieces)
                self._pieces.clear()
                yield together
        self._reading.result()

    async def aclose(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _read(self) -> None:
        async for piece in self._body:
            self._pieces.append(piece)
            self._came.set()
