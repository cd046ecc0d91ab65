"""Requests for approval, decided for their users."""

from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth import get_user_model
from django.db.models import (
    QuerySet,
)
from django.forms import CharField
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import Truncator

from chatflow.operations import audit
from chatflow.operations.admin.tables import (
    BigTableAdmin,
    WorkflowFilter,
    created_at,
    links,
    moment,
)
from chatflow.operations.roles import may_decide, shown
from chatflow.workflows import clock
from chatflow.workflows.exceptions import ChatflowError
from chatflow.workflows.models import (
    ApprovalRequest,
)
from chatflow.workflows.running.questions import as_json
from chatflow.workflows.services import decisions

# Characters of an approval's details that its list shows.
SHOWN = 500


class DecisionForm(ActionForm):
    """The fields that go with a decision about the selected requests."""

    reason = CharField(required=False)
    answer = CharField(required=False, label="Answer (JSON)")


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(BigTableAdmin):
    list_display = (
        "prompt",
        "shown_details",
        *("user", "workflow", "status", "by", "via", "reason"),
        created_at,
    )
    list_select_related = ("user", "session")
    list_filter = ("via", WorkflowFilter)
    search_fields = ("public_id__startswith", f"user__{get_user_model().USERNAME_FIELD}__exact")
    search_help_text = "An approval's id or its beginning, or a user's name."
    actions = ("approve", "reject")
    action_form = DecisionForm
    tells = ("shown_details",)
    readonly_fields = ("status", created_at, moment("expires_at"), moment("decided_at"))
    fieldsets = (
        (None, {"fields": ("public_id", "user", "session", "job", "workflow")}),
        ("Question", {"fields": ("prompt", "details", "schema", created_at)}),
        ("Decision", {"fields": ("status", "by", "via", "reason", "answer")}),
    )

    @admin.display(description="details")
    def shown_details(self, row: ApprovalRequest) -> str:
        # As Python writes them: what can't be seen is written out.
        return Truncator(repr(row.details)).chars(SHOWN) if row.details else "-"

    @admin.display(description="status")
    def status(self, row: ApprovalRequest) -> str:
        if row.via == ApprovalRequest.Via.EXPIRY:
            return "expired"
        if row.approved is not None:
            return "approved" if row.approved else "rejected"
        if row.job_id is None or row.session.open_job_id != row.job_id:
            return "closed"
        return "expired" if row.expires_at <= clock.now() else "open"

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may decide for others."""
        return may_decide(request.user)

    @admin.action(description="Approve the selected requests", permissions=["operate"])
    def approve(self, request: HttpRequest, selected: QuerySet[ApprovalRequest]) -> None:
        self.decide(request, selected, approved=True)

    @admin.action(description="Reject the selected requests", permissions=["operate"])
    def reject(self, request: HttpRequest, selected: QuerySet[ApprovalRequest]) -> None:
        self.decide(request, selected, approved=False)

    def decide(
        self, request: HttpRequest, selected: QuerySet[ApprovalRequest], *, approved: bool
    ) -> None:
        reason, text = (request.POST.get(name, "").strip() for name in ("reason", "answer"))
        answer = as_json(text)
        if text and answer is None:
            self.message_user(request, "The answer is not JSON.", messages.ERROR)
            return
        for row in selected.select_related("job", "session", "user").order_by("pk"):
            prompt = shown(request.user, row.prompt)
            try:
                job = decisions.decide(
                    row,
                    by=request.user,
                    via=ApprovalRequest.Via.ADMIN,
                    approved=approved,
                    reason=reason,
                    answer=answer if approved else None,
                )
            except ChatflowError as error:
                self.message_user(request, f"{prompt}: {error}", messages.WARNING)
                continue
            verdict = "Approved" if approved else "Rejected"
            audit.record(request, row, "Approve" if approved else "Reject", reason)
            text = format_html("{}: {}; it goes on as {}.", prompt, verdict, links([job]))
            self.message_user(request, text, messages.SUCCESS)
