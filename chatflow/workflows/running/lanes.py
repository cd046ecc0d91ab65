"""The threads of a worker that runs many coroutines: few for the engine, more for authors' code.

What the engine does in the database it does in *lanes*: two threads, each with a connection, that
all runs share, since each of its calls is short. An author's plain function may take as long as it
likes, so it has other threads; their connections are closed behind it.

The calls of one run never overlap, as if it had a thread of its own.
"""

import threading
import time
from asyncio import get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import DatabaseError, close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")

# Threads for what the engine does, and for the plain functions of authors.
LANES = 2
PLAIN = 16
# Seconds after which a lane looks first whether its connection is still there.
IDLE = 5.0

_line: ContextVar["Line | None"] = ContextVar("line", default=None)


class Lanes:
    """The threads of one process."""

    def __init__(self) -> None:
        self.engine = _Engine()
        self.authors = _Authors()

    def close(self) -> None:
        """End the threads, and close their connections."""
        all_lanes = threading.Barrier(LANES)

        def close() -> None:
            all_lanes.wait()
            connections.close_all()

        for _ in range(LANES):
            self.engine.submit(close)
        self.engine.shutdown()
        self.authors.shutdown(wait=False)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of the engine's that belongs to no run's own calls."""
        return await get_running_loop().run_in_executor(
            self.engine, partial(copy_context().run, function, *args, **kwargs)
        )

    @asynccontextmanager
    async def context(self) -> AsyncIterator[None]:
        """Send what is sync in a run to the lanes, one call after the other."""
        line = Line(self)
        token = _line.set(line)
        try:
            async with ThreadSensitiveContext(executor=line):
                yield
        finally:
            _line.reset(token)


class Line(Executor):
    """The calls of one run, one after the other, in whatever thread is free."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Executor, Future[Any], Callable[[], Any]]] = deque()
        self._is_busy = False
        self.authors = _Side(self, lanes.authors)

    @property
    def is_busy(self) -> bool:
        """Whether a call of the run's waits, or goes on in a thread."""
        return self._is_busy

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self.submit_to(self._lanes.engine, partial(function, *args, **kwargs))

    def submit_to(self, threads: Executor, call: Callable[[], T]) -> Future[T]:
        """Have *call* called in one of the threads, when it is its turn."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((threads, future, call))
            starts, self._is_busy = not self._is_busy, True
        if starts:
            self._go_on()
        return future

    def _go_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._is_busy = False
                return
            threads, future, call = self._waiting.popleft()
        threads.submit(self._call, future, call)

    def _call(self, future: Future[Any], call: Callable[[], Any]) -> None:
        try:
            if future.set_running_or_notify_cancel():
                try:
                    result = call()
                except BaseException as error:
                    if isinstance(error, DatabaseError):
                        # Of an author's own databases nobody else would open a new connection.
                        close_old_connections()
                    future.set_exception(error)
                else:
                    future.set_result(result)
        finally:
            self._go_on()


class _Side(Executor):
    """The same line, towards other threads."""

    def __init__(self, line: Line, threads: Executor) -> None:
        self._line = line
        self._threads = threads

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self._line.submit_to(self._threads, partial(function, *args, **kwargs))


class _Engine(ThreadPoolExecutor):
    def __init__(self) -> None:
        super().__init__(LANES, "lane")
        self._used = threading.local()

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return super().submit(self._call, partial(function, *args, **kwargs))

    def _call(self, call: Callable[[], T]) -> T:
        if time.monotonic() >= getattr(self._used, "until", 0.0) + IDLE:
            close_old_connections()
        try:
            return call()
        finally:
            self._used.until = time.monotonic()


class _Authors(ThreadPoolExecutor):
    def __init__(self) -> None:
        super().__init__(PLAIN, "plain")

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return super().submit(_call_and_close, partial(function, *args, **kwargs))


def _call_and_close(call: Callable[[], T]) -> T:
    try:
        return call()
    finally:
        connections.close_all()


def is_alone() -> bool:
    """Say whether the present run shares its process with others, and none of its calls goes on.

    Then what waits for nothing may be called on the event loop itself.
    """
    line = _line.get()
    return line is not None and not line.is_busy


async def call_plain(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a plain function of an author's from a coroutine, however long it takes.

    Like ``sync_to_async()`` it doesn't overlap with other calls of its run; but where the run is
    one of many of this process, others don't wait for it.
    """
    line = _line.get()
    if line is None:
        return await sync_to_async(function)(*args, **kwargs)
    call = partial(_leave_line, partial(function, *args, **kwargs))
    # asgiref takes any executor, and names one kind.
    threads = cast(ThreadPoolExecutor, line.authors)
    return await sync_to_async(call, thread_sensitive=False, executor=threads)()


def _leave_line(call: Callable[[], T]) -> T:
    """Call what may await a call of its own in turn, which would wait in the line behind it."""
    token = _line.set(None)
    try:
        return call()
    finally:
        _line.reset(token)
