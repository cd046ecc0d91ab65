"""Coroutines that call plain code in between.

A model is called in coroutines; a workflow, its record and its tools are plain code, which belongs
to the thread and the database connection of the workflow. Such code is called as an *aside*.

asgiref's async_to_sync runs thread-sensitive code in the calling thread as well, but its event loop
runs in another one. A signal that interrupts the calling thread leaves that loop behind: the
request to the provider goes on and is paid for, and then waits for ever to have its answer
recorded. And an interruption that such code raises passes through the coroutine, where a library
may swallow it.
"""

import asyncio
import contextvars
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, TypeVar

from asgiref.sync import sync_to_async

from chatflow.workflows.exceptions import Interrupt

T = TypeVar("T")


class Aside(Protocol):
    """Call plain code from a coroutine, and pass on its result or its error."""

    def __call__(
        self,
        function: Callable[[], Any],
        *,
        surely: bool = False,
        quick: bool = False,
        own: bool = False,
    ) -> Awaitable[Any]:
        """Call *function*, in the context of the coroutine.

        Args:
            function: plain code.
            surely: call it also when the workflow has just been interrupted.
            quick: it waits for nothing, so that it may be called on an event loop.
            own: it is the workflow's own code, which may take long.
        """


class Pausing:
    """Runs a coroutine in this thread; while plain code is called, its event loop stands still.

    So the code runs where the workflow itself does and may use the database, and an interruption
    never passes through the coroutine: the coroutine is cancelled, and with it its request.

    Args:
        shielded: within it nothing interrupts this thread; leaving it may raise.
    """

    def __init__(self, shielded: Callable[[], AbstractContextManager[None]]) -> None:
        self._shielded = shielded
        self._calls: deque[tuple[asyncio.Future[Any], Callable[[], Any], bool]] = deque()
        self._closing = False

    async def aside(
        self,
        function: Callable[[], Any],
        *,
        surely: bool = False,
        quick: bool = False,
        own: bool = False,
    ) -> Any:
        """See Aside."""
        if self._closing:
            # Nobody would call it any more.
            raise asyncio.CancelledError
        loop = asyncio.get_running_loop()
        result = loop.create_future()
        self._calls.append((result, partial(contextvars.copy_context().run, function), surely))
        loop.stop()
        return await result

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* and return its result."""
        own = _take_loop()
        task = own.loop.create_task(coroutine)
        stop = partial(_stop, own.loop)
        task.add_done_callback(stop)
        try:
            while not task.done():
                self._go_on(own.loop)
                if self._calls:
                    self._call(*self._calls.popleft())
            return task.result()
        finally:
            self._closing = True
            task.remove_done_callback(stop)
            with self._shielded():
                _cancel_all(own.loop)
                _give_back(own)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with self._shielded():
                if not self._calls:
                    loop.run_forever()
        except Interrupt:
            for _, function, surely in self._calls:
                if surely:
                    function()
            raise

    def _call(
        self, result: "asyncio.Future[Any]", function: Callable[[], Any], surely: bool
    ) -> None:
        if result.done():
            # Its caller was cancelled meanwhile.
            return
        try:
            value = function()
        except Exception as error:
            result.set_exception(error)
        else:
            result.set_result(value)


def _stop(loop: asyncio.AbstractEventLoop, task: object) -> None:
    loop.stop()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))


def _close(loop: asyncio.AbstractEventLoop) -> None:
    if loop.is_running():
        # The process ends in the middle of it, in another thread.
        return
    _cancel_all(loop)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


class _Loop:
    """An event loop that is closed when the thread ends that has it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.close = weakref.finalize(self, _close, self.loop)


class _Idle(threading.local):
    """The event loop of a thread between two coroutines: its connections stay open meanwhile."""

    loop: _Loop | None = None


_idle = _Idle()


def _take_loop() -> _Loop:
    """Return this thread's event loop; another one in an aside of a coroutine that has it."""
    own, _idle.loop = _idle.loop, None
    return own or _Loop()


def _give_back(own: _Loop) -> None:
    if _idle.loop is None:
        _idle.loop = own
    else:
        own.close()


def close_loop() -> None:
    """Close this thread's event loop, and the connections that it has."""
    if _idle.loop is not None:
        _idle.loop.close()
        _idle.loop = None


class Threaded:
    """The same for a workflow that is a coroutine itself: plain code runs in its sync thread.

    Args:
        call_own: calls the workflow's own plain code.
    """

    def __init__(self, call_own: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._call_own = call_own
        self._interrupt: Interrupt | None = None

    async def aside(
        self,
        function: Callable[[], Any],
        *,
        surely: bool = False,
        quick: bool = False,
        own: bool = False,
    ) -> Any:
        """See Aside."""
        try:
            if quick:
                return function()
            if own:
                return await self._call_own(function)
            call = sync_to_async(function)()
            return await (_do_surely(call) if surely else call)
        except Interrupt as interrupt:
            self._interrupt = interrupt
            raise

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await *coroutine*; an interruption leaves it as it came."""
        try:
            return await coroutine
        except BaseException:
            if self._interrupt is not None:
                # Libraries may have put it into a group.
                raise self._interrupt from None
            raise


def may_await(aside: Aside) -> bool:
    """Say whether the coroutine that calls plain code with *aside* may await others as well."""
    return isinstance(getattr(aside, "__self__", None), Threaded)


async def _do_surely(call: Coroutine[Any, Any, T]) -> T:
    """Await *call*; a cancellation is obeyed once it is done."""
    doing = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise
