"""Requests for approval: those that wait, the most urgent first, and each on its page, decided."""

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.forms import CharField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from chatflow.operations import audit
from chatflow.operations.admin.dates import CreatedFilter
from chatflow.operations.admin.sessions import mark
from chatflow.operations.admin.tables import (
    COUNTED,
    BigTableAdmin,
    CappedPaginator,
    WorkflowFilter,
    id_begins,
    links,
    titled,
)
from chatflow.operations.job_page.wording import decided
from chatflow.operations.roles import FORM_HIDDEN, may_approve, may_decide, may_read_texts
from chatflow.operations.schema_forms import SchemaForm
from chatflow.operations.templatetags.pages import at, visible
from chatflow.workflows import clock
from chatflow.workflows.exceptions import ChatflowError, InvalidForm
from chatflow.workflows.models import ApprovalRequest, Job, Message
from chatflow.workflows.running.questions import as_json
from chatflow.workflows.services import decisions
from chatflow.workflows.users import find_user

# Characters of an approval's prompt and details that its list shows.
SHOWN = 200
# Messages that its page shows, up to a request and after it.
AROUND = 8
AFTER = 2
# Undecided requests whose time is over that are looked through for those that nobody closed.
LATE = 1000
# Requests that a search by the beginning of an id finds at most.
ALIKE = 1000
EXPIRY = ApprovalRequest.Via.EXPIRY
# How a decision came about, behind the name of who made it.
WAYS: dict[str, str] = {
    ApprovalRequest.Via.CHAT: "in the chat",
    ApprovalRequest.Via.API: "through the API",
    ApprovalRequest.Via.ADMIN: "in the admin",
    EXPIRY: "nobody in time",
}
# In the words of the indexes: SQLite finds none with a parameter.
EXPIRED = "workflows_approvalrequest.via = 'expiry'"
BY_SOMEBODY = f"NOT ({EXPIRED})"
VERDICT = {
    "approved": "workflows_approvalrequest.approved = TRUE",
    "rejected": "workflows_approvalrequest.approved = FALSE",
}
# The requests that are their session's open question.
ASKING = Q(session__open_job=F("job"))


class DecisionForm(ActionForm):
    """The fields that go with a decision about the selected requests."""

    reason = CharField(required=False)
    answer = CharField(required=False, label="What its form asks for (JSON)")


