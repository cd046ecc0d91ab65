"""Names of models, told apart without a provider."""

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from chatflow.workflows.ai import names
from tests.configure import configure


def test_it_works(settings: LazySettings) -> None:
    configure(settings, AI_MODEL="openai:gpt-5-mini")
    configure(settings, AI_FALLBACK_MODELS=["anthropic:claude-haiku-4-5", "offline"])
    configure(settings, AI_ALLOWED_MODELS=["openai:gpt-5", "openai:gpt-5-mini"])

    assert names.to_try() == ["openai:gpt-5-mini", "anthropic:claude-haiku-4-5", "offline"]
    assert names.to_try("offline") == ["offline", "anthropic:claude-haiku-4-5"]
    assert names.allowed() == ["openai:gpt-5-mini", "openai:gpt-5"]


@pytest.mark.parametrize(
    "name",
    [
        "offline",
        "openai:gpt-5-mini",
        "openai-chat:gpt-4o",
        "anthropic:claude-haiku-4-5",
        "ollama:qwen3:4b",
        "openrouter:google/gemma-3",
        "gateway/openai:gpt-5",
    ],
)
def test_known(name: str) -> None:
    names.check([name])


@pytest.mark.parametrize(
    "name", ["gpt-5-mini", "openai:", ":gpt", "opneai:gpt-5", "../x:y", "Off line", "", "_http:x"]
)
def test_unknown(name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="There is no model called"):
        names.check([name])


@pytest.mark.parametrize("setting", ["AI_FALLBACK_MODELS", "AI_ALLOWED_MODELS"])
def test_the_system_check_refuses_a_wrong_name(settings: LazySettings, setting: str) -> None:
    configure(settings, **{setting: ["opneai:gpt-5"]})

    settings.PLACE_OF_SETTING = lambda name: f"line 7 of .env, where {name} is"
    told = rf"{setting} is wrong \(line 7 of .env, where {setting} is\): "
    with pytest.raises(SystemCheckError, match=f"{told}There is no model called 'opneai:gpt-5'"):
        call_command("check")
