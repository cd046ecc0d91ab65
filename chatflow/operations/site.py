"""The admin of this checkout, whose first page is the overview. Other projects have their own."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib.admin import AdminSite, autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.core.checks import CheckMessage
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver


class OperationsSite(AdminSite):
    """An admin that finds its pages when it is asked for them: a cluster never does."""

    index_template = "chatflow/operations/index.html"

    def get_urls(self) -> list[URLResolver | URLPattern]:
        autodiscover()
        return super().get_urls()

    def check(self, app_configs: Sequence[AppConfig] | None) -> list[CheckMessage]:
        autodiscover()
        return super().check(app_configs)

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        # It reaches the models, which can't be imported while the apps are loaded.
        from chatflow.operations import overview

        found = overview.context_of(request, self.name)
        title = {"title": "Overview"} if found else {}
        return super().index(request, {**found, **title, **(extra_context or {})})


class OperationsAdminConfig(SimpleAdminConfig):
    """Stands for ``django.contrib.admin`` in INSTALLED_APPS."""

    default_site = "chatflow.operations.site.OperationsSite"
