"""What the system checks say of the registered workflows, all together."""

import sys
from typing import Any

import pytest
from django.core.checks import WARNING

from chatflow.workflows import Context, registry, workflow
from chatflow.workflows.ai import names
from chatflow.workflows.checks import BACKEND, check_model_keys, check_tasks, check_triggers
from chatflow.workflows.registry import all_workflows, get_workflow
from chatflow.workflows.running.routing import route
from tests.configure import configure


def greet(ctx: Context) -> str:
    return "hello"


def test_it_works() -> None:
    """What comes with Chatflow is as it should be."""
    assert {"chat", "create_invoice"} <= set(registry._workflows)
    assert check_triggers(None) == []


@pytest.mark.parametrize("earlier", ["wage", "Wage me", "me"])
def test_a_trigger_that_another_one_always_wins_over(earlier: str) -> None:
    workflow("a_first", triggers=[earlier])(greet)
    workflow("b_second", triggers=["wage me", "charge"])(greet)

    (warning,) = check_triggers(None)

    place = get_workflow("a_first").place
    assert (warning.id, warning.level) == ("workflows.W002", WARNING)
    assert warning.msg == (
        f"The trigger 'wage me' never starts the workflow 'b_second' ({place}): the trigger "
        f"{earlier.lower()!r} of 'a_first' ({place}) comes first, as the workflows do by their "
        "names."
    )
    assert warning.hint == (
        "Take other words for one of them, or let their names be in the other order."
    )
    # So it is.
    assert route("Please wage me now", {}, all_workflows()) == "a_first"


def test_triggers_that_are_reached() -> None:
    workflow("a_first", triggers=["wage me", "age", "hello", "hello there"])(greet)
    workflow("b_second", triggers=["wage", "a wage for you"])(greet)

    assert check_triggers(None) == []


def test_a_model_without_a_key(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_model_keys(None) == []
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    configure(settings, AI_MODEL="openai:gpt-5")

    (warning,) = check_model_keys(None)

    assert (warning.id, warning.level) == ("workflows.W003", WARNING)
    assert "AI_MODEL names 'openai:gpt-5'" in warning.msg
    assert str(warning.hint).startswith("Set OPENAI_API_KEY ")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1234/v1")
    assert check_model_keys(None) == []
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setattr(sys, "argv", ["manage.py", "test"])
    assert check_model_keys(None) == []


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "groq", "deepseek", "google"])
def test_pydantic_ai_wants_these_keys(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of our list, as far as their packages are there."""
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.providers import infer_provider

    for name in names.KEYS[provider]:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises((UserError, ImportError)) as raised:
        infer_provider(provider)
    if raised.type is ImportError:
        pytest.skip("Its package is not installed.")
    assert names.KEYS[provider][0] in str(raised.value)


def test_tasks_without_the_backports_app(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TASKS = {"default": {"BACKEND": BACKEND}}
    monkeypatch.setattr("chatflow.workflows.checks.django.VERSION", (5, 2))
    monkeypatch.setattr("chatflow.workflows.checks.apps.is_installed", lambda name: False)

    (error,) = check_tasks(None)

    assert (error.id, "django_tasks" in str(error.hint)) == ("workflows.E005", True)
    monkeypatch.setattr("chatflow.workflows.checks.django.VERSION", (6, 0))
    assert check_tasks(None) == []