class StateFilter(admin.SimpleListFilter):
    """What became of a request; each state has an index. At first those that wait are shown."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = ("approved", "rejected", "expired", "closed", "all")
        return [(name, name.capitalize()) for name in names]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        unset, *others = super().choices(changelist)
        yield {**unset, "display": "Open"}
        yield from others  # type: ignore[misc]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        undecided = queryset.filter(decided_at=None)
        if state == "all":
            return queryset.order_by("-pk")
        if state in ("approved", "rejected"):
            decided = queryset.filter(decided_at__isnull=False)
            return decided.extra(where=[BY_SOMEBODY, VERDICT[state]]).order_by("-pk")
        if state == "expired":
            over = queryset.extra(where=[EXPIRED]).order_by("-pk")
            if late := late_keys():
                keys = over.values_list("pk", flat=True)[:COUNTED]
                over = queryset.filter(pk__in=[*late, *keys]).order_by("-pk")
            return over
        if state == "closed":
            return undecided.exclude(ASKING).order_by("-expires_at")
        return undecided.filter(ASKING, expires_at__gt=clock.now()).order_by("expires_at")


def late_keys() -> list[int]:
    """Return the requests whose time is over though nobody has looked yet, and marked them."""
    over = ApprovalRequest.objects.filter(decided_at=None, expires_at__lte=clock.now())
    latest = list(over.order_by("-expires_at").values_list("pk", flat=True)[:LATE])
    return list(over.filter(ASKING, pk__in=latest).values_list("pk", flat=True))


class StatePaginator(CappedPaginator):
    """Counts in the order of the state, for which there is an index."""

    @cached_property
    def count(self) -> int:
        found = self.object_list
        assert isinstance(found, QuerySet)
        return found.values("pk")[:COUNTED].count()


class Detail(NamedTuple):
    """A part of what is to be approved: its path and its value."""

    name: str
    text: str
    is_long: bool


VIA = ("via", titled(admin.ChoicesFieldListFilter, "how it was decided"))


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(BigTableAdmin):
    tells = ("shown_prompt", "shown_details", "shown_reason")
    list_display = (
        "shown_prompt",
        "shown_details",
        *("user", "workflow", "status", "shown_expiry", "shown_asked"),
        *("decided_by", "shown_reason"),
    )
    list_select_related = ("user", "session")
    list_filter = (StateFilter, WorkflowFilter, VIA, CreatedFilter)
    # Makes the search box appear; get_search_results() does the searching.
    search_fields = ("public_id",)
    search_help_text = "An approval's id or its beginning, or a user's name."
    paginator = StatePaginator
    # The state says the order: see StateFilter.
    ordering = ()  # type: ignore[assignment]
    actions = ("approve", "reject")
    action_form = DecisionForm

    def get_list_display(self, request: HttpRequest) -> Any:
        columns, state = super().get_list_display(request), request.GET.get("state")
        # Of a decision, where there is none; and when it would have been too late for one.
        left_out = {
            None: ("decided_by", "shown_reason"),
            "closed": ("decided_by", "shown_reason"),
            "approved": ("shown_expiry",),
            "rejected": ("shown_expiry",),
        }
        return [name for name in columns if name not in left_out.get(state, ())]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.strip()
        if not words:
            return queryset, False
        if words.startswith("approval_"):
            # By its own index: else SQLite goes by the order of the list, and reads all rows.
            begins = ApprovalRequest.objects.filter(id_begins(words)).order_by("public_id")
            keys = list(begins.values_list("pk", flat=True)[:ALIKE])
            return queryset.filter(pk__in=keys), False
        # Of no user there are none.
        return queryset.filter(user=find_user(words)), False

    @admin.display(description="what is asked")
    def shown_prompt(self, row: Any) -> str:
        return visible(Truncator(row.prompt).chars(SHOWN))

    @admin.display(description="details")
    def shown_details(self, row: Any) -> str:
        if not row.details:
            return "-"
        said = (
            f"{each.name}: {each.text}" if each.name else each.text for each in flatten(row.details)
        )
        return Truncator("; ".join(said)).chars(SHOWN)

    @admin.display(description="decided by")
    def decided_by(self, row: ApprovalRequest) -> str:
        return decider_of(row) or "-"

    @admin.display(description="expires")
    def shown_expiry(self, row: ApprovalRequest) -> str:
        return at(row.expires_at)

    @admin.display(description="asked")
    def shown_asked(self, row: ApprovalRequest) -> str:
        return at(row.created_at)

    @admin.display(description="reason")
    def shown_reason(self, row: Any) -> str:
        return row.reason or "-"

    @admin.display(description="state")
    def status(self, row: ApprovalRequest) -> SafeString:
        state = state_of(row)
        return mark(state, state)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may decide for others."""
        return may_decide(request.user)

    @admin.action(description="Approve the selected requests", permissions=["operate"])
    def approve(self, request: HttpRequest, selected: QuerySet[ApprovalRequest]) -> None:
        self.decide_all(request, selected, approved=True)

    @admin.action(description="Reject the selected requests", permissions=["operate"])
    def reject(self, request: HttpRequest, selected: QuerySet[ApprovalRequest]) -> None:
        self.decide_all(request, selected, approved=False)

    def decide_all(
        self, request: HttpRequest, selected: QuerySet[ApprovalRequest], *, approved: bool
    ) -> None:
        reason, text = (request.POST.get(name, "").strip() for name in ("reason", "answer"))
        answer = as_json(text)
        if text and answer is None:
            self.message_user(request, "The answer is not JSON.", messages.ERROR)
            return
        for row in selected.select_related("job", "session", "user").order_by("pk"):
            if approved and not may_approve(request.user, row):
                said = f"{name_of(row, request)}: {FORM_HIDDEN}"
                self.message_user(request, said, messages.WARNING)
                continue
            try:
                job = decide(request, row, approved=approved, reason=reason, answer=answer)
            except ChatflowError as error:
                self.message_user(request, f"{name_of(row, request)}: {error}", messages.WARNING)
            else:
                self.tell(request, row, job, approved=approved)

    def tell(self, request: HttpRequest, row: ApprovalRequest, job: Job, *, approved: bool) -> None:
        verdict = "Approved" if approved else "Rejected"
        text = format_html(
            "{}: {}; it goes on as {}.", name_of(row, request), verdict, links([job])
        )
        self.message_user(request, text, messages.SUCCESS)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show what is asked in full; a POST decides it."""
        row = self.get_object(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        state, form = state_of(row), None
        if row.schema is not None and state == "open" and may_approve(request.user, row):
            form = SchemaForm(row.schema, request.POST if request.method == "POST" else None)
        if request.method == "POST":
            approves = request.POST.get("decision") == "approve"
            may = may_approve(request.user, row) if approves else may_decide(request.user)
            if not may:
                raise PermissionDenied
            if self.decide_one(request, row, form):
                return HttpResponseRedirect(request.path)
        may_read = may_read_texts(request.user)
        context = {
            **self.admin_site.each_context(request),
            "title": Truncator(row.prompt).chars(80) if may_read else f"Request of {row.user}",
            "opts": self.opts,
            "row": row,
            "state": state,
            "decider": decider_of(row),
            "may_read": may_read,
            "may_decide": may_decide(request.user),
            "form_hidden": "" if may_approve(request.user, row) else FORM_HIDDEN,
            "may_open_session": request.user.has_perm("chatflow_workflows.view_session"),
            "may_open_job": request.user.has_perm("chatflow_workflows.view_job"),
            "details": list(flatten(row.details)) if may_read else [],
            "answer": list(flatten(row.answer or {})) if may_read else [],
            "said": read_around(row),
            "form": form,
            "reason": request.POST.get("reason", ""),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "chatflow/operations/approval.html", context)

    def decide_one(
        self, request: HttpRequest, row: ApprovalRequest, form: SchemaForm | None
    ) -> bool:
        """Decide as the page's form says; what is wrong with it is shown there."""
        verdict = request.POST.get("decision")
        if verdict not in ("approve", "reject"):
            self.message_user(request, "Approve it, or reject it.", messages.ERROR)
            return False
        approved = verdict == "approve"
        if approved and form is not None and not form.is_valid():
            return False
        answer = form.answer() if approved and form is not None else None
        reason = request.POST.get("reason", "").strip()
        try:
            job = decide(request, row, approved=approved, reason=reason, answer=answer)
        except InvalidForm as error:
            if form is not None:
                form.complain(error.errors)
            return False
        except ChatflowError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.tell(request, row, job, approved=approved)
        return True


