"""The overview as it changes: one look at the database at a time, for all of the staff who watch.

Each watcher costs an object and its connection; no thread, and no query of its own but for the
question, now and then, whether they may still watch. Frames have the parts that have changed, as
HTML by their names.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse

from chatflow import auth
from chatflow.auth import Admission
from chatflow.dialects import Encoding
from chatflow.operations import overview
from chatflow.operations.overview import Audience
from chatflow.streams.of_job import HEADERS, OpenStream, open_streams, pause_after
from chatflow.wire import sse
from chatflow.wire.asgi_types import AsgiMessage, Receive, Send
from chatflow.wire.openings import Opening, Rest, is_on_loop, openings_of
from chatflow.wire.threads import Threads
from chatflow.workflows.streaming.followers import Follower
from chatflow.workflows.streaming.listeners import listeners

logger = logging.getLogger(__name__)

# Seconds between two looks at whether the watchers may still see what they see.
CHECK = 10.0
# Milliseconds after which a browser comes back.
AGAIN = 2000

Parts = dict[str, str]


def answer(request: HttpRequest, site: str) -> HttpResponse:
    """Answer with the stream, or say that there is none here.

    Args:
        request: of a member of staff who may see the overview.
        site: the name of the admin's site.
    """
    if not is_on_loop(request):
        return HttpResponse("No event loop serves this site.", status=404)
    opening = OverviewOpening(request, overview.audience_of(request, site))
    return opening if opening.has_room() else HttpResponse(status=503, headers={"Retry-After": "1"})


class OverviewOpening(Opening):
    """Opens the stream, if there is still room for it."""

    def __init__(self, request: HttpRequest, audience: Audience) -> None:
        super().__init__(headers=HEADERS)
        user: Any = request.user
        self._admission = Admission(user=user, right=auth.right_of_session(request))
        self._audience = audience
        if openings := openings_of(request):
            openings.announce(self)

    def has_room(self) -> bool:
        """Say whether the stream may be opened just now."""
        return not listeners.closing and open_streams.has_room(self._admission)

    def open(self, head: AsgiMessage, send: Send, threads: Threads) -> Rest:
        # Others may have opened theirs since the view has looked.
        if not self.has_room():
            return Refusal(send)
        headers = [pair for pair in head["headers"] if pair[0].lower() != b"content-length"]
        stream = OverviewStream(self._admission, self._audience, threads, send)
        open_streams.add(stream)
        first = sse.frame({"type": "connected"}, retry=AGAIN)
        stream.begin(stream.greet({**head, "headers": headers}, first))
        return stream


class Refusal:
    """The answer where there is no room any more."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def run(self, receive: Receive) -> None:
        head = {"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]}
        await self._send(head)
        await self._send({"type": "http.response.body", "body": b""})


class OverviewStream(OpenStream):
    """A member of staff who watches the overview."""

    __slots__ = ("_sent", "audience", "threads", "user_id")

    def __init__(
        self, admission: Admission, audience: Audience, threads: Threads, send: Send
    ) -> None:
        Follower.__init__(self, 0, 0)
        self._connect(admission, send)
        self.user_id = admission.user.pk
        self.audience = audience
        self.threads = threads
        self._sent: Parts = {}

    @property
    def name(self) -> str:
        return "the overview"

    @property
    def dialect(self) -> str:
        return "overview"

    def encodings(self) -> Iterable[Encoding]:
        return ()

    def waiting(self) -> list[int]:
        return []

    def _listen(self) -> None:
        listeners.add_watcher(self)
        board.add(self)

    def _unlisten(self) -> None:
        listeners.remove_watcher(self)
        board.remove(self)

    async def _catch_up(self) -> None:
        while self._rung and self._following:
            self._rung = False
            parts = board.parts(self.audience)
            # A client that reads slowly misses what came in between, never the latest.
            new = {name: part for name, part in parts.items() if self._sent.get(name) != part}
            if new:
                self._sent = parts
                await self._put(sse.frame({"type": "overview", "parts": new}))


class Board:
    """What the watchers of this process see. It belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._watching: dict[Audience, set[OverviewStream]] = {}
        self._parts: dict[Audience, Parts] = {}
        self._guards: list[asyncio.Task[None]] = []
        # Somebody watches of whose audience nothing is known yet.
        self._new = asyncio.Event()

    def parts(self, audience: Audience) -> Parts:
        """Return the parts as they were at the last look; none before the first one."""
        return self._parts.get(audience, {})

    def add(self, stream: OverviewStream) -> None:
        self._watching.setdefault(stream.audience, set()).add(stream)
        if stream.audience not in self._parts:
            self._new.set()
        if not self._guards:
            self._new = asyncio.Event()
            self._guards = [
                asyncio.create_task(guard) for guard in (self._look_for_ever(), self._check())
            ]

    def remove(self, stream: OverviewStream) -> None:
        left = self._watching[stream.audience]
        left.discard(stream)
        if not left:
            del self._watching[stream.audience]
            self._parts.pop(stream.audience, None)
        if not self._watching:
            for guard in self._guards:
                guard.cancel()
            self._guards = []

    def _streams(self) -> list[OverviewStream]:
        return [stream for streams in self._watching.values() for stream in streams]

    async def _look_for_ever(self) -> None:
        """Look again and again, while anybody watches; less often where it takes long."""
        while True:
            began = time.monotonic()
            self._new.clear()
            await self._look()
            try:
                async with asyncio.timeout(pause_after(time.monotonic() - began)):
                    await self._new.wait()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        audiences = list(self._watching)
        threads = self._streams()[0].threads
        try:
            found = await threads.call(lambda: overview.render_all(audiences))
        except Exception as error:
            logger.warning("The overview could not be looked at.", exc_info=error)
            return
        for audience, parts in found.items():
            self._parts[audience] = parts
            for stream in self._watching.get(audience, ()):
                stream.ring()

    async def _check(self) -> None:
        """Cut the streams of those who may see less by now, or more."""
        while True:
            await asyncio.sleep(CHECK)
            watching = self._streams()
            users = {stream.user_id for stream in watching}
            try:
                may = await watching[0].threads.call(
                    lambda: {user: overview.permitted_now(user) for user in users}  # noqa: B023
                )
            except Exception as error:
                logger.warning("The overview's watchers could not be looked at.", exc_info=error)
                continue
            for stream in watching:
                if may[stream.user_id] != stream.audience.may:
                    stream.cut()


board = Board()
