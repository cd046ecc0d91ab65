"""A chat is rehearsed before the first one, without a provider."""

import subprocess
import sys

import pytest
from django.conf import LazySettings

from chatflow.workflows.ai.warming import warm_up
from tests.configure import configure
from tests.openai_server import OpenAIServer

# What the first chat of a process brings along, if nothing was prepared.
FIRST = """
import django
django.setup()
from chatflow.workflows.ai.warming import warm_up
warm_up()
import sys
before = set(sys.modules)
from chatflow.workflows.ai import calls
from chatflow.workflows.ai.rehearsal import rehearse
rehearse("{model}")
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
sys.exit(f"These are imported too late: {{new}}" if new - {{"chatflow"}} else 0)
"""


@pytest.mark.parametrize("model", ["openai-chat:gpt-4o-mini", "openai:gpt-5-mini"])
def test_nothing_is_left_to_import(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DJANGO_SETTINGS_MODULE": "chatflow.settings",
        "AI_MODEL": model,
        "OPENAI_API_KEY": "sk-loopback",
    }.items():
        monkeypatch.setenv(name, value)

    subprocess.run([sys.executable, "-c", FIRST.format(model=model)], check=True)


@pytest.mark.parametrize("model", ["openai-chat:gpt-4o-mini", "openai:gpt-5-mini"])
def test_nothing_is_sent(
    server: OpenAIServer, settings: LazySettings, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    configure(settings, AI_MODEL=model)

    warm_up()

    assert (server.connections, server.requests) == (0, [])
    assert "could not be rehearsed" not in caplog.text


def test_a_model_that_is_not_configured(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left to its first call, and the others are rehearsed."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    configure(settings, AI_MODEL="openai:gpt-5-mini")
    configure(settings, AI_FALLBACK_MODELS=["offline"])

    warm_up()

    assert "openai:gpt-5-mini could not be rehearsed" in caplog.text