def state_of(row: ApprovalRequest) -> str:
    """Return what became of a request, in one word."""
    if row.via == EXPIRY:
        return "expired"
    if row.approved is not None:
        return "approved" if row.approved else "rejected"
    if row.job_id is None or row.session.open_job_id != row.job_id:
        return "closed"
    return "expired" if row.expires_at <= clock.now() else "open"


def decider_of(row: ApprovalRequest) -> str:
    """Return who decided a request, and how; empty while nobody has."""
    return " ".join(filter(None, [row.by, WAYS.get(row.via, "")]))


def name_of(row: ApprovalRequest, request: HttpRequest) -> str:
    """Return what messages call a request."""
    return row.prompt if may_read_texts(request.user) else row.public_id


def decide(
    request: HttpRequest,
    row: ApprovalRequest,
    *,
    approved: bool,
    reason: str,
    answer: dict[str, Any] | None,
) -> Job:
    """Decide for the request's user, who is shown who did, and put it on record.

    Args:
        request: of the member of staff.
        row: the request for approval.
        approved: the decision.
        reason: why.
        answer: the data of the form, where it has one.

    Returns:
        The job that goes on.

    Raises:
        ChatflowError: as decisions.decide().
    """
    job = decisions.decide(
        row,
        by=request.user,
        via=ApprovalRequest.Via.ADMIN,
        approved=approved,
        reason=reason,
        answer=answer if approved else None,
    )
    act = "Approve" if approved else "Reject"
    # Without the reason, which is told to the user: see job_page.acts.Act.
    audit.record(request, row, act, outcome=decided(job, approved=approved))
    return job


def flatten(value: Any, path: str = "") -> Iterator[Detail]:
    """Yield the values of an object, each by the path of names that leads to it."""
    if isinstance(value, dict | list) and value:
        named = value.items() if isinstance(value, dict) else enumerate(value, 1)
        for name, inner in named:
            yield from flatten(inner, f"{path} › {name}" if path else str(name))
        return
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    if path or value not in ({}, None):
        yield Detail(visible(path), visible(text), "\n" in text or len(text) > SHOWN)


def read_around(row: ApprovalRequest) -> list[Message]:
    """Return what was said up to the request, and in answer to it."""
    said = row.session.messages.filter(cut=False).order_by("-pk")
    asked = None
    if row.job_id is not None:
        asked = said.filter(job=row.job_id).values_list("pk", flat=True).first()
    if asked is None:
        return list(said[:AROUND])[::-1]
    before = list(said.filter(pk__lte=asked)[:AROUND])
    return before[::-1] + list(said.filter(pk__gt=asked).order_by("pk")[:AFTER])
