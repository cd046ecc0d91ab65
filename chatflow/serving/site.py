"""This site as one ASGI application: streams, and Django's WSGI side in a bounded thread pool."""

import asyncio
import io
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any

from django.core.handlers.asgi import ASGIRequest

from chatflow.access.line import Line
from chatflow.answers.errors import as_response, too_large
from chatflow.conf import conf
from chatflow.serving.front import Front, asked_stream, hide_token, open_stream
from chatflow.serving.pool import Pool
from chatflow.signins import at_once
from chatflow.streams import of_job
from chatflow.wire.addresses import as_connected, client_address, path_info, seen_by_client
from chatflow.wire.asgi_types import Receive, Scope, Send
from chatflow.wire.openings import Rest
from chatflow.wire.problems import Problem
from chatflow.workflows.knowledge.readers import isolation

# A request's body must have arrived within so many seconds.
BODY_TIMEOUT = 60.0
SLOW = Problem(status=408, code="timeout", error="The request took too long to arrive.")

# How the addresses end where people sign in with a password, those of a project's own among them.
SIGN_INS = "/login/"


class Site(Front):
    """Answers all requests to this site.

    Args:
        application: Django's WSGI side, or what is around it.
    """

    def __init__(self, application: Any) -> None:
        super().__init__(close)
        self.pool = Pool(application, conf.WEB_THREADS)
        self.line = Line(at_once())

    async def begin(self, scope: Scope, receive: Receive, send: Send, dialect: str) -> Rest | None:
        """See Front.begin()."""
        asked = seen_by_client(as_connected(hide_token(scope), send))
        if found := asked_stream(asked):
            return await open_stream(found, asked, send, dialect)
        return await self.answer(asked, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Rest | None:
        """Let Django answer a request, but for what the event loop goes on with; return that."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await read_body(scope, receive)
        except TooLargeError:
            await refuse(scope, send, too_large(conf.MAX_BODY_BYTES))
        except TimeoutError:
            await refuse(scope, send, SLOW)
        except DisconnectedError:
            pass
        else:
            isolation.on_leave.set(partial(watch, receive, asyncio.get_running_loop()))
            async with self.place_in_line(scope):
                return await self.pool.answer(with_body(scope, body), body, send)
        return None

    def place_in_line(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        """Return what waits until a sign-in may be worked on; any other request may be at once."""
        if scope["method"] != "POST" or not scope["path"].endswith(SIGN_INS):
            return nullcontext()
        return self.line.place(client_address(ASGIRequest(scope, io.BytesIO())))


async def close(scope: Scope, receive: Receive, send: Send) -> None:
    """Take no websocket; there is nothing else that could be asked for, beside HTTP."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})


# Kept, for the loop itself lets go of them.
watches: set[asyncio.Task[None]] = set()


def watch(receive: Receive, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call *stop* when the client has left, or has its answer; from any thread."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stop()

    def begin() -> None:
        waiting = loop.create_task(wait())
        watches.add(waiting)
        waiting.add_done_callback(watches.discard)

    loop.call_soon_threadsafe(begin)


class TooLargeError(Exception):
    """The body is larger than MAX_BODY_BYTES."""


class DisconnectedError(Exception):
    """The client left before its request was whole."""


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body, so that a client that sends slowly holds no thread.

    Raises:
        TooLargeError, DisconnectedError.
    """
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > conf.MAX_BODY_BYTES:
        raise TooLargeError
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body += message.get("body", b"")
        if len(body) > conf.MAX_BODY_BYTES:
            raise TooLargeError
        more = message.get("more_body", False)
    return bytes(body)


def with_body(scope: Scope, body: bytes) -> Scope:
    """Return the scope with headers that are true of the body that has been read.

    Names with an underscore go: in WSGI's environment they can't be told from those with a dash,
    and could pass for a proxy's own.
    """
    dropped = {b"content-length", b"transfer-encoding"}
    headers = [(k, v) for k, v in scope["headers"] if k not in dropped and b"_" not in k]
    if body:
        headers.append((b"content-length", str(len(body)).encode()))
    return {**scope, "headers": headers}


async def refuse(scope: Scope, send: Send, found: Problem) -> None:
    await of_job.answer(
        send, ASGIRequest(scope, io.BytesIO()), as_response(found, path_info(scope))
    )
