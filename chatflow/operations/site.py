"""The admin of this checkout, whose first page is the overview. Other projects have their own."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.template.response import TemplateResponse


class OperationsSite(AdminSite):
    index_template = "chatflow/operations/index.html"

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        # It reaches the models, which can't be imported while the apps are loaded.
        from chatflow.operations import overview

        found = overview.context_of(request, self.name)
        return super().index(request, {**found, **(extra_context or {})})


class OperationsAdminConfig(AdminConfig):
    """Stands for ``django.contrib.admin`` in INSTALLED_APPS."""

    default_site = "chatflow.operations.site.OperationsSite"
