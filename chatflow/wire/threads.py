"""Threads in which the event loop has something done that uses the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from django.db import close_old_connections

from chatflow.workflows.services import outages

T = TypeVar("T")


class Threads:
    """Lets the event loop use the database.

    Args:
        count: how many threads there are.
    """

    def __init__(self, count: int) -> None:
        self.executor = ThreadPoolExecutor(count, thread_name_prefix="web")

    async def call(self, function: Callable[[], T]) -> T:
        """Call *function* in one of the threads, where it may use the database.

        Args:
            function: may be repeated: the thread's connection may have died.
        """
        return await self._run(_between_requests, function)

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        # Context variables, such as the prefix of addresses, end with what has set them.
        return await loop.run_in_executor(self.executor, copy_context().run, function, *args)


def _between_requests(function: Callable[[], T]) -> T:
    """Call *function* with the care for the connection that Django takes for a request."""
    close_old_connections()
    try:
        return outages.on_live_connection(function)
    finally:
        close_old_connections()
