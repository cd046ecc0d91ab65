import os

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from chatflow.development import SITE
from chatflow.install import WRITE

# What a project can't leave out of install.APPS. Django would say of models that they have no app.
NEEDED = (
    "rest_framework",
    "knox",
    "chatflow.workflows.cluster",
    "django_q",
    "chatflow.workflows",
    "chatflow.workflows.knowledge",
)


class ChatflowConfig(AppConfig):
    name = "chatflow"
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Import the models, unless those that they refer to would not be there.

        Raises:
            ImproperlyConfigured: INSTALLED_APPS has some of the apps only.
        """
        names = {each.name for each in apps.get_app_configs()}
        if lost := [each for each in NEEDED if each not in names]:
            raise ImproperlyConfigured(f"INSTALLED_APPS lacks {', '.join(lost)}. {WRITE}")
        super().import_models()

    def ready(self) -> None:
        # What answers requests is imported with the URLconf: a cluster does without.
        from chatflow.access import tokens  # noqa: F401
        from chatflow.project import checks, site_checks, stream_checks  # noqa: F401
        from chatflow.wire.addresses import document_page
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
