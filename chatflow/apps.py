import os

from django.apps import AppConfig
from django.conf import settings

from chatflow.development import SITE


class ChatflowConfig(AppConfig):
    name = "chatflow"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chatflow import (  # noqa: F401
            checks,
            middleware,
            project_checks,
            schema,
            stream_checks,
            tokens,
        )
        from chatflow.addresses import document_page
        from chatflow.workflows.knowledge.pages import pages

        if getattr(settings, "KNOX_TOKEN_MODEL", "") == "chatflow.Token":
            _take_knox()
        pages.are_found_by(document_page)

        if site := os.environ.get(SITE):
            from chatflow.development.terminal import show_jobs

            show_jobs(site)


def _take_knox() -> None:
    """Let scripts that make tokens with Knox's own model make ours.

    Its admin comes first: it has no page for a model that is swapped.
    """
    from knox import admin, models  # noqa: F401

    from chatflow.models import Token

    models.AuthToken = Token
