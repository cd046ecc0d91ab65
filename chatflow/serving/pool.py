"""Django's WSGI application in a bounded pool of threads: one hop to a thread, and one back.

a2wsgi's own middleware goes there and back for every piece of a request and of its answer, which
costs as much as a small answer itself. Here a request has been read before, and an answer is whole
before it is sent. Where it is a stream, a view gives its head only, and the event loop the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, cast

from a2wsgi.wsgi import build_environ

from chatflow.wire.asgi_types import Scope, Send
from chatflow.wire.openings import ON_LOOP, Opening, Rest
from chatflow.wire.threads import Threads

Header = tuple[bytes, bytes]

# Up to so many requests all begin at once: the event loop gets its turn anyhow.
FEW = 8
# Beyond these, so many more at once, while the loop is late.
AT_ONCE = 2
# Seconds from one look at whether the loop is late to the next, and by how much it is then.
LOOK = 0.005
LATE = 0.003
# Seconds after which a request counts no more in any case.
LONG = 1.0


class Slots:
    """Which requests may begin: beyond a few, two at a time while the event loop is late.

    Most of them only compute, and the interpreter does that in one thread at a time: with many, the
    loop would be one of many who wait for it, and with it all streams. Where it is punctual, they
    wait for a database or a model, and more of them may begin.
    """

    def __init__(self) -> None:
        self._present = 0
        self._free = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a slot. It is free again at the end of the context, or before that."""
        slot = None
        self._present += 1
        try:
            if self._present > FEW:
                await self._free.acquire()
                slot = _Slot(self._free)
            yield
        finally:
            self._present -= 1
            if slot is not None:
                slot.close()


class _Slot:
    """One that is taken; it closes by itself as soon as the event loop is punctual."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._is_taken = True
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time() + LONG
        self._wait()

    def close(self) -> None:
        self._timer.cancel()
        if self._is_taken:
            self._is_taken = False
            self._free.release()

    def _wait(self) -> None:
        due = self._loop.time() + LOOK
        self._timer = self._loop.call_at(due, self._look, due)

    def _look(self, due: float) -> None:
        now = self._loop.time()
        if now - due < LATE or now > self._last:
            self.close()
        else:
            self._wait()


class Pool(Threads):
    """Serves a WSGI application.

    Args:
        application: any that gives its answers whole.
        threads: how many requests it may work on at once; the others wait.
    """

    def __init__(self, application: Any, threads: int) -> None:
        super().__init__(threads)
        self.application = application
        self._slots = Slots()

    async def answer(self, scope: Scope, body: bytes, send: Send) -> Rest | None:
        """Answer a request.

        Args:
            scope: the request; its query must be ASCII.
            body: its body, whole.
            send: takes the answer.

        Returns:
            What gives the answer, to be run by the event loop, where the view has returned an
            Opening; else None.
        """
        environ = build_environ(cast(Any, scope), cast(Any, BytesIO(body)))
        # build_environ() may take it from this process's environment.
        environ["SCRIPT_NAME"] = scope.get("root_path", "")
        cast(Any, environ)[ON_LOOP] = True
        async with self._slots.take():
            status, headers, content, opening = await self._run(self._call, environ)
        head = {"type": "http.response.start", "status": status, "headers": headers}
        if opening is not None:
            return opening.open(head, send, self)
        await send(head)
        await send({"type": "http.response.body", "body": content})
        return None

    def _call(self, environ: Any) -> tuple[int, list[Header], bytes, Opening | None]:
        started: list[tuple[int, list[Header]]] = []

        def start_response(status: str, headers: Iterable[tuple[str, str]], *_: Any) -> None:
            encoded = [
                (name.strip().lower().encode("latin-1"), value.strip().encode("latin-1"))
                for name, value in headers
            ]
            started.append((int(status.partition(" ")[0]), encoded))

        answer = self.application(environ, start_response)
        try:
            content = b"".join(answer)
        finally:
            # Here Django closes the request's resources.
            getattr(answer, "close", lambda: None)()
        opening = answer if isinstance(answer, Opening) else None
        return (*started[-1], content, opening)
