"""Connections to providers that speak chat completions."""

import pytest
from pydantic_ai.exceptions import UserError

from tests.openai_server import OpenAIServer, error, text
from tests.workflows.ai.test_recorded import hello, shown
from tests.workflows.chat import Chat
from workflows.ai import connections
from workflows.ai.connections import Client, make_provider

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


@pytest.mark.parametrize("work", [hello, shown])
@pytest.mark.parametrize("answer", [text("Hello."), error(400)])
def test_they_are_closed(
    chat: Chat,
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    work: object,
    answer: object,
) -> None:
    made: list[Client] = []

    class Noted(Client):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(connections, "Client", Noted)
    server.script = [answer]  # type: ignore[list-item]
    chat.begin(work)  # type: ignore[arg-type]

    assert [client.is_closed for client in made] == [True]


def test_any_provider_that_speaks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:11434/v1")

    assert make_provider("ollama").name == "ollama"
    with pytest.raises((ValueError, UserError)):
        make_provider("nobody")
