"""The models that answer prompts. ``AI_MODEL`` says which."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from workflows.ai.base import Model

__all__ = ["Model", "get_model"]


def get_model() -> Model:
    """Return the configured model.

    Raises:
        ImproperlyConfigured: there is no such model.
    """
    if settings.AI_MODEL == "offline":
        from workflows.ai.offline import OfflineModel

        return OfflineModel()
    raise ImproperlyConfigured(f"AI_MODEL={settings.AI_MODEL} is not supported.")
