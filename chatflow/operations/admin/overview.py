"""The overview's page, which the list of the admin's pages leads to, and its stream."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.cache import never_cache

from chatflow.operations import overview
from chatflow.operations.admin.accounts import locate
from chatflow.operations.admin.tables import ModelAdmin, ReadOnly
from chatflow.workflows.models import Figures


@admin.register(Figures)
class OverviewAdmin(ReadOnly, ModelAdmin):
    """The rows themselves have no page."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(overview.permitted(request.user))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        # Asked for when every app has registered its pages.
        locate(self.admin_site)
        listed = path(
            "",
            self.admin_site.admin_view(self.changelist_view),
            name="chatflow_workflows_figures_changelist",
        )
        # It refuses by itself: who watches has no use for the page where one signs in.
        stream = path("stream", self.stream, name="chatflow_workflows_figures_stream")
        return [listed, stream]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the overview."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Overview",
            **overview.context_of(request, self.admin_site.name),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "chatflow/operations/overview.html", context)

    def stream(self, request: HttpRequest) -> HttpResponse:
        """Answer with the overview's parts as they change."""
        if not self.admin_site.has_permission(request) or not self.has_view_permission(request):
            return HttpResponse(status=403)
        # It loads the HTTP edge, which the admin of a cluster does without.
        from chatflow.operations import overview_stream

        return never_cache(overview_stream.answer)(request, self.admin_site.name)
