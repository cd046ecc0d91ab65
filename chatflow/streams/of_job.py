"""GET workflow/stream/{job_id}: a job's events as Server-Sent Events, in a small ASGI app.

An idle stream costs the server's own state for a connection, and two small objects: no task of
its own, no thread and no database connection.
"""

import asyncio
import io
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Literal

from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from rest_framework.exceptions import APIException, MethodNotAllowed, ParseError, Throttled

from chatflow import auth
from chatflow.answers.errors import Unavailable, as_response, problem
from chatflow.answers.languages import english
from chatflow.auth import Admission, Grant
from chatflow.conf import conf
from chatflow.dialects import BREAK, CLOSE, Dialect, Encoding, Missed
from chatflow.middleware import dress
from chatflow.streams.confinement import Confinement
from chatflow.streams.replays import replayed
from chatflow.wire import sse
from chatflow.wire.asgi_types import AsgiMessage, Receive, Scope, Send
from chatflow.workflows import clock, services, tracing
from chatflow.workflows.exceptions import CursorBeyondHead, JobNotFound
from chatflow.workflows.metrics.series import (
    DELIVERY,
    DIALECT_STREAMS,
    STREAMS,
    STREAMS_OPENED,
)
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.streaming.followers import Follower, StreamCut
from chatflow.workflows.streaming.listeners import listeners

logger = logging.getLogger(__name__)

# Seconds between two signs of life, which a few streams at a time show.
KEEP_ALIVE = 15.0
TURNS = 60
# A client that takes nothing for so many seconds is dropped.
SEND_TIMEOUT = 30.0
# Bytes that are sent at once, and a frame more.
PIECE = 65536
# Seconds between two looks at whether the open streams may still be watched, and how many of them
# one query is about.
LOOK_AGAIN = 2.0
LOOKS = 5000
# How many times longer than it takes a look at the queue is left alone.
REST = 20
LARGEST_CURSOR = 2**31 - 1
# Jobs whose links may have all their slots taken, before a user's other links have none left.
LINKS = 5

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
    "Content-Encoding": "identity",
}


