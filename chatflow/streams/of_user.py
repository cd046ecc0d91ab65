"""GET chat/stream: all that happens to a user, as Server-Sent Events on one connection.

The conversations' changes, and the events of all jobs under way. It is an open stream like that of
a job, and costs no more while nothing happens. Whatever it sends goes out in one piece of work, one
frame after the other; each has the cursor that covers all that was sent up to it, but of the frames
of one event only the last.
"""

import asyncio
import base64
import io
import logging
import re
import time
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Self

from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.http import HttpResponse
from rest_framework.exceptions import MethodNotAllowed, ParseError

from chatflow import auth
from chatflow.access.tenants import tenant_of
from chatflow.answers import bodies
from chatflow.answers.languages import english
from chatflow.auth import Admission
from chatflow.dialects import Dialect, Encoding
from chatflow.middleware import dress
from chatflow.streams.confinement import Confinement
from chatflow.streams.of_job import (
    HEADERS,
    PIECE,
    OpenStream,
    answer,
    head_of,
    open_streams,
    refusal,
    sign_in,
)
from chatflow.wire import sse
from chatflow.wire.asgi_types import Scope, Send
from chatflow.workflows.exceptions import CursorBeyondHead, first_line
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.services import conversations
from chatflow.workflows.services.conversations import Changes
from chatflow.workflows.streaming import storage
from chatflow.workflows.streaming.followers import Follower
from chatflow.workflows.streaming.listeners import listeners

logger = logging.getLogger(__name__)

