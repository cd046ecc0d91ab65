"""GET workflow/stream/{job_id}: a job's events as Server-Sent Events, in a small ASGI app.

An idle stream costs two small tasks, no thread and no database connection.
"""

import asyncio
import io
import logging
import re
from contextlib import aclosing, suppress
from importlib import import_module

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpResponse
from django.utils.functional import SimpleLazyObject
from rest_framework.exceptions import MethodNotAllowed, ParseError, Throttled

from chatflow import auth, sse
from chatflow.asgi_types import Receive, Scope, Send
from chatflow.auth import Grant
from chatflow.dialects import seed
from chatflow.errors import Unavailable, as_response, problem
from workflows import streams
from workflows.exceptions import CursorBeyondHead
from workflows.models import Job

logger = logging.getLogger(__name__)

# Seconds between two signs of life.
KEEP_ALIVE = 15.0
# A client that takes nothing for so many seconds is dropped.
SEND_TIMEOUT = 30.0
# Seconds between two looks at whether the open streams may still be watched.
LOOK_AGAIN = 2.0
# Milliseconds after which a client comes back when its stream broke off.
RETRY = 1000
LARGEST_CURSOR = 2**31 - 1

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
    "Content-Encoding": "identity",
}


class OpenStream:
    """A client that watches a job."""

    def __init__(self, grant: Grant, cursor: int, receive: Receive, send: Send) -> None:
        self.grant = grant
        self._cursor = cursor
        self._receive = receive
        self._send = send
        self._writer: asyncio.Task[None] | None = None

    async def run(self, head: HttpResponse) -> None:
        """Write until the job has ended, the client is gone, or the stream is cut."""
        self._writer = asyncio.create_task(self._write(head))
        watcher = asyncio.create_task(self._watch())
        tasks = {self._writer, watcher}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            gone = watcher.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not gone and not self._ended_well():
            await self._break_off()

    def cut(self) -> None:
        """Break the stream off now."""
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self, head: HttpResponse) -> None:
        job = self.grant.job
        await start(self._send, head)
        await self._put(sse.frame(seed.connected(job), retry=RETRY))
        events = streams.follow(job.pk, self._cursor, idle=KEEP_ALIVE)
        async with aclosing(events) as batches:
            async for batch in batches:
                frames = [sse.frame(seed.frame(job.public_id, e), event_id=e.seq) for e in batch]
                await self._put(b"".join(frames) or sse.KEEP_ALIVE)
        await self._put(b"", more=False)

    async def _put(self, body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(SEND_TIMEOUT):
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _ended_well(self) -> bool:
        assert self._writer is not None
        if self._writer.cancelled():
            return False
        error = self._writer.exception()
        if error is not None and not isinstance(error, streams.StreamCut | TimeoutError):
            logger.error("The stream of %s broke", self.grant.job.public_id, exc_info=error)
        return error is None

    async def _break_off(self) -> None:
        """Leave the response incomplete: a client must not take this for the job's end.

        uvicorn would first wait until the client has read what was sent, for ever if it reads
        nothing; so the connection is aborted, where uvicorn lets it be found.
        """
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._watch()


class OpenStreams:
    """The open streams of this process, by user."""

    def __init__(self) -> None:
        self._by_user: dict[int, set[OpenStream]] = {}
        self._guard: asyncio.Task[None] | None = None
        self._closing = False

    def __len__(self) -> int:
        return sum(len(streams) for streams in list(self._by_user.values()))

    def all(self) -> list[OpenStream]:
        return [stream for streams in self._by_user.values() for stream in streams]

    def check_room(self, user_id: int) -> None:
        """Refuse a stream that may not be opened.

        Raises:
            Throttled: the user has too many of them.
            Unavailable: the process is shutting down.
        """
        if self._closing:
            raise Unavailable("The server is about to restart. Please try again.")
        if len(self._by_user.get(user_id, ())) >= settings.STREAMS_PER_USER:
            raise Throttled(wait=1, detail="Too many open streams.")

    def add(self, stream: OpenStream) -> None:
        self._by_user.setdefault(stream.grant.user.pk, set()).add(stream)
        if self._guard is None:
            self._guard = asyncio.create_task(self._look_again())

    def remove(self, stream: OpenStream) -> None:
        own = self._by_user[stream.grant.user.pk]
        own.remove(stream)
        if not own:
            del self._by_user[stream.grant.user.pk]
        if not self._by_user and self._guard is not None:
            self._guard.cancel()
            self._guard = None

    def open(self) -> None:
        self._closing = False

    def close(self) -> None:
        """Cut all streams and let no new one begin."""
        self._closing = True
        for stream in self.all():
            stream.cut()

    async def _look_again(self) -> None:
        """Cut the streams whose credential is revoked; one query for all, while any is open."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            grants = [stream.grant for stream in self.all()]
            try:
                revoked = {id(g) for g in await streams.in_reader(auth.revoked, grants)}
            except Exception as error:
                logger.warning("The open streams could not be looked at.", exc_info=error)
                continue
            for stream in self.all():
                if id(stream.grant) in revoked:
                    stream.cut()


open_streams = OpenStreams()
_cors = CorsMiddleware(lambda request: HttpResponse())


async def serve(scope: Scope, receive: Receive, send: Send, public_id: str) -> None:
    """Answer one request for a job's stream."""
    request = ASGIRequest(scope, io.BytesIO())
    try:
        if scope["method"] != "GET":
            raise MethodNotAllowed(scope["method"])
        grant = await streams.in_reader(look, request, public_id)
        cursor = read_cursor(request)
        finished = has_all(grant.job, cursor)
        if not finished:
            open_streams.check_room(grant.user.pk)
    except Exception as error:
        await answer(send, request, refusal(error))
        return
    if finished:
        await answer(send, request, HttpResponse(status=204))
        return
    head = HttpResponse(headers=HEADERS)
    _cors.add_response_headers(request, head)
    stream = OpenStream(grant, cursor, receive, send)
    open_streams.add(stream)
    try:
        await stream.run(head)
    finally:
        open_streams.remove(stream)


def look(request: ASGIRequest, public_id: str) -> Grant:
    """Say whether the request may see the job. In a thread that may use the database."""
    close_old_connections()
    engine = import_module(settings.SESSION_ENGINE)
    request.session = engine.SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    request.user = SimpleLazyObject(lambda: get_user(request))  # type: ignore[assignment]
    return auth.authorize(request, public_id)


def read_cursor(request: ASGIRequest) -> int:
    """Return the last ``seq`` that the client has; the header is the browser's and the latest.

    Raises:
        ParseError: it's not such a number.
    """
    raw = request.META.get("HTTP_LAST_EVENT_ID") or request.GET.get("last_event_id") or "0"
    if not re.fullmatch(r"[0-9]{1,10}", raw) or int(raw) > LARGEST_CURSOR:
        raise ParseError("The cursor must be the id of an event: a number from 0 on.")
    return int(raw)


def has_all(job: Job, cursor: int) -> bool:
    """Say whether the client has the last event of a job that has ended.

    Raises:
        CursorBeyondHead: it has more than there is.
    """
    if cursor > job.last_seq:
        raise CursorBeyondHead
    return job.is_finished and cursor == job.last_seq


def refusal(error: Exception) -> HttpResponse:
    found = problem(error)
    if found.status == 500:
        logger.error("A stream could not be opened", exc_info=error)
    response = as_response(found)
    if found.status == 405:
        response.headers["Allow"] = "GET, OPTIONS"
    return response


async def answer(send: Send, request: ASGIRequest, response: HttpResponse) -> None:
    """Send a whole response."""
    _cors.add_response_headers(request, response)
    response.headers["Content-Length"] = str(len(response.content))
    await start(send, response)
    await send({"type": "http.response.body", "body": response.content})


async def start(send: Send, response: HttpResponse) -> None:
    headers = [(key.lower().encode(), value.encode()) for key, value in response.items()]
    status = response.status_code
    await send({"type": "http.response.start", "status": status, "headers": headers})