class OpenStream(Follower):
    """A client that watches a job. Nothing but the bare minimum is kept: there may be thousands."""

    __slots__ = (
        "_confinement",
        "_error",
        "_lifetime",
        "_progress",
        "_send",
        "_span",
        "encoding",
        "job_id",
        "place",
        "right",
        "since",
        "slots",
        "turn",
    )

    # Its job's place in the queue, as the client was told; 0 before that, None once it runs.
    place: int | None
    # Of its job's trace, where traces are on.
    _span: "tracing.Span | None"

    def __init__(self, grant: Grant, encoding: Encoding, cursor: int, send: Send) -> None:
        super().__init__(grant.job.pk, cursor)
        self.job_id = grant.job.pk
        self._progress = grant.job.progress
        self.encoding = encoding
        self._connect(grant, send)
        self._confinement = Confinement.of(grant.job.pk, grant.workflow)
        self._span = tracing.begin(
            "stream",
            "SERVER",
            tracing.parent_of(grant.job.options),
            {"chatflow.job": str(grant.job), "chatflow.dialect": self.dialect},
        )
        if grant.job.state == State.QUEUED and encoding.dialect.tells_places:
            self.place = 0

    def _connect(self, grant: Admission, send: Send) -> None:
        self.right = grant.right
        # When it was opened, by the database's clock.
        self.since = clock.now()
        self.slots = tuple(slots(grant))
        self.place = None
        self._span = None
        # When it shows its signs of life.
        self.turn = 0
        self._send = send
        self._lifetime = asyncio.timeout(None)
        self._error: BaseException | None = None

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return self.encoding.dialect.job_id

    @property
    def dialect(self) -> str:
        """The name of its dialect."""
        return self.encoding.dialect.name

    def encodings(self) -> Iterable[Encoding]:
        """Return those whose frames it sends."""
        return (self.encoding,)

    async def run(self, receive: Receive) -> None:
        """Write until the job has ended, the client is gone, or the stream is cut."""
        try:
            async with self._lifetime:
                self.start()
                await gone(receive)
        except TimeoutError:
            if self._error is not None:
                await self._break_off(receive)
        else:
            self.stop()
            await self.left()
        finally:
            self.stop()
            open_streams.remove(self)
            if self._span is not None:
                self._span.set_attribute("chatflow.last_event", self.cursor)
                self._span.end()

    async def left(self) -> None:
        """Hear that the client has left, or has the whole answer."""

    async def greet(self, head: AsgiMessage, first: bytes) -> None:
        await self._send(head)
        # Piece by piece, as a client that reads slowly has its time for each of them.
        for start in range(0, len(first), PIECE):
            await self._put(first[start : start + PIECE])

    def keep_alive(self) -> None:
        """Show a sign of life, unless something is being sent anyway."""
        if self.is_idle:
            for each in self.encodings():
                each.forget()
            self.begin(self._put(sse.KEEP_ALIVE))

    def waiting(self) -> list[int]:
        """Return the primary keys of the jobs whose places in the queue it tells."""
        return [] if self.place is None else [self.job_id]

    def tell_places(self, places: Mapping[int, int]) -> None:
        """Tell the client the places in the queue that have changed.

        Args:
            places: by the jobs' primary keys; of those that wait no more there is none.
        """
        place = places.get(self.job_id)
        if self.place is not None and place not in (None, self.place) and self.is_idle:
            self.place = place
            self.begin(self._put(self.encoding.dialect.waiting(place, self._progress)))

    async def hand_on(self, events: list[Event]) -> None:
        if self._confinement is not None:
            await self._check(self._confinement, events)
        self.place = None
        self.encoding = self.encoding.shared()
        body = b""
        for event in events:
            # Piece by piece, so that of a client that reads slowly no more than that is held.
            if len(body) >= PIECE:
                await self._put(body)
                body = b""
            for frame in await self._encode(event):
                body += frame
                if frame is BREAK:
                    await self._put(body)
                    raise StreamCut
                if frame is CLOSE:
                    await self._put(body, more=False)
                    self.time(event)
                    self.stop()
                    return
        await self._put(body, more=not events[-1].is_terminal)
        self.time(events[-1])

    def time(self, event: Event) -> None:
        """Time how long the newest event has taken to its client, if the client waited for it."""
        if event.created_at >= self.since:
            DELIVERY.observe(clock.seconds_since(event.created_at), self.dialect)

    async def _encode(self, event: Event) -> list[bytes]:
        try:
            return self.encoding.frames(event)
        except Missed:
            self.encoding = await listeners.in_reader(
                replayed, self.encoding, self.job_id, event.seq - 1
            )
            return self.encoding.frames(event)

    async def _check(self, confinement: Confinement, events: list[Event]) -> None:
        try:
            admitted = await confinement.admits(events)
        except DatabaseError as error:
            raise StreamCut from error
        if not admitted:
            raise StreamCut

    def over(self, error: BaseException | None) -> None:
        """Let run() return."""
        self._error = error
        if error is not None and not isinstance(error, StreamCut | TimeoutError):
            logger.error("The stream of %s broke", self.name, exc_info=error)
        self._lifetime.reschedule(0)

    async def _put(self, body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(SEND_TIMEOUT):
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _break_off(self, receive: Receive) -> None:
        """Leave the response incomplete: a client must not take this for the job's end.

        uvicorn would first wait until the client has read everything, for ever if it reads
        nothing; so the connection is aborted, where uvicorn lets it be found.
        """
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await gone(receive)


async def gone(receive: Receive) -> None:
    """Wait until the client has left, or has the whole response."""
    while (await receive())["type"] != "http.disconnect":
        pass


# Who takes a slot: a user, the holders of a job's link, the holders of all links of a user.
Slot = tuple[Literal["user", "link", "links"], Any]


def slots(grant: Admission) -> dict[Slot, int]:
    """Return the slots that a stream takes, and how many there are of each."""
    most = conf.STREAMS_PER_USER
    if isinstance(grant, Grant) and grant.right.kind == "link":
        return {("link", grant.job.pk): most, ("links", grant.user.pk): most * LINKS}
    return {("user", grant.user.pk): most}


class OpenStreams:
    """The open streams of this process. Other threads than the loop's may only count them."""

    def __init__(self) -> None:
        self._turns: list[set[OpenStream]] = [set() for _ in range(TURNS)]
        self._opened = 0
        self._taken: Counter[Slot] = Counter()
        self._spoken: Counter[str] = Counter()
        self._guards: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return sum(map(len, self._turns))

    def __iter__(self) -> Iterator[OpenStream]:
        return iter([stream for turn in self._turns for stream in turn])

    def by_dialect(self) -> dict[str, int]:
        """Return how many streams of each dialect there are; none of those that have none."""
        # Copied at once: the loop may be counting.
        return dict(sorted((+self._spoken.copy()).items()))

    def has_room(self, grant: Admission) -> bool:
        return all(self._taken[slot] < most for slot, most in slots(grant).items())

    def check_room(self, grant: Admission) -> None:
        """Refuse a stream that may not be opened.

        Raises:
            Throttled: there are too many of them.
            Unavailable: the process is shutting down.
        """
        if listeners.closing:
            raise Unavailable("The server is about to restart. Please try again.")
        if not self.has_room(grant):
            raise Throttled(wait=1, detail="Too many open streams.")

    def add(self, stream: OpenStream) -> None:
        self._opened += 1
        stream.turn = self._opened % TURNS
        self._turns[stream.turn].add(stream)
        self._taken.update(stream.slots)
        self._spoken[stream.dialect] += 1
        STREAMS.add(1)
        DIALECT_STREAMS.add(1, stream.dialect)
        STREAMS_OPENED.add(1, stream.dialect)
        if not self._guards:
            guards = (self._keep_alive(), self._look_again(), self._tell_places())
            self._guards = [asyncio.create_task(guard) for guard in guards]

    def remove(self, stream: OpenStream) -> None:
        self._turns[stream.turn].remove(stream)
        self._taken.subtract(stream.slots)
        self._spoken[stream.dialect] -= 1
        STREAMS.add(-1)
        DIALECT_STREAMS.add(-1, stream.dialect)
        for slot in stream.slots:
            if not self._taken[slot]:
                del self._taken[slot]
        if not self._taken:
            for guard in self._guards:
                guard.cancel()
            self._guards = []

    async def _keep_alive(self) -> None:
        """Let the streams show signs of life, one turn after the other, so that none stalls all."""
        while True:
            for turn in self._turns:
                await asyncio.sleep(KEEP_ALIVE / TURNS)
                for stream in turn:
                    stream.keep_alive()

    async def _look_again(self) -> None:
        """Cut the streams whose credential is revoked; few queries for all, while any is open."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            watching = list(self)
            for start in range(0, len(watching), LOOKS):
                await self._cut_revoked(watching[start : start + LOOKS])

    async def _tell_places(self) -> None:
        """Tell those who wait their places in the queue; one query for all, while any waits."""
        pause = LOOK_AGAIN
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            await self._look_at_queue()
            pause = pause_after(time.monotonic() - began)

    async def _look_at_queue(self) -> None:
        waiting = {job: None for stream in self for job in stream.waiting()}
        if not waiting:
            return
        try:
            places = await listeners.in_reader(services.queue_positions, list(waiting))
        except Exception as error:
            logger.warning("The queue could not be looked at.", exc_info=error)
            return
        for stream in self:
            stream.tell_places(places)

    async def _cut_revoked(self, watching: list[OpenStream]) -> None:
        try:
            revoked = await listeners.in_reader(auth.revoked, [each.right for each in watching])
        except Exception as error:
            logger.warning("The open streams could not be looked at.", exc_info=error)
            return
        for stream in watching if revoked else ():
            if stream.right in revoked:
                stream.cut()


def pause_after(took: float) -> float:
    """Return the seconds until the next look at the queue; long queues are looked at less often.

    Args:
        took: seconds that the last look took.
    """
    return max(LOOK_AGAIN, REST * took)


open_streams = OpenStreams()


async def opened(
    scope: Scope, send: Send, public_id: str, dialect: type[Dialect]
) -> OpenStream | None:
    """Answer one request for a job's stream.

    Args:
        scope: the request.
        send: takes the answer.
        public_id: the job's.
        dialect: that of the stream's frames.

    Returns:
        The open stream, to be run at once; None where the whole answer was given.
    """
    request = ASGIRequest(scope, io.BytesIO())
    try:
        with english():
            if scope["method"] != "GET":
                raise MethodNotAllowed(scope["method"])
            # The host is checked as Django does it.
            request.get_host()
            grant = await admitted(request, public_id)
            cursor = read_cursor(request)
            finished = has_all(grant.job, cursor)
            if not finished:
                open_streams.check_room(grant)
    except Exception as error:
        await answer(send, request, refusal(error, request))
        return None
    if finished:
        await answer(send, request, HttpResponse(status=204))
        return None
    head = HttpResponse(headers=HEADERS)
    dress(request, head)
    encoding = Encoding(dialect(grant.job), scope.get("root_path", ""))
    stream = OpenStream(grant, encoding.shared(), cursor, send)
    open_streams.add(stream)
    stream.begin(stream.greet(head_of(head), encoding.dialect.connected(grant.job)))
    return stream


async def admitted(request: ASGIRequest, public_id: str) -> Grant:
    """Say by what right the request may see the job.

    Whoever has a link can take all of its slots, but not those of the owner's session.
    """
    grant = await listeners.in_reader(look, request, public_id)
    signed_in = settings.SESSION_COOKIE_NAME in request.COOKIES
    if grant.right.kind == "link" and signed_in and not open_streams.has_room(grant):
        with suppress(APIException, JobNotFound):
            return await listeners.in_reader(look, request, public_id, False)
    return grant


def look(request: ASGIRequest, public_id: str, by_link: bool = True) -> Grant:
    """Say by what right the request may see the job. In a thread that may use the database."""
    close_old_connections()
    sign_in(request)
    return auth.authorize(request, public_id, by_link=by_link)


def sign_in(request: ASGIRequest) -> None:
    """Give the request its session and its user, as the middleware does elsewhere."""
    engine = import_module(settings.SESSION_ENGINE)
    request.session = engine.SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    request.user = SimpleLazyObject(lambda: get_user(request))  # type: ignore[assignment]


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


def refusal(error: Exception, request: ASGIRequest) -> HttpResponse:
    found = problem(error)
    if found.status == 500:
        logger.error("A stream could not be opened", exc_info=error)
    response = as_response(found, request.path_info)
    if found.status == 405:
        response.headers["Allow"] = "GET, OPTIONS"
    return response


async def answer(send: Send, request: HttpRequest, response: HttpResponse) -> None:
    """Send a whole response."""
    dress(request, response)
    response.headers["Content-Length"] = str(len(response.content))
    await send(head_of(response))
    await send({"type": "http.response.body", "body": response.content})


def head_of(response: HttpResponse) -> AsgiMessage:
    headers = [(key.lower().encode(), value.encode()) for key, value in response.items()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}
