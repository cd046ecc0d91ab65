"""A provider on loopback, by a script."""

from collections.abc import Iterator

import pytest
from django.conf import LazySettings

from tests.openai_server import OpenAIServer


@pytest.fixture
def server(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """Return the server that ``AI_MODEL`` is at."""
    settings.AI_MODEL = "openai-chat:gpt-4o-mini"
    # Waiting is not what is tested.
    monkeypatch.setattr("workflows.ai.recorded.BACKOFF", (0.0, 0.0))
    with OpenAIServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
