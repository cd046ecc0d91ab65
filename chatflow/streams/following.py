"""A view's answer that waits for a job: its stream in any dialect, or its end."""

import asyncio
import logging
from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, set_script_prefix
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from chatflow import auth
from chatflow.answers.errors import as_response, no_streams, problem
from chatflow.auth import Grant, grant
from chatflow.dialects import Dialect, Encoding
from chatflow.streams.of_job import HEADERS, SEND_TIMEOUT, OpenStream, answer, open_streams
from chatflow.streams.replays import replay
from chatflow.wire.addresses import request_prefix
from chatflow.wire.asgi_types import AsgiMessage, Receive, Send
from chatflow.wire.openings import ON_LOOP, Opening, Rest, is_on_loop, openings_of
from chatflow.wire.problems import Problem
from chatflow.wire.threads import Threads
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import Event, Job
from chatflow.workflows.streaming.followers import StreamCut
from chatflow.workflows.streaming.listeners import listeners

logger = logging.getLogger(__name__)

Render = Callable[[], HttpResponse]
# Ends what a client that has left began; called in a thread that may use the database.
Abandon = Callable[[], object]
# The answer was not given because this server stops.
STOPPED = Problem(
    status=503,
    code="unavailable",
    error="The server is about to restart. The work goes on, and its answer will be there.",
)


def check_room(request: Request) -> None:
    """See to it that the user may open a stream, or wait; before a job is started for it.

    Raises:
        Throttled: there are too many of them.
        Unavailable: the process is shutting down, or has no event loop.
    """
    if not is_on_loop(request._request):
        raise no_streams()
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
    return StreamOpening(request, job, encoding, first, headers or {}, abandon)


def wait(request: Request, job: Job, render: Render) -> HttpResponse:
    """Answer when the job has ended.

    Args:
        request: check_room() has let it in.
        job: the user's own.
        render: makes the answer; called when the job's end is stored, in a thread that may use the
            database, and once more if its connection has died. It is kept as long as the client
            waits, so it holds no more than it needs.
    """
    return render() if job.is_finished else EndOpening(request, job, render)


def without_body(request: HttpRequest) -> HttpRequest:
    """Return enough of a request to answer it; its body may be large."""
    if isinstance(request, ASGIRequest):
        scope = {name: each for name, each in request.scope.items() if name != ON_LOOP}
        return ASGIRequest(scope, BytesIO())
    return WSGIRequest({**request.META, "wsgi.input": BytesIO()})


def final(response: HttpResponse) -> HttpResponse:
    """Let the client not repeat the request by itself: the job is there, it would start another."""
    response.headers["x-should-retry"] = "false"
    return response


class JobOpening(Opening):
    """Opens what follows a job, if there is still room for it."""

    def __init__(self, request: Request, job: Job, headers: dict[str, str] | None = None) -> None:
        super().__init__(headers=headers)
        openings = openings_of(request._request)
        if openings is not None:
            openings.announce(self)
        self._asked = without_body(request._request)
        self._grant = grant(request, job)

    def open(self, head: AsgiMessage, send: Send, threads: Threads) -> Rest:
        # Others may have opened theirs since the view has looked.
        if not open_streams.has_room(self._grant):
            return Refusal(self._asked, send)
        stream = self.follow(head, send, threads)
        open_streams.add(stream)
        return stream

    def follow(self, head: AsgiMessage, send: Send, threads: Threads) -> OpenStream:
        raise NotImplementedError


class Refusal:
    """The answer where there is no room any more; the job goes on."""

    def __init__(self, asked: HttpRequest, send: Send) -> None:
        self._asked, self._send = asked, send

    async def run(self, receive: Receive) -> None:
        found = problem(Throttled(wait=1, detail="Too many open streams. The work goes on."))
        response = final(as_response(found, self._asked.path_info))
        await answer(self._send, self._asked, response)


