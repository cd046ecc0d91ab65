"""Django's WSGI application in a bounded pool of threads: one hop to a thread, and one back.

a2wsgi's own middleware goes there and back for every piece of a request and of its answer, which
costs as much as a small answer itself. Here a request has been read before, and an answer is whole
before it is sent. Where it is a stream, a view gives its head only, and the event loop the rest.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from io import BytesIO
from typing import Any, Protocol, TypeVar, cast

from a2wsgi.wsgi import build_environ
from django.db import close_old_connections
from django.http import HttpResponse

from chatflow.asgi_types import AsgiMessage, Receive, Scope, Send
from chatflow.workflows.services import outages

T = TypeVar("T")
Header = tuple[bytes, bytes]
# In the environ of a request whose answer may be an Opening: there is an event loop.
ON_LOOP = "chatflow.on_loop"


class Rest(Protocol):
    """Gives what follows on a view's work."""

    async def run(self, receive: Receive) -> None: ...


class Opening(HttpResponse):
    """A view's answer that is the head of one which the event loop gives."""

    def open(self, head: AsgiMessage, send: Send, pool: "Pool") -> Rest:
        """Open the answer. On the event loop.

        Args:
            head: as the middleware has left it.
            send: takes the answer.
            pool: the one whose thread the view was in.
        """
        raise NotImplementedError


class Pool:
    """Serves a WSGI application.

    Args:
        application: any that gives its answers whole.
        threads: how many requests it may work on at once; the others wait.
    """

    def __init__(self, application: Any, threads: int) -> None:
        self.application = application
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="web")

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
        status, headers, content, opening = await self._run(self._call, environ)
        head = {"type": "http.response.start", "status": status, "headers": headers}
        if opening is not None:
            return opening.open(head, send, self)
        await send(head)
        await send({"type": "http.response.body", "body": content})
        return None

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


def _between_requests(function: Callable[[], T]) -> T:
    """Call *function* with the care for the connection that Django takes for a request."""
    close_old_connections()
    try:
        return outages.on_live_connection(function)
    finally:
        close_old_connections()
