"""Streams in front of any ASGI application: they stay on the event loop, whatever is behind."""

import asyncio
import re
import signal
import threading
from collections.abc import Callable
from functools import cached_property
from types import FrameType
from typing import Any

from django.urls import ResolverMatch

from chatflow.answers.errors import is_api
from chatflow.conf import conf
from chatflow.dialects import DEFAULT, dialect_paths, get_dialect
from chatflow.requests import named_scope
from chatflow.streams import of_job, of_user, probe
from chatflow.wire import routes
from chatflow.wire.addresses import as_connected, configured_prefix, path_info, seen_by_client
from chatflow.wire.asgi_types import AsgiMessage, Foreign, Receive, Scope, Send
from chatflow.wire.openings import ON_LOOP, Openings, Rest
from chatflow.wire.threads import Threads
from chatflow.workflows.knowledge.readers import isolation
from chatflow.workflows.metrics import sheets
from chatflow.workflows.streaming.listeners import listeners

# `token` as a parameter's name, however its letters are escaped.
TOKEN = re.compile(
    rb"(^|[&;])((?:t|%74)(?:o|%6f)(?:k|%6b)(?:e|%65)(?:n|%6e))=[^&;]*", re.IGNORECASE
)
# How the paths of the signed links end, wherever they are.
LINKED = re.compile(r"/workflow/(?:status|stream)/[^/]+\Z")


class Front:
    """Answers the streams by itself, and lets *application* answer everything else.

    Args:
        application: any ASGI application, such as Django's own.
    """

    def __init__(self, application: Foreign) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Lifespan(receive, send).run(self.application, scope)
        elif scope["type"] == "http":
            await self.http(scope, receive, send)
        else:
            await self.application(scope, receive, send)

    async def http(
        self, scope: Scope, receive: Receive, send: Send, dialect: str = DEFAULT
    ) -> None:
        """Answer a request.

        Args:
            scope, receive, send: as ASGI has them.
            dialect: the name of the streams' dialect.
        """
        with named_scope(scope):
            rest = await self.begin(scope, receive, send, dialect)
        if rest is not None:
            # A server without a lifespan has not done so.
            await listeners.open()
            await rest.run(receive)

    async def begin(self, scope: Scope, receive: Receive, send: Send, dialect: str) -> Rest | None:
        """Answer a request, but for what the event loop goes on with; return that.

        While it goes on, maybe for hours, nothing is held of the request.
        """
        if routes.may_be_stream(scope["path"]):
            query = scope.get("query_string", b"")
            asked = seen_by_client(as_connected(hide_token(scope), send))
            if found := asked_stream(asked):
                return await open_stream(found, asked, send, dialect)
            scope["query_string"] = query
        return await self.pass_on(scope, receive, send)

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> Rest | None:
        """Let the application answer a request; return what the event loop goes on with."""
        if not is_ours(scope):
            await self.application(scope, receive, send)
            return None
        openings = Openings(send)
        await self.application({**hide_token(scope), ON_LOOP: openings}, receive, openings.take)
        return openings.rest(self.threads)

    @cached_property
    def threads(self) -> Threads:
        """What answers on the event loop look into the database with."""
        return Threads(conf.WEB_THREADS)


def is_ours(scope: Scope) -> bool:
    """Say whether a request needs some care on its way to Django: one of ours, if it is one.

    Its query has a job's token, or a dialect's answer goes on when its view has returned. No link's
    token may reach a log, also where only Django finds its view: by a language, or by a URLconf of
    the request's own.
    """
    prefix = configured_prefix() or scope.get("root_path", "")
    path = scope["path"].removeprefix(prefix)
    if TOKEN.search(scope.get("query_string", b"")):
        return LINKED.search(path) is not None or is_api(path)
    return routes.may_be_opening(path) or any(each in path for each in dialect_paths())


def asked_stream(scope: Scope) -> ResolverMatch | None:
    """Return the stream that a request is for, if it is for one.

    Args:
        scope: as the client has made the request.
    """
    # A preflight is answered by the middleware that answers all of them.
    return None if scope["method"] == "OPTIONS" else routes.find_stream(path_info(scope))


async def open_stream(found: ResolverMatch, scope: Scope, send: Send, dialect: str) -> Rest | None:
    """Open a stream, or refuse it; return what sends it.

    Args:
        found: which one it is.
        scope: as the client has made the request.
        send: takes the answer.
        dialect: the name of the stream's.
    """
    if found.kwargs.get("job_id") == probe.NAME:
        return await probe.opened(scope, send)
    if "job_id" in found.kwargs:
        return await of_job.opened(scope, send, found.kwargs["job_id"], get_dialect(dialect))
    return await of_user.opened(scope, send, get_dialect(dialect))


def hide_token(scope: Scope) -> Scope:
    """Take the token out of *scope*, whose query the server logs; return a copy that has it.

    The copy's query is ASCII, as the WSGI side needs it.
    """
    query: bytes = scope.get("query_string", b"")
    ascii_query = re.sub(rb"[^\x21-\x7e]", lambda match: b"%%%02X" % match[0][0], query)
    inner = {**scope, "query_string": ascii_query}
    scope["query_string"] = TOKEN.sub(rb"\1\2=redacted", ascii_query)
    return inner


class Lifespan:
    """Opens and closes the listeners, and passes the lifespan on to an application.

    Where that doesn't understand it, as Django's own doesn't, the server is answered here.

    Args:
        receive, send: as ASGI has them.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._begun = self._answered = False

    async def run(self, application: Foreign, scope: Scope) -> None:
        try:
            await application(scope, self.receive, self.send)
        except Exception:
            if self._answered:
                raise
        if not self._answered:
            await self._answer()

    async def receive(self) -> AsgiMessage:
        message = await self._receive()
        if message["type"] == "lifespan.startup":
            self._begun = True
            # It takes a while, and may use the database.
            await asyncio.to_thread(routes.load)
            await asyncio.to_thread(sheets.begin)
            await listeners.open()
            stop_on_signals()
        else:
            await listeners.close()
        return message

    async def send(self, message: AsgiMessage) -> None:
        self._answered = True
        await self._send(message)

    async def _answer(self) -> None:
        if not self._begun:
            await self.receive()
        await self._send({"type": "lifespan.startup.complete"})
        await self.receive()
        await self._send({"type": "lifespan.shutdown.complete"})


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
