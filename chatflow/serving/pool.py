"""Django's WSGI application in a bounded pool of threads: one hop to a thread, and one back.

a2wsgi's own middleware goes there and back for every piece of a request and of its answer, which
costs as much as a small answer itself. Here a request has been read before, and an answer is whole
before it is sent. Where it is a stream, a view gives its head only, and the event loop the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from io import BytesIO
from typing import Any, cast

from a2wsgi.wsgi import build_environ

from chatflow.wire.asgi_types import Scope, Send
from chatflow.wire.openings import ON_LOOP, Opening, Rest
from chatflow.wire.threads import Threads

Header = tuple[bytes, bytes]

# With so many requests the event loop gets its turn anyhow.
FEW = 8
# Of more that many are worked on at once, beside those that have taken so many seconds.
AT_ONCE = 2
LONG = 0.025


class Slots:
    """Who may begin: where more than a few requests are there, two at a time.

    Most of them only compute, and the interpreter does that in one thread at a time: with many, the
    event loop would be one of many who wait for it, and with it all streams.
    """

    def __init__(self) -> None:
        self._present = 0
        self._free = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a slot; it is free with the end of the context, or after LONG."""
        with ExitStack() as stack:
            self._present += 1
            stack.callback(self._leave)
            if self._present > FEW:
                await self._free.acquire()
                taken = stack.enter_context(ExitStack())
                taken.callback(self._free.release)
                # Who takes longer most likely waits, for a database or a model.
                ended = asyncio.get_running_loop().call_later(LONG, taken.close)
                taken.callback(ended.cancel)
            yield

    def _leave(self) -> None:
        self._present -= 1


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
