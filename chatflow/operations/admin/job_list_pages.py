"""The pages on which jobs are listed, and acted on together, within the admin."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from chatflow.operations.admin.bulk import Bulk, allowed
from chatflow.operations.admin.job_list import JobList
from chatflow.operations.admin.tables import BigTableAdmin, count_jobs, links
from chatflow.workflows.models import Job

LIST = "admin:chatflow_workflows_job_changelist"
# New jobs that a message links to.
LINKED = 20


class JobListPages(BigTableAdmin):
    """The list of jobs, and the page on which something is done with many of them."""

    def get_urls(self) -> list[URLPattern]:
        bulk = path(
            "bulk/",
            self.admin_site.admin_view(self.bulk_view),
            name="chatflow_workflows_job_bulk",
        )
        return [bulk, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return self._show(request, "job_list", title="Jobs", jobs=JobList(request))

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """Show what an act will do, or do it; see Bulk."""
        here = reverse(LIST) + (f"?{request.GET.urlencode()}" if request.GET else "")
        if not self.has_view_or_change_permission(request) or not allowed(request.user):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseRedirect(here)
        named = {act.name: act for act in allowed(request.user)}
        act = named.get(request.POST.get("act", ""))
        if act is None:
            raise PermissionDenied
        try:
            bulk = Bulk(request, act)
        except BadSignature:
            return HttpResponseBadRequest("This page was not made here.")
        if not bulk.is_all and not bulk.selected:
            self.message_user(request, "Select jobs first.", messages.WARNING)
            return HttpResponseRedirect(here)
        if bulk.is_confirmed and bulk.form.is_valid() and bulk.work():
            self._tell(request, bulk)
            # A script goes to the list by itself; where one is led elsewhere, it is signed out.
            return HttpResponse(status=204) if bulk.is_brief else HttpResponseRedirect(here)
        return self._show(request, "job_bulk", title=f"{act.label}: jobs", bulk=bulk)

    def _tell(self, request: HttpRequest, bulk: Bulk) -> None:
        """Say what has become of the jobs: one message for each outcome."""
        if not bulk.standing.outcomes:
            self.message_user(request, "There was no such job any more.", messages.WARNING)
        for outcome, count in bulk.standing.outcomes.items():
            self.message_user(request, f"{count_jobs(count)}: {outcome}")
        if bulk.made:
            text = format_html("The new ones: {}", links(bulk.made[:LINKED]))
            self.message_user(request, text, messages.SUCCESS)

    def _show(self, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
        request.current_app = self.admin_site.name
        everywhere = self.admin_site.each_context(request)
        return TemplateResponse(
            request,
            f"chatflow/operations/{name}.html",
            {**everywhere, "opts": Job._meta, **context},
        )
