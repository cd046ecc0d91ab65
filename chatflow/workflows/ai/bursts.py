"""The pieces of many streams, each joined with those of its own that come close behind.

To read a piece takes an SDK longer than a model to say it. Where one process hears a hundred models
at once, it listens to each of them a little less often: two milliseconds later for each.
"""

import asyncio
from collections.abc import AsyncIterator

# Seconds from one piece of a stream to the next, for each of the streams that are open; and at
# most.
EACH = 0.002
MOST = 0.15


class Burst:
    """A stream in fewer pieces; the first one comes at once.

    Args:
        body: the stream, in the pieces in which it comes.
    """

    _open = 0

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._pieces: list[bytes] = []
        self._came = asyncio.Event()
        # What came is to be taken: it is time, or all has come.
        self._due = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(self._end)
        Burst._open += 1
        loop = asyncio.get_running_loop()
        take_at = loop.time()
        while self._pieces or not self._reading.done():
            await self._came.wait()
            if take_at > loop.time():
                timer = loop.call_at(take_at, self._due.set)
                await self._due.wait()
                timer.cancel()
                self._due.clear()
            take_at = loop.time() + min(MOST, EACH * Burst._open)
            if self._pieces:
                yield self._take()
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

    def _take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        if self._reading is not None and not self._reading.done():
            self._came.clear()
        return taken

    def _end(self, reading: "asyncio.Task[None]") -> None:
        Burst._open -= 1
        self._came.set()
        self._due.set()
