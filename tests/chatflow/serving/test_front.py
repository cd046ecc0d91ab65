"""Streams in front of an application: what is passed on to it, and how."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chatflow.serving import front
from chatflow.serving.front import Front
from chatflow.web import with_streams
from chatflow.wire.asgi_types import AsgiMessage, Receive, Scope, Send
from chatflow.workflows.streaming.listeners import listeners

pytestmark = pytest.mark.django_db(transaction=True)

urlpatterns: list[Any] = []


class Server:
    """What a server says to an application, and hears from it."""

    def __init__(self, *said: str) -> None:
        self.said = list(said)
        self.heard: list[str] = []
        self.listening: list[bool] = []

    async def receive(self) -> AsgiMessage:
        return {"type": self.said.pop(0)}

    async def send(self, message: AsgiMessage) -> None:
        self.heard.append(message["type"].removeprefix("lifespan."))
        self.listening.append(listeners.loop is not None and not listeners.closing)


@pytest_asyncio.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    # This process's signals are pytest's.
    monkeypatch.setattr(front, "stop_on_signals", lambda: None)
    yield Server("lifespan.startup", "lifespan.shutdown")
    await listeners.close()


async def run(application: Any, server: Server, kind: str = "lifespan") -> None:
    await with_streams(application)({"type": kind}, server.receive, server.send)


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """Understand HTTP only, as Django's own does."""
    raise ValueError(f"Not {scope['type']}.")


async def careless(scope: Scope, receive: Receive, send: Send) -> None:
    """Look at the lifespan, and leave."""
    await receive()


@pytest.mark.parametrize("application", [refusing, careless])
async def test_an_application_without_a_lifespan(application: Any, server: Server) -> None:
    await run(application, server)
    assert server.heard == ["startup.complete", "shutdown.complete"]
    assert server.listening == [True, False]


async def test_one_with_a_lifespan_of_its_own(server: Server) -> None:
    seen: list[bool] = []

    async def living(scope: Scope, receive: Receive, send: Send) -> None:
        for word in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{word}"
            seen.append(not listeners.closing)
            await send({"type": f"lifespan.{word}.complete"})

    await run(living, server)
    assert server.heard == ["startup.complete", "shutdown.complete"]
    assert seen == [True, False]


async def test_one_that_fails_to_start(server: Server) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"})

    await run(failing, server)
    assert server.heard == ["startup.failed"]


async def test_one_that_breaks_later(server: Server) -> None:
    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("Out of order.")

    with pytest.raises(ValueError, match="Out of order"):
        await run(breaking, server)


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "websocket", "path": "/chat/stream"},
        {"type": "http", "method": "GET", "path": "/a", "query_string": b"token=a\xff"},
        {"type": "http", "method": "OPTIONS", "path": "/ai-demo/chat/stream", "headers": []},
        {"type": "http", "method": "GET", "path": "/own/chat/stream", "headers": []},
    ],
)
async def test_all_else_is_passed_on_untouched(scope: Scope) -> None:
    passed: list[Any] = []

    async def application(*given: Any) -> None:
        passed.extend(given)

    server, before = Server(), dict(scope)
    given = (scope, server.receive, server.send)
    await Front(application)(*given)
    assert passed == list(given)
    assert passed[0] is scope
    assert {"query_string": b"", **before} == {"query_string": b"", **scope}


async def test_a_token_is_hidden_from_the_server_only() -> None:
    passed: list[Any] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["query_string"])

    query = b"token=secret"
    path = "/ai-demo/workflow/status/x"
    scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": query}
    server = Server()
    await Front(application)(scope, server.receive, server.send)
    assert passed == [query]
    assert scope["query_string"] == b"token=redacted"


@pytest.mark.parametrize("place", ["status", "stream"])
async def test_a_token_is_hidden_wherever_the_api_is(place: str) -> None:
    """Such as below a language, which only Django's own middleware knows."""
    passed: list[Any] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["query_string"])

    path, query = f"/de/assistant/workflow/{place}/x", b"token=secret"
    scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": query}
    scope["headers"] = []
    server = Server()
    await Front(application)(scope, server.receive, server.send)
    assert passed == [query]
    assert scope["query_string"] == b"token=redacted"
