"""A view's answer that waits for a job: its stream in any dialect, or its end."""

import logging
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import get_script_prefix, set_script_prefix
from rest_framework.request import Request

from chatflow.addresses import request_prefix
from chatflow.asgi_types import AsgiMessage, Receive, Send
from chatflow.auth import Grant, grant
from chatflow.dialects import Dialect, Encoding
from chatflow.errors import Unavailable, as_response, problem
from chatflow.middleware import dress
from chatflow.pool import ON_LOOP, Opening
from chatflow.problems import Problem
from chatflow.replays import replay
from chatflow.stream import HEADERS, OpenStream, head_of, open_streams
from workflows.models import Event, Job
from workflows.streaming.listeners import listeners

logger = logging.getLogger(__name__)

Render = Callable[[], HttpResponse]
# Ends what a client that has left began; called in a thread that may use the database.
Abandon = Callable[[], object]
# The answer was not given because this server stops; the job goes on. A client that sent the
# request again would start it twice.
STOPPED = Problem(
    status=503,
    code="unavailable",
    error="The server is about to restart. The work goes on, and its answer will be there.",
    headers={"x-should-retry": "false"},
)


def check_room(request: Request) -> None:
    """See to it that the user may open a stream, or wait; before a job is started for it.

    Raises:
        Throttled: there are too many of them.
        Unavailable: the process is shutting down, or has no event loop.
    """
    if ON_LOOP not in request.META:
        raise Unavailable("Streams need an ASGI server: uvicorn chatflow.asgi:application")
    open_streams.check_room(grant(request, Job()))


def encode(job: Job, dialect: Dialect) -> tuple[Encoding, list[bytes]]:
    """Return *dialect*, given the job's log so far, and the frames of that.

    Args:
        job: the job.
        dialect: an encoder that has been given no event.
    """
    encoding = Encoding(dialect, request_prefix())
    return encoding, replay(encoding, job.pk)


def stream(
    request: Request,
    job: Job,
    encoding: Encoding,
    first: bytes,
    headers: dict[str, str] | None = None,
    abandon: Abandon | None = None,
) -> HttpResponse:
    """Answer with a job's stream.

    Args:
        request: check_room() has let it in.
        job: the user's own.
        encoding: given the log so far; see encode().
        first: what the client is sent before the frames of later events: those frames of the
            earlier ones that it wants, or how the job stands now.
        headers: beside those of all streams.
        abandon: called if the client leaves before the job's end, where its protocol means by that
            that the job is not wanted any more; not if it's the server that cuts the stream.
    """
    if encoding.ended:
        return HttpResponse(first, headers={**HEADERS, **(headers or {})})
    return StreamOpening(grant(request, job), encoding, first, headers or {}, abandon)


def wait(request: Request, job: Job, render: Render) -> HttpResponse:
    """Answer when the job has ended.

    Args:
        request: check_room() has let it in.
        job: the user's own.
        render: makes the answer; called when the job's end is stored, in a thread that may use the
            database.
    """
    return render() if job.is_finished else EndOpening(request, job, render)


class StreamOpening(Opening):
    def __init__(
        self,
        grant: Grant,
        encoding: Encoding,
        first: bytes,
        headers: dict[str, str],
        abandon: Abandon | None,
    ) -> None:
        super().__init__(headers={**HEADERS, **headers})
        self._grant, self._encoding, self._first = grant, encoding, first
        self._abandon = abandon

    def open(self, head: AsgiMessage, send: Send) -> OpenStream:
        # Django has counted what it was given.
        headers = [pair for pair in head["headers"] if pair[0] != b"content-length"]
        encoding = self._encoding
        told = (self._grant, encoding, encoding.seq, send)
        abandon = self._abandon
        stream = OpenStream(*told) if abandon is None else HeldStream(abandon, *told)
        open_streams.add(stream)
        stream.begin(stream.greet({**head, "headers": headers}, self._first))
        return stream


class HeldStream(OpenStream):
    """A stream whose client holds its job by it: leaving it abandons the job."""

    __slots__ = ("_abandon", "_has_ended")

    def __init__(self, abandon: Abandon, *stream: Any) -> None:
        super().__init__(*stream)
        self._abandon = abandon
        self._has_ended = False

    async def hand_on(self, events: list[Event]) -> None:
        self._has_ended = events[-1].is_terminal
        await super().hand_on(events)

    async def left(self) -> None:
        if self._has_ended or listeners.closing:
            return
        try:
            await listeners.in_reader(self._abandon)
        except Exception as error:
            logger.warning("%s could not be abandoned.", self.name, exc_info=error)


class EndOpening(Opening):
    def __init__(self, request: Request, job: Job, render: Render) -> None:
        super().__init__()
        self._request, self._job, self._render = request, job, render

    def open(self, head: AsgiMessage, send: Send) -> "Wait":
        stream = Wait(self._request, self._job, self._render, send)
        open_streams.add(stream)
        return stream


class Silent(Dialect):
    """Says nothing: of a job whose end alone is waited for."""

    __slots__ = ()
    name = "wait"
    keeps_state = False

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        return []


class Wait(OpenStream):
    """A client that waits for a job's end; its answer has no head before that."""

    __slots__ = ("_asked", "_prefix", "_render")

    def __init__(self, request: Request, job: Job, render: Render, send: Send) -> None:
        super().__init__(grant(request, job), Encoding(Silent(job)), 0, send)
        # Enough of the request to answer it; its body may be large.
        self._asked = request._request
        self._prefix = get_script_prefix()
        self._render = render

    def keep_alive(self) -> None:
        """Show nothing: the client may not be told before the end what becomes of its request."""

    async def hand_on(self, events: list[Event]) -> None:
        if events[-1].is_terminal:
            await self._answer(await listeners.in_reader(self._rendered))

    def _rendered(self) -> HttpResponse:
        set_script_prefix(self._prefix)
        try:
            return self._render()
        except Exception as error:
            return as_response(problem(error), self._asked.path_info)

    async def _answer(self, response: HttpResponse) -> None:
        dress(self._asked, response)
        response.headers["Content-Length"] = str(len(response.content))
        await self._send(head_of(response))
        await self._put(response.content, more=False)

    async def _break_off(self, receive: Receive) -> None:
        await self._answer(as_response(STOPPED, self._asked.path_info))
