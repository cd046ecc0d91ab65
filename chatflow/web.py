"""One ASGI application: streams on the event loop, everything else in a bounded thread pool."""

import asyncio
import io
import re
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import cache, partial
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from chatflow import stream, user_stream
from chatflow.addresses import as_connected, client_address, path_info, seen_by_client
from chatflow.asgi_types import Receive, Scope, Send
from chatflow.conf import conf
from chatflow.dialects import DEFAULT, get_dialect
from chatflow.errors import as_response, too_large
from chatflow.line import Line
from chatflow.pool import Pool, Rest
from chatflow.problems import Problem
from chatflow.signins import AT_ONCE
from chatflow.workflows.knowledge.readers import isolation
from chatflow.workflows.streaming.listeners import listeners
from chatflow.wsgi import application as wsgi

# `token` as a parameter's name, however its letters are escaped.
TOKEN = re.compile(
    rb"(^|[&;])((?:t|%74)(?:o|%6f)(?:k|%6b)(?:e|%65)(?:n|%6e))=[^&;]*", re.IGNORECASE
)
# A request's body must have arrived within so many seconds.
BODY_TIMEOUT = 60.0
SLOW = Problem(status=408, code="timeout", error="The request took too long to arrive.")

# How the addresses end where people sign in with a password, those of a project's own among them.
SIGN_INS = "/login/"

pool = Pool(wsgi, conf.WEB_THREADS)
line = Line(AT_ONCE)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        await http(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1000})


async def http(scope: Scope, receive: Receive, send: Send, dialect: str = DEFAULT) -> None:
    """Answer a request.

    Args:
        scope, receive, send: as ASGI has them.
        dialect: the name of the streams' dialect.
    """
    rest = await begin(
        seen_by_client(as_connected(hide_token(scope), send)), receive, send, dialect
    )
    if rest is not None:
        # A server without a lifespan has not done so.
        await listeners.open()
        await rest.run(receive)


async def begin(scope: Scope, receive: Receive, send: Send, dialect: str) -> Rest | None:
    """Answer a request, but for what the event loop goes on with; return that.

    While it goes on, maybe for hours, nothing is held of the request.
    """
    path = stream_path(settings.BASE_PATH).fullmatch(path_info(scope))
    # A preflight is answered by the middleware that answers all of them.
    if scope["method"] != "OPTIONS":
        if path is not None:
            return await stream.opened(scope, send, path[1], get_dialect(dialect))
        if path_info(scope) == f"{settings.BASE_PATH}chat/stream":
            return await user_stream.opened(scope, send, get_dialect(dialect))
    return await answer(scope, receive, send)


async def answer(scope: Scope, receive: Receive, send: Send) -> Rest | None:
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
        async with place_in_line(scope):
            return await pool.answer(with_body(scope, body), body, send)
    return None


def place_in_line(scope: Scope) -> AbstractAsyncContextManager[None]:
    """Return what waits until a sign-in may be worked on; any other request may be at once."""
    if scope["method"] != "POST" or not scope["path"].endswith(SIGN_INS):
        return nullcontext()
    return line.place(client_address(ASGIRequest(scope, io.BytesIO())))


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


@cache
def stream_path(base: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(base)}workflow/stream/([^/]+)")


def hide_token(scope: Scope) -> Scope:
    """Take the token out of *scope*, whose query the server logs; return a copy that has it.

    The copy's query is ASCII, as the WSGI side needs it.
    """
    query: bytes = scope.get("query_string", b"")
    ascii_query = re.sub(rb"[^\x21-\x7e]", lambda match: b"%%%02X" % match[0][0], query)
    inner = {**scope, "query_string": ascii_query}
    scope["query_string"] = TOKEN.sub(rb"\1\2=redacted", ascii_query)
    return inner


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
    await stream.answer(
        send, ASGIRequest(scope, io.BytesIO()), as_response(found, path_info(scope))
    )


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await listeners.open()
    stop_on_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await listeners.close()
    await send({"type": "lifespan.shutdown.complete"})


def stop_on_signals() -> None:
    """Cut the streams, and stop reading documents, as soon as the server is told to stop.

    It would wait for them to end before it tells the application so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def wrap(previous: Callable[[int, FrameType | None], Any]) -> Any:
        def stop(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(listeners.cut_all)
            loop.call_soon_threadsafe(isolation.stop)
            previous(number, frame)

        return stop

    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)
        if callable(previous):
            signal.signal(number, wrap(previous))