class StreamOpening(JobOpening):
    def __init__(
        self,
        request: Request,
        job: Job,
        encoding: Encoding,
        first: bytes,
        headers: dict[str, str],
        abandon: Abandon | None,
    ) -> None:
        super().__init__(request, job, {**HEADERS, **headers})
        self._encoding, self._first, self._abandon = encoding, first, abandon

    def follow(self, head: AsgiMessage, send: Send, threads: Threads) -> OpenStream:
        # Django has counted what it was given.
        headers = [pair for pair in head["headers"] if pair[0] != b"content-length"]
        told = (self._grant, self._encoding, self._encoding.seq, send)
        abandon = self._abandon
        stream = OpenStream(*told) if abandon is None else HeldStream(threads, abandon, *told)
        stream.begin(stream.greet({**head, "headers": headers}, self._first))
        return stream


class HeldStream(OpenStream):
    """A stream whose client holds its job by it: leaving it abandons the job."""

    __slots__ = ("_abandon", "_has_ended", "_threads")

    def __init__(self, threads: Threads, abandon: Abandon, *stream: Any) -> None:
        super().__init__(*stream)
        self._threads, self._abandon = threads, abandon
        self._has_ended = False

    async def hand_on(self, events: list[Event]) -> None:
        self._has_ended = events[-1].is_terminal
        await super().hand_on(events)

    async def left(self) -> None:
        if self._has_ended or listeners.closing:
            return
        try:
            # Not in a reader's thread: it may wait for the job's lock, and all streams with it.
            await self._threads.call(self._abandon)
        except Exception as error:
            logger.warning("%s could not be abandoned.", self.name, exc_info=error)


class EndOpening(JobOpening):
    def __init__(self, request: Request, job: Job, render: Render) -> None:
        super().__init__(request, job)
        self._prefix, self._render = get_script_prefix(), render

    def follow(self, head: AsgiMessage, send: Send, threads: Threads) -> OpenStream:
        return Wait(self._grant, self._asked, self._prefix, self._render, threads, send)


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

    __slots__ = ("_asked", "_has_head", "_prefix", "_render", "_threads")

    def __init__(
        self,
        grant: Grant,
        asked: HttpRequest,
        prefix: str,
        render: Render,
        threads: Threads,
        send: Send,
    ) -> None:
        super().__init__(grant, Encoding(Silent(grant.job)), 0, send)
        self._asked, self._prefix = asked, prefix
        self._render, self._threads = render, threads
        self._has_head = False

    def keep_alive(self) -> None:
        """Show nothing: the client may not be told before the end what becomes of its request."""

    async def hand_on(self, events: list[Event]) -> None:
        if self._confinement is not None:
            await self._check(self._confinement, events)
        if events[-1].is_terminal:
            await self._answer(await self._rendered())

    async def _rendered(self) -> HttpResponse:
        def render() -> HttpResponse:
            set_script_prefix(self._prefix)
            return self._render()

        try:
            # Not in a reader's thread: it may read a whole log, and all streams wait for it.
            return await self._threads.call(render)
        except Exception as error:
            found = problem(error)
            if found.status >= 500:
                logger.exception("The end of %s could not be told.", self.name)
            return as_response(found, self._asked.path_info)

    async def _answer(self, response: HttpResponse) -> None:
        if response.status_code >= 400:
            final(response)
        self._has_head = True
        async with asyncio.timeout(SEND_TIMEOUT):
            await answer(self._send, self._asked, response)

    async def _break_off(self, receive: Receive) -> None:
        if self._has_head:
            await super()._break_off(receive)
            return
        found = await self._told()
        if found is not None:
            await self._answer(as_response(found, self._asked.path_info))
        else:
            # The dialect has its own word for that.
            await self._answer(await self._rendered())

    async def _told(self) -> Problem | None:
        """Return what the client is told instead of the job's end; None where the job is gone."""
        if listeners.closing:
            return STOPPED
        error = self._error
        cause = error.__cause__ if isinstance(error, StreamCut) else error
        if cause is not None:
            return problem(cause)
        try:
            revoked = await self._threads.call(lambda: auth.revoked([self.right]))
        except Exception as error:
            return problem(error)
        if revoked:
            return problem(AuthenticationFailed())
        # It may have been handed over to a workflow that the token is not for.
        return problem(JobNotFound()) if self._confinement is not None else None
