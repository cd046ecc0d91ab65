"""Answers that the event loop goes on with, when a view has returned.

A view gives the head only, as an Opening; the middleware does with it as with any answer. On the
WSGI side the pool has it in its hands then (serving/pool.py). Django's ASGI side sends it by
itself, so there it is known again by a header, and taken out of what is sent.
"""

from typing import Protocol

from django.http import HttpRequest, HttpResponse

from chatflow.wire.asgi_types import AsgiMessage, Receive, Send
from chatflow.wire.threads import Threads

# In the environ or the scope of a request whose answer may be an Opening: there is an event loop.
ON_LOOP = "chatflow.on_loop"
MARK = b"x-chatflow-opening"


class Rest(Protocol):
    """Gives what follows on a view's work."""

    async def run(self, receive: Receive) -> None: ...


class Opening(HttpResponse):
    """A view's answer that is the head of one which the event loop gives."""

    def open(self, head: AsgiMessage, send: Send, threads: Threads) -> Rest:
        """Open the answer. On the event loop.

        Args:
            head: as the middleware has left it.
            send: takes the answer.
            threads: for what else the answer needs of the database.
        """
        raise NotImplementedError


class Openings:
    """Takes a request's answer from Django's ASGI side; passes it on, or goes on with it.

    Args:
        send: takes the answer, where it is no Opening.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._announced: Opening | None = None
        self._head: AsgiMessage | None = None

    def announce(self, opening: Opening) -> None:
        """Expect *opening* to be the answer; another one, as an error, may come in its place."""
        self._announced = opening
        opening.headers[MARK.decode()] = "1"

    async def take(self, message: AsgiMessage) -> None:
        """Take what is sent."""
        if message["type"] == "http.response.start":
            headers = [_lower(*pair) for pair in message.get("headers", ())]
            kept = [pair for pair in headers if pair != (MARK, b"1")]
            if kept != headers:
                message = {**message, "headers": kept}
                # Anybody may write such a header; the answer of a view that made none is its own.
                self._head = message if self._announced is not None else None
        if self._head is None:
            await self._send(message)

    def rest(self, threads: Threads) -> Rest | None:
        """Return what goes on with the answer, where that is an Opening.

        Args:
            threads: for what else the answer needs of the database.
        """
        if self._head is None or self._announced is None:
            return None
        return self._announced.open(self._head, self._send, threads)


def openings_of(request: HttpRequest) -> Openings | None:
    """Return what takes the answer of a request, where Django's ASGI side serves it."""
    return getattr(request, "scope", {}).get(ON_LOOP)


def is_on_loop(request: HttpRequest) -> bool:
    """Say whether the answer to a request may be an Opening."""
    return ON_LOOP in request.META or openings_of(request) is not None


def _lower(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name.lower(), value
