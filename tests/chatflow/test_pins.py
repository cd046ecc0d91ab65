"""What is leaned on inside of uvicorn and Django.

Each test names one thing. When an upgrade fails one, look at who leans on it (the docstring says),
adapt that, and then the pin.
"""

import asyncio
from typing import Any

import httpx
import pytest
import uvicorn
from django.db import connections

from chatflow.wire.asgi_types import Receive, Scope, Send

# Seconds; much longer than it takes, for machines that are busy.
SOON = 10.0


class Breaker:
    """An application that begins an answer and breaks it off, as stream.OpenStream does it."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.left: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        self.transport = send.__self__.transport  # type: ignore[attr-defined]
        self.transport.abort()
        self.left = await asyncio.wait_for(receive(), SOON)


@pytest.mark.parametrize("protocol", ["h11", "httptools"])
async def test_uvicorns_send_knows_its_transport(protocol: Any) -> None:
    """stream.OpenStream._break_off() aborts it, so that no client takes a cut for an end."""
    breaker = Breaker()
    config = uvicorn.Config(breaker, port=0, log_config=None, http=protocol, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()

    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://{host}:{port}/")
    server.should_exit = True
    await asyncio.wait_for(serving, SOON)

    assert isinstance(breaker.transport, asyncio.Transport)
    assert breaker.left["type"] == "http.disconnect"


class Asked:
    """A connection that counts how often Django asks whether it is alive."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        # Itself, not its proxy.
        self.connection: Any = connections["default"]
        self.connection.ensure_connection()
        monkeypatch.setattr(self.connection, "health_check_enabled", True)
        monkeypatch.setattr(self.connection, "health_check_done", False)
        monkeypatch.setattr(self.connection, "is_usable", self.answer)

    def answer(self) -> bool:
        self.times += 1
        return True

    def query(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")


@pytest.fixture
def asked(db: None, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def test_django_asks_whether_a_connection_is_alive(asked: Asked) -> None:
    """middleware.trusted_connection() spares that for a second; without it, it is each request."""
    asked.query()
    asked.query()

    assert asked.times == 1
    assert asked.connection.health_check_done is True


def test_django_believes_what_is_noted_on_it(asked: Asked) -> None:
    """middleware.trusted_connection() sets it."""
    asked.connection.health_check_done = True
    asked.query()

    assert asked.times == 0


def test_django_forgets_at_the_beginning_of_a_request(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else middleware.trusted_connection() would take a check of long ago for a new one."""
    # The test's own transaction looks like one that an application forgot.
    monkeypatch.setattr(asked.connection, "get_autocommit", lambda: True)
    monkeypatch.setattr(asked.connection, "close_at", None)
    asked.connection.health_check_done = True
    asked.connection.close_if_unusable_or_obsolete()

    assert asked.connection.health_check_done is False
