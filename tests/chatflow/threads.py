"""Database connections of other threads, which must not outlive the test that made them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from asgiref.sync import sync_to_async
from django.db import connections

from chatflow.workflows.streaming.listeners import listeners
from chatflow.workflows.streaming.readers import READERS


def close_connections(executor: ThreadPoolExecutor, threads: int) -> None:
    """Close the connections of all *threads* of the executor."""
    # At the barrier each thread waits for the others, so that none does the work of two.
    barrier = Barrier(threads)
    for done in [executor.submit(_close, barrier) for _ in range(threads)]:
        done.result(10)


def _close(barrier: Barrier) -> None:
    connections.close_all()
    barrier.wait(10)


async def close_streams() -> None:
    """Stop what the streams of a test have started, and close its own queries' connection."""
    await sync_to_async(connections.close_all)()
    listeners.cut_all()
    await close_readers()
    await listeners.close()


async def close_readers() -> None:
    """Close the connections of the threads that read for the streams."""
    if listeners.loop is None or listeners._sweeper is None or listeners._readers is None:
        return
    # It would open them again.
    listeners._sweeper.cancel()
    await asyncio.wait([listeners._sweeper])
    await asyncio.to_thread(close_connections, listeners._readers.threads, READERS)
