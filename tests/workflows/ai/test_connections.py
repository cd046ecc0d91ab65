"""Connections to providers: kept and shared by all that one event loop asks."""

import asyncio
import threading
from contextlib import nullcontext

import pytest
from pydantic_ai.exceptions import UserError

from chatflow.workflows import Context
from chatflow.workflows.ai import connections
from chatflow.workflows.ai.asides import Pausing, close_loop
from chatflow.workflows.ai.connections import Client, Connections, get_connections
from chatflow.workflows.exceptions import Cancelled
from chatflow.workflows.models import State
from chatflow.workflows.running.record import Record
from tests.openai_server import Answer, OpenAIServer, error, text
from tests.workflows.ai.test_recorded import hello, shown
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Return the clients that are made from now on."""
    made: list[Client] = []

    class Noted(Client):
        def __init__(self, *arguments: object) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(connections, "Client", Noted)
    return made


@pytest.mark.parametrize("work", [hello, shown])
@pytest.mark.parametrize("answer", [text("Hello."), error(400)])
def test_plain_workflows_share_their_threads(
    chat: Chat, server: OpenAIServer, made: list[Client], work: object, answer: Answer
) -> None:
    server.script = [answer, text("Hello.")]
    chat.begin(work)  # type: ignore[arg-type]
    chat.say(workflow="w")

    assert (len(server.requests), server.connections) == (2, 1)
    assert [client.is_closed for client in made] == [False]
    close_loop()
    assert [client.is_closed for client in made] == [True]


def test_one_that_was_broken_off_is_closed(
    chat: Chat, server: OpenAIServer, made: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider sees the end of it at once, though the others are kept."""
    never = threading.Event()
    server.script = [Answer(text="Hello again.", stall=never, stall_at=3)]

    def write(record: Record, words: str) -> None:
        record.attempt.stop(Cancelled())

    monkeypatch.setattr("chatflow.workflows.running.output.write", write)
    job = chat.begin(shown)
    never.set()

    assert job.state == State.CANCELLED
    connections = made[0]._transport._pool.connections  # type: ignore[attr-defined]
    assert all(connection.is_closed() for connection in connections)


def test_a_thread_closes_its_own(server: OpenAIServer, made: list[Client]) -> None:
    async def connect() -> None:
        get_connections().get_model("openai-chat:m")
        await get_connections().keep_open()

    thread = threading.Thread(target=lambda: Pausing(nullcontext).run(connect()))
    thread.start()
    thread.join()

    assert [client.is_closed for client in made] == [True]


@pytest.mark.django_db(transaction=True)
def test_a_coroutines_calls_share_its_loops(
    chat: Chat, server: OpenAIServer, made: list[Client]
) -> None:
    server.script = [text("One."), text("Two.")]

    async def work(ctx: Context) -> str:
        return await ctx.aai("Hello") + await ctx.aai("Hello", show=True)

    assert chat.begin(work).response == "One.Two."
    assert (server.connections, [client.is_closed for client in made]) == (1, [True])


async def test_many_at_once(server: OpenAIServer) -> None:
    """More than HTTP clients allow by themselves; whoever comes later waits for nobody."""
    limits = Client()._transport._pool  # type: ignore[attr-defined]

    assert limits._max_connections >= 1000
    assert limits._max_keepalive_connections >= 100


async def test_models_of_one_provider_share_it(server: OpenAIServer, made: list[Client]) -> None:
    one, other = (get_connections().get_model(f"openai-chat:{name}") for name in ("a", "b"))
    await get_connections().keep_open()

    assert one.provider is other.provider
    assert len(made) == 1


async def test_any_provider_that_speaks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:11434/v1")

    assert get_connections().get_model("ollama:m").system == "ollama"
    with pytest.raises((ValueError, UserError)):
        get_connections().get_model("nobody:m")


def test_another_providers_client_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that speaks otherwise has a client of its own."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-loopback")

    async def connect() -> Connections:
        own = get_connections()
        client = own.get_model("anthropic:claude-haiku-4-5").provider.client  # type: ignore[union-attr]
        await own.keep_open()
        await own.keep_open()
        assert not client.is_closed()
        clients.append(client)
        return own

    clients: list[object] = []
    asyncio.run(connect())

    assert clients[0].is_closed()  # type: ignore[attr-defined]
