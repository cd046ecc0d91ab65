"""Sign-ins wait in line on the event loop, where waiting holds no thread.

To hash a password takes a third of a second of a processor, so a process does few at once; who
comes meanwhile has done nothing wrong.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

# Seconds that somebody waits for a place, and how many of one address do at the same time.
PATIENCE = 10.0
OF_ONE = 20

# Whether the request has waited in vain, or wasn't let into the line.
turned_away = ContextVar("turned_away", default=False)


class Line:
    """Who waits is taken in by turns.

    Args:
        places: how many are taken in at once.
    """

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._waiting: Counter[str | None] = Counter()

    @asynccontextmanager
    async def place(self, address: str | None) -> AsyncIterator[None]:
        """Hold a place, as soon as there is one; or note that there is none.

        Args:
            address: where the request came from.
        """
        taken_in = await self._wait(address)
        turned_away.set(not taken_in)
        try:
            yield
        finally:
            if taken_in:
                self._places.release()

    async def _wait(self, address: str | None) -> bool:
        if self._waiting[address] >= OF_ONE:
            return False
        self._waiting[address] += 1
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._places.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
