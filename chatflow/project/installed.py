"""Says what to write where the app is not installed; imported before all that needs its models."""

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from chatflow.install import WRITE

if not apps.is_installed("chatflow"):
    raise ImproperlyConfigured(f"chatflow is included in the URLs, but not installed. {WRITE}")
