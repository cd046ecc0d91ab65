"""Wrong configuration, said at the start and with a hint."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from workflows.ai import get_model

QUEUE_CONNECTIONS = ("database", "redis", "sync")


@register
def check_queue_connection(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse a QUEUE_CONNECTION that there is no queue for."""
    if settings.QUEUE_CONNECTION not in QUEUE_CONNECTIONS:
        return [
            Error(
                f"QUEUE_CONNECTION={settings.QUEUE_CONNECTION} is not supported.",
                hint=f"Use one of: {', '.join(QUEUE_CONNECTIONS)}.",
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
def check_model(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse an AI_MODEL that can't be had."""
    try:
        get_model()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="Set AI_MODEL=offline.", id="workflows.E003")]
    return []
