"""Checks that report a wrong configuration at the start, with a hint."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from workflows.ai import model_settings, names
from workflows.bells import QUEUE_BELLS


@register
def check_queue_connection(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse a QUEUE_CONNECTION that there is no queue for."""
    supported = sorted({"database", "sync", *QUEUE_BELLS})
    if settings.QUEUE_CONNECTION not in supported:
        return [
            Error(
                f"QUEUE_CONNECTION={settings.QUEUE_CONNECTION} is not supported.",
                hint=f"Use one of: {', '.join(supported)}.",
                id="workflows.E001",
            )
        ]
    if settings.QUEUE_CONNECTION == "redis" and not settings.REDIS_URL:
        return [
            Error(
                "QUEUE_CONNECTION=redis needs a REDIS_URL.",
                hint="Set REDIS_URL, for example to redis://localhost:6379/0.",
                id="workflows.E002",
            )
        ]
    return []


@register
def check_models(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse the name of a model that isn't available."""
    try:
        names.check([*names.to_try(), *names.allowed()])
    except ImproperlyConfigured as error:
        hint = "Name it provider:model, such as openai:gpt-5-mini, or set AI_MODEL=offline."
        return [Error(str(error), hint=hint, id="workflows.E003")]
    return []


@register
def check_model_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse settings that no model has."""
    try:
        model_settings.check(settings.AI_SETTINGS)
    except ValueError as error:
        known = ", ".join(model_settings.ModelSettings.__annotations__)
        hint = f"There are {known}; what only a provider knows goes into extra_body."
        return [Error(f"AI_SETTINGS is wrong: {error}", hint=hint, id="workflows.E004")]
    return []