# Jobs that a stream follows at once, and that its cursor names: one that has them all is a header
# of less than 7,000 characters, and proxies refuse longer ones than 8,000.
MOST_JOBS = 200
# Seconds after which a look is made again that failed.
AGAIN = 1.0
CURSOR = re.compile(r"([0-9]{1,12})\.([0-9]{1,18})((?:\.[\w-]{22}:[0-9]{1,9})*)", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """What a client has: one opaque text, the ``id`` of every frame.

    Args:
        at: when it was made, in seconds since 1970.
        changed: the number up to which it has all changes.
        seqs: by its public id, the last ``seq`` that it has of each job that it follows.
    """

    at: int
    changed: int
    seqs: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        jobs = "".join(f".{shorten(job)}:{seq}" for job, seq in self.seqs.items())
        return f"{self.at}.{self.changed}{jobs}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the cursor of that text.

        Raises:
            ParseError: it's none.
        """
        found = CURSOR.fullmatch(text)
        places = found[3].split(".")[1:] if found else []
        if found is None or len(places) > MOST_JOBS:
            raise ParseError("The cursor must be the id of a frame of this stream.")
        pairs = (place.split(":") for place in places)
        return cls(int(found[1]), int(found[2]), {lengthen(job): int(seq) for job, seq in pairs})


def shorten(public_id: str) -> str:
    raw = bytes.fromhex(public_id.removeprefix("workflow_"))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def lengthen(short: str) -> str:
    try:
        return f"workflow_{base64.urlsafe_b64decode(short + '==').hex()}"
    except Base64Error:
        raise ParseError("The cursor must be the id of a frame of this stream.") from None


class Ear:
    """Listens to one of the jobs that a user's stream follows."""

    __slots__ = (
        "channels",
        "confinement",
        "cursor",
        "encoding",
        "pk",
        "place",
        "progress",
        "rung",
        "stream",
    )

    # The job's place in the queue; see OpenStream.
    place: int | None

    def __init__(
        self, stream: "UserStream", job: Job, seq: int, encoding: Encoding, workflow: str
    ) -> None:
        self.stream = stream
        self.pk = job.pk
        self.confinement = Confinement.of(job.pk, workflow)
        self.channels = (storage.channel(job.pk),)
        self.cursor = seq
        self.encoding = encoding
        self.progress = job.progress
        self.place = 0 if job.state == State.QUEUED else None
        self.rung = True

    def ring(self) -> None:
        self.rung = True
        self.stream.ring()

    def cut(self) -> None:
        """Stop: the job was deleted."""
        self.stream.unfollow(self)


@dataclass(frozen=True)
class Beginning:
    """Where a stream begins.

    Args:
        admission: whose it is.
        tenant: the organisation for which they watch; empty for none.
        changed: the number up to which the client has all changes.
        jobs: the jobs to follow from the beginning on, each with the last ``seq`` that is known.
        in_line: the primary keys of those to follow as others end.
        newest: the primary key of the newest job there is.
        reset: the client's cursor is too old.
    """

    admission: Admission
    tenant: str
    changed: int
    jobs: list[tuple[Job, int]]
    in_line: list[int]
    newest: int
    reset: bool


class UserStream(OpenStream):
    """A client that watches all of a user's conversations."""

    __slots__ = (
        "_ears",
        "_encoder",
        "_highest",
        "_in_line",
        "_looks",
        "_newest",
        "_over",
        "_prefix",
        "_sent",
        "_settling",
        "_tenant",
        "_workflow",
        "swept",
        "user_id",
    )

    def __init__(
        self, beginning: Beginning, encoder: type[Dialect], send: Send, prefix: str
    ) -> None:
        Follower.__init__(self, 0, beginning.changed)
        self._connect(beginning.admission, send)
        self.user_id = beginning.admission.user.pk
        self._tenant = beginning.tenant
        self._workflow = beginning.admission.workflow
        self._encoder = encoder
        self._prefix = prefix
        self._newest = beginning.newest
        self._looks = False
        # See UserListener.
        self.swept = (0, 0)
        # The numbers of the changes that were sent and aren't certain: they are seen again.
        self._sent: dict[tuple[str, int], int] = {}
        self._ears: dict[str, Ear] = {}
        # Primary keys of jobs that are followed as others end; nothing of them was sent.
        self._in_line = dict.fromkeys(beginning.in_line)
        # The jobs newer than the newest, and of which all was sent.
        self._over: set[int] = set()
        # The highest primary key of all the jobs that looks have told of; and one that is to be
        # the newest, once all changes up to that number are certain.
        self._highest = 0
        self._settling = (0, 0)
        for job, seq in beginning.jobs:
            self._follow(job, seq)

    @property
    def name(self) -> str:
        return f"user {self.user_id}"

    @property
    def dialect(self) -> str:
        return self._encoder.name

    def encodings(self) -> Iterable[Encoding]:
        return [ear.encoding for ear in self._ears.values()]

    def start(self) -> None:
        self._looks = True
        super().start()

    def ring_user(self) -> None:
        self._looks = True
        self.ring()

    def unfollow(self, ear: Ear) -> None:
        if self._ears.pop(ear.encoding.dialect.job_id, None) is None:
            return
        if self._following:
            listeners.remove_listener(ear)
        if self._in_line:
            self.ring()

    def waiting(self) -> list[int]:
        return [ear.pk for ear in self._ears.values() if ear.place is not None]

    def tell_places(self, places: Mapping[int, int]) -> None:
        if not self.is_idle:
            return
        body = b""
        for ear in self._ears.values():
            place = places.get(ear.pk)
            if ear.place is not None and place not in (None, ear.place):
                ear.place = place
                body += ear.encoding.dialect.waiting(place, ear.progress)
        if body:
            self.begin(self._put(body))

    def id(self) -> str:
        """Return the cursor of a client that has all that was sent until now."""
        seqs = {job: ear.cursor for job, ear in self._ears.items()}
        return str(Cursor(int(time.time()), self.cursor, seqs))

    def _listen(self) -> None:
        listeners.add_user(self)
        for ear in self._ears.values():
            listeners.add_listener(ear)

    def _unlisten(self) -> None:
        listeners.remove_user(self)
        for ear in self._ears.values():
            listeners.remove_listener(ear)

    def _follow(self, job: Job, seq: int) -> None:
        encoding = Encoding(self._encoder(job), self._prefix)
        ear = Ear(self, job, seq, encoding.shared(), self._workflow)
        self._ears[job.public_id] = ear
        if self._following:
            listeners.add_listener(ear)

    async def _catch_up(self) -> None:
        while self._rung and self._following:
            self._rung = False
            await self._look_around()
            for ear in [ear for ear in self._ears.values() if ear.rung]:
                ear.rung = False
                await self._tell_events(ear)

    async def _look_around(self) -> None:
        if self._looks:
            self._looks = False
            try:
                await self._tell_changes()
            except DatabaseError as error:
                self._looks = True
                self._ring_again(error)
        await self._take_in()

    def _ring_again(self, error: DatabaseError) -> None:
        logger.warning("Conversations could not be read (%s).", first_line(error))
        asyncio.get_running_loop().call_later(AGAIN, self.ring)

    async def _tell_changes(self) -> None:
        """Tell all changes, slice by slice. What isn't certain at the first one is seen again."""
        highest, found = self._highest, await self._look(self.cursor)
        upto, head = found.upto, found.head
        await self._tell(found, upto)
        while found.end is not None:
            found = await self._look(found.end)
            await self._tell(found, upto)
        self._settle(upto, head, highest)

    async def _look(self, after: int) -> Changes:
        found = await listeners.readers.call(
            conversations.look, self.user_id, after, self._newest, self._workflow, self._tenant
        )
        self._highest = max([self._highest, *found.jobs])
        self._line_up(found.jobs)
        await self._take_in()
        return found

    def _line_up(self, jobs: Iterable[int]) -> None:
        followed = {ear.pk for ear in self._ears.values()}
        new = (job for job in jobs if job not in followed and job not in self._over)
        self._in_line.update(dict.fromkeys(new))

    async def _take_in(self) -> None:
        """Follow the jobs that are next in line, as far as there is room."""
        while keys := list(islice(self._in_line, max(0, MOST_JOBS - len(self._ears)))):
            try:
                jobs = await listeners.readers.call(conversations.load, keys, self._workflow)
            except DatabaseError as error:
                self._ring_again(error)
                return
            for job in jobs:
                self._follow(job, 0)
            self._rung = True
            for key in keys:
                del self._in_line[key]

    def _settle(self, upto: int, head: int, highest: int) -> None:
        """Forget the jobs that no look tells of any more.

        A job that commits late may have a lower key than others that were seen. Each has its key by
        a change that was begun before the higher keys were seen; so, once that is certain, the
        looks have told of all up to there.

        Args:
            upto: the number up to which all changes were certain at this look.
            head: the number up to which they were begun before it.
            highest: the highest key that had been seen before it.
        """
        number, newest = self._settling
        if upto >= number:
            self._newest = max(self._newest, newest)
            self._over = {job for job in self._over if job > self._newest}
            self._settling = (head, highest)

    async def _tell(self, found: Changes, certain: int) -> None:
        upto = certain if found.end is None else min(certain, found.end)
        frames: list[tuple[tuple[str, int], int, dict[str, Any]]] = []
        for each in found.changed:
            body = {"type": "session", **bodies.conversation(each)}
            frames.append((("session", each.session.pk), each.session.changed, body))
        for gone in found.deleted:
            frames.append(
                (("deleted", gone.pk), gone.changed, {"type": "deleted", "session_id": gone.key})
            )
        frames.sort(key=lambda frame: frame[1])
        new = [frame for frame in frames if self._sent.get(frame[0]) != frame[1]]
        for number, (row, changed, body) in enumerate(new, 1):
            if number == len(new):
                # Only the last one has it all.
                self.cursor = max(self.cursor, upto)
            self._sent[row] = changed
            if not self._workflow:
                await self._put(sse.frame(body, event_id=self.id()))
        self.cursor = max(self.cursor, upto)
        self._sent = {row: number for row, number in self._sent.items() if number > self.cursor}

    async def _may_tell(self, ear: Ear, events: list[Event]) -> bool:
        """Say whether the job's events may be told; where another has it now, unfollow it."""
        if ear.confinement is None:
            return True
        try:
            admitted = await ear.confinement.admits(events)
        except DatabaseError as error:
            # The next sweep rings again.
            logger.warning("A job's workflow could not be read (%s).", first_line(error))
            return False
        if not admitted:
            self.unfollow(ear)
        return admitted

    async def _tell_events(self, ear: Ear) -> None:
        events = await listeners.readers.events_after((ear.channels[0], ear.cursor))
        if events and not await self._may_tell(ear, events):
            return
        body = b""
        if events:
            ear.place = None
        for event in events:
            if len(body) >= PIECE:
                await self._put(body)
                body = b""
            if event.is_terminal:
                if ear.pk > self._newest:
                    self._over.add(ear.pk)
                self.unfollow(ear)
                # The cursor names them from now on.
                await self._take_in()
            ear.cursor = event.seq
            body += renumbered(ear.encoding.frames(event), self.id())
        if body:
            await self._put(body)
            self.time(events[-1])
        if len(events) == storage.BATCH:
            ear.rung = self._rung = True


def renumbered(frames: Sequence[bytes], cursor: str) -> bytes:
    """Return the frames of one event with *cursor* for its ``id``.

    Only the last one has it: a client that has no more than the others gets all of them again.
    """
    if not frames:
        return b""
    bare = [frame.partition(b"\n")[2] if frame.startswith(b"id: ") else frame for frame in frames]
    return b"".join(bare[:-1]) + b"id: %s\n%s" % (cursor.encode(), bare[-1])


async def opened(scope: Scope, send: Send, dialect: type[Dialect]) -> UserStream | None:
    """Answer one request for the user's stream; see stream.opened()."""
    request = ASGIRequest(scope, io.BytesIO())
    try:
        with english():
            if scope["method"] != "GET":
                raise MethodNotAllowed(scope["method"])
            request.get_host()
            beginning = await listeners.in_reader(begin, request)
            open_streams.check_room(beginning.admission)
    except Exception as error:
        await answer(send, request, refusal(error, request))
        return None
    head = HttpResponse(headers=HEADERS)
    dress(request, head)
    stream = UserStream(beginning, dialect, send, scope.get("root_path", ""))
    open_streams.add(stream)
    first = sse.frame(
        {"status": "connected", "type": "connected", "cursor": stream.id()}, retry=1000
    )
    if beginning.reset:
        first += sse.frame({"type": "reset"}, event_id=stream.id())
    stream.begin(stream.greet(head_of(head), first))
    return stream


def begin(request: ASGIRequest) -> Beginning:
    """Say who watches, and from where on. In a thread that may use the database.

    Raises:
        ParseError: the cursor is none.
        CursorBeyondHead: it is past a job's last event.
        NotAuthenticated, AuthenticationFailed, TokenRefused: see auth.admit().
    """
    close_old_connections()
    sign_in(request)
    admission = auth.admit(request)
    raw = request.META.get("HTTP_LAST_EVENT_ID") or request.GET.get("last_event_id")
    cursor = Cursor.read(raw) if raw else None
    # First: what is committed from now on is seen again.
    upto = conversations.latest(admission.user)
    too_old = cursor is not None and conversations.is_too_old(
        admission.user, cursor.changed, timedelta(seconds=time.time() - cursor.at)
    )
    newest = Job.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    known = cursor.seqs if cursor is not None else {}
    workflow = admission.workflow
    tenant = tenant_of(request, admission.user)
    found = named(admission.user, tenant, known).items()
    jobs = [(job, seq) for job, seq in found if workflow in ("", job.workflow)]
    followed = {job.pk for job, _ in jobs}
    # With a cursor too: some may have waited for their place in it.
    under_way = conversations.under_way(admission.user, workflow, tenant)
    in_line = [key for key in under_way if key not in followed]
    room = MOST_JOBS - len(jobs)
    jobs += [(job, 0) for job in conversations.load(in_line[:room], workflow)]
    return Beginning(
        admission=admission,
        tenant=tenant,
        changed=upto if cursor is None or too_old else cursor.changed,
        jobs=jobs,
        in_line=in_line[room:],
        newest=newest,
        reset=too_old,
    )


def named(user: Any, tenant: str, seqs: Mapping[str, int]) -> dict[Job, int]:
    """Return the user's jobs of a cursor, each with its ``seq``; but not those that it has whole.

    Raises:
        CursorBeyondHead: it has more of one than there is.
    """
    mine = Job.objects.visible_to(user, tenant)
    jobs = mine.filter(public_id__in=seqs).only(*conversations.SHOWN)
    found = {job: seqs[job.public_id] for job in jobs}
    if any(seq > job.last_seq for job, seq in found.items()):
        raise CursorBeyondHead
    return {job: seq for job, seq in found.items() if not (job.is_finished and seq == job.last_seq)}
