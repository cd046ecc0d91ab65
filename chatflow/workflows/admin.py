"""Pages of jobs, sessions and clusters. Rows are read-only; cancel, retry and forget are actions.

The lists are made for millions of rows: nothing counts, sorts or scans a whole table.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import (
    BooleanField,
    Count,
    ExpressionWrapper,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Now
from django.forms import CharField
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from chatflow.conf import conf
from chatflow.workflows import clock, services
from chatflow.workflows.exceptions import ChatflowError
from chatflow.workflows.models import (
    ApprovalRequest,
    Cluster,
    DailyUsage,
    Event,
    Feedback,
    Job,
    JobQuerySet,
    Message,
    Session,
    State,
    Step,
    TaskRun,
)
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.running.questions import as_json
from chatflow.workflows.services import conversations, decisions, queues
from chatflow.workflows.store.lifecycle import CLUSTER_SEEN
from chatflow.workflows.users import find_user

# Rows that a list pages through; a search or a filter finds those further down.
COUNTED = 10_000
# Jobs whose text a search covers: the latest.
SEARCHED = 100_000
# Sessions of one key, each another user's, that a search takes.
SESSIONS = 500
# Characters of an approval's details that its list shows.
SHOWN = 500
# Rows of an inline.
LATEST = 200
# Jobs that one action takes; more would outlast the request.
MOST_SELECTED = 1000

# django-stubs makes these classes generic; at run time they are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    Inline = admin.TabularInline[Any, Any]
    InlineFormSet = BaseInlineFormSet[Any, Any, Any]
    PaginatorBase = Paginator[Any]
else:
    ModelAdmin, Inline = admin.ModelAdmin, admin.TabularInline
    InlineFormSet, PaginatorBase = BaseInlineFormSet, Paginator


def moment(field: str) -> Any:
    """Return a column of a time to the millisecond; Django's own shows minutes."""
    # Any: django-stubs doesn't know that a column may be a function.

    @admin.display(description=field.replace("_", " "))
    def show(row: Any) -> str:
        at: datetime | None = getattr(row, field)
        return "-" if at is None else f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S.%f}"[:-3]

    return show


created_at = moment("created_at")
TIMES = (created_at, moment("started_at"), moment("finished_at"), moment("updated_at"))


class CappedPaginator(PaginatorBase):
    """Counts no further than it has to, for a count of a big table takes seconds."""

    @cached_property
    def count(self) -> int:
        found = self.object_list
        assert isinstance(found, QuerySet)
        return found.order_by("-pk").values("pk")[:COUNTED].count()


class LatestFormSet(InlineFormSet):
    """An inline's latest rows, in their order."""

    def get_queryset(self) -> Any:
        if not hasattr(self, "_latest"):
            newest_first = self.queryset.order_by("-pk")[:LATEST]  # type: ignore[union-attr]
            self._latest = list(reversed(newest_first))
        return self._latest


class ReadOnly:
    """A row can be viewed, not added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class BigTableAdmin(ReadOnly, ModelAdmin):
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()


class TenantAdmin(BigTableAdmin):
    """Where users act for organisations, a column for these; each shows its own rows only."""

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return [*columns, "of_tenant"] if conf.TENANT else columns

    @admin.display(description="tenant")
    def of_tenant(self, row: Job | Session) -> str:
        if not row.tenant:
            return "-"
        return format_html('<a href="?{}">{}</a>', urlencode({"tenant": row.tenant}), row.tenant)


class LatestInline(ReadOnly, Inline):
    formset = LatestFormSet
    extra = 0
    # A foreign key's select would load the whole other table.
    show_change_link = False


class StepInline(LatestInline):
    model = Step
    fk_name = "job"
    verbose_name_plural = f"steps (the latest {LATEST})"
    fields = (
        "name",
        "occurrence",
        "question",
        "finished",
        "result",
        "attempt",
        "duration_ms",
        "usage",
    )


class EventInline(LatestInline):
    model = Event
    verbose_name_plural = f"events (the latest {LATEST})"
    fields = ("seq", "type", "progress", "message", "data", "attempt", created_at)
    readonly_fields = (created_at,)


class MessageInline(LatestInline):
    model = Message
    verbose_name_plural = f"messages (the latest {LATEST})"
    fields = ("role", "content", "cut", "job", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("job")


class ByRegistry(admin.SimpleListFilter):
    """A filter whose choices come from the registered workflows, not from the table."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = {str(getattr(workflow, self.attribute)) for workflow in all_workflows()}
        return [(name, name) for name in sorted(names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(**{str(self.parameter_name): self.value()})

    attribute = ""


class WorkflowFilter(ByRegistry):
    title = "workflow"
    parameter_name = "workflow"
    attribute = "name"


class QueueFilter(ByRegistry):
    title = "queue"
    parameter_name = "queue"
    attribute = "queue"


class FailureFilter(admin.SimpleListFilter):
    title = "list of failures"
    parameter_name = "failures"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "On it")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        assert isinstance(queryset, JobQuerySet)
        return queryset.failures()


class FeedbackFilter(admin.SimpleListFilter):
    title = "feedback"
    parameter_name = "feedback"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, str(label)) for value, label in Feedback.Value.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        given = Feedback.objects.filter(value=self.value())
        # By those that there are: few jobs have one.
        return queryset.filter(pk__in=given.values("job"))


@admin.register(Job)
class JobAdmin(TenantAdmin):
    list_display = (
        "public_id",
        "user",
        "workflow",
        "state",
        "percent",
        "attempt",
        created_at,
        "duration",
        "thumb",
    )
    list_select_related = ("user", "feedback")
    list_filter = (FailureFilter, FeedbackFilter, "state", WorkflowFilter, QueueFilter)
    # Makes the search box appear; get_search_results() does the searching.
    search_fields = ("public_id",)
    search_help_text = (
        "A job's id or its beginning; a user's name or a session's key; or else words of a message "
        f"(of the latest {SEARCHED:,} jobs)."
    )
    actions = ("cancel", "retry", "forget")
    inlines = (StepInline, EventInline)
    readonly_fields = (
        "percent",
        "duration",
        "given_feedback",
        "folded_traceback",
        "retried_as",
        *TIMES,
    )
    fieldsets = (
        (None, {"fields": ("public_id", "user", "tenant", "session", "workflow", "text")}),
        ("Progress", {"fields": ("state", "percent", "progress_message", "duration", "last_seq")}),
        (
            "Answer",
            {"fields": ("response", "awaiting", "actions", "sources", "usage", "given_feedback")},
        ),
        ("Failure", {"fields": ("code", "error", "folded_traceback", "forgotten", "retried_as")}),
        ("Origin", {"fields": ("root", "retry_of", "mode", "explicit", "options")}),
        (
            "Queue",
            {
                "fields": (
                    *("queue", "priority", "is_async", "turn"),
                    *("available_at", "inline", "unique_key"),
                )
            },
        ),
        (
            "Attempts",
            {"fields": ("attempt", "lost", "failures", "host", "pid", "lease_until", "claimed_at")},
        ),
        ("Times", {"fields": TIMES}),
    )

    @admin.display(description="progress")
    def percent(self, job: Job) -> str:
        return f"{job.progress} %"

    @admin.display(description="duration")
    def duration(self, job: Job) -> str:
        if job.started_at is None:
            return "-"
        seconds = job.ran_for
        if job.claimed_at is not None and not job.is_finished:
            seconds += max(0.0, (clock.now() - job.claimed_at).total_seconds())
        return f"{seconds:.1f} s"

    @admin.display(description="feedback")
    def thumb(self, job: Job) -> str:
        given: Feedback | None = getattr(job, "feedback", None)
        return given.get_value_display() if given is not None else "-"

    @admin.display(description="feedback")
    def given_feedback(self, job: Job) -> str:
        given: Feedback | None = getattr(job, "feedback", None)
        if given is None:
            return "-"
        return ": ".join(filter(None, [given.get_value_display(), given.comment]))

    @admin.display(description="traceback")
    def folded_traceback(self, job: Job) -> str:
        if not job.traceback:
            return "-"
        last = job.traceback.strip().splitlines()[-1]
        return format_html(
            "<details><summary>{}</summary><pre>{}</pre></details>", last, job.traceback
        )

    @admin.display(description="retried as")
    def retried_as(self, job: Job) -> str:
        return links(list(job.retries.order_by("pk")[:LATEST])) or "-"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.strip()
        if not words:
            return queryset, False
        if words.startswith("workflow_"):
            return queryset.filter(public_id__startswith=words), False
        user = find_user(words)
        by_key = Session.objects.filter(key=words).values_list("pk", flat=True)
        # Queried first: joined to the jobs in one query, they would cost a scan of all three.
        named = Q(session__in=list(by_key[:SESSIONS]))
        if user is not None:
            named |= Q(user=user)
        if (found := queryset.filter(named)).exists():
            return found, False
        latest = queryset.filter(pk__gt=_latest_pk() - SEARCHED, text__icontains=words)
        # Nobody finds what was said under `memory: false`.
        remembered = Q(options__memory=True) | Q(options__memory__isnull=True)
        return latest.filter(remembered), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may use the actions; nobody may change a row by hand."""
        return request.user.has_perm("chatflow_workflows.change_job")

    @admin.action(description="Cancel the selected jobs", permissions=["operate"])
    def cancel(self, request: HttpRequest, selected: QuerySet[Job]) -> None:
        outcomes: Counter[str] = Counter()
        for job in self.few(request, selected):
            outcome = cancel(job)
            outcomes[outcome] += 1
            self.log_change(request, job, f"Cancel: {outcome}")
        self.tell(request, outcomes)

    @admin.action(description="Retry the selected jobs", permissions=["operate"])
    def retry(self, request: HttpRequest, selected: QuerySet[Job]) -> None:
        refused: Counter[str] = Counter()
        new = []
        for job in self.few(request, selected):
            try:
                new.append(services.retry(job))
            except ChatflowError as error:
                refused[str(error)] += 1
            else:
                self.log_change(request, job, f"Retried as {new[-1]}.")
        if new:
            text = format_html("{} queued again: {}", jobs(len(new)), links(new[:20]))
            self.message_user(request, text, messages.SUCCESS)
        self.tell(request, refused, messages.WARNING)

    @admin.action(description="Forget the selected failures", permissions=["operate"])
    def forget(self, request: HttpRequest, selected: QuerySet[Job]) -> None:
        chosen = [job.pk for job in self.few(request, selected)]
        count = queues.forget(Job.objects.filter(pk__in=chosen))
        outcomes = {
            "Taken off the list of failures.": count,
            "Not on the list of failures.": len(chosen) - count,
        }
        self.tell(request, outcomes)

    def few(self, request: HttpRequest, selected: QuerySet[Job]) -> list[Job]:
        """Return the selected jobs, or none of them if they are too many for one request."""
        found = list(selected.order_by("pk")[: MOST_SELECTED + 1])
        if len(found) <= MOST_SELECTED:
            return found
        text = f"Select at most {MOST_SELECTED} jobs, or use manage.py queue_retry and the like."
        self.message_user(request, text, messages.ERROR)
        return []

    def tell(
        self, request: HttpRequest, outcomes: dict[str, int], level: int = messages.INFO
    ) -> None:
        """Show what became of the selected jobs: one message for each outcome."""
        for outcome, count in outcomes.items():
            if count:
                self.message_user(request, f"{jobs(count)}: {outcome}", level)


@admin.register(Session)
class SessionAdmin(TenantAdmin):
    list_display = (
        *("key", "shown_title", "user", "pinned", "last_state", "feedback", "open_job"),
        *("created_at", "updated_at"),
    )
    list_select_related = ("user", "open_job")
    search_fields = ("key__startswith", f"user__{get_user_model().USERNAME_FIELD}__exact")
    search_help_text = "A key or its beginning, or a user's name."
    fields = (
        *("key", "title", "user", "tenant", "pinned", "unread", "open_job", "summary"),
        *("created_at", "updated_at"),
    )
    inlines = (MessageInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Also return what the list tells of other tables, for the rows that a page has."""
        given = Feedback.objects.filter(job__session=OuterRef("pk")).order_by()
        count = given.values("job__session").annotate(count=Count("pk")).values("count")
        jobs = Job.objects.filter(session=OuterRef("pk")).order_by("-pk")
        rows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .annotate(
                beginning=conversations.beginning(),
                latest=Subquery(jobs.values("state")[:1]),
                ups=Subquery(count.filter(value=Feedback.Value.UP)),
                downs=Subquery(count.filter(value=Feedback.Value.DOWN)),
            )
        )
        return rows

    @admin.display(description="title")
    def shown_title(self, session: Any) -> str:
        return conversations.title_of(session, session.beginning)

    @admin.display(description="last state")
    def last_state(self, session: Any) -> str:
        return str(State(session.latest).label) if session.latest else "-"

    @admin.display(description="feedback")
    def feedback(self, session: Any) -> str:
        counts = ((session.ups, "up"), (session.downs, "down"))
        return ", ".join(f"{count} {word}" for count, word in counts if count) or "-"


@admin.register(DailyUsage)
class DailyUsageAdmin(BigTableAdmin):
    list_display = ("user", "day", "requests", "tokens")
    list_select_related = ("user",)
    search_fields = (f"user__{get_user_model().USERNAME_FIELD}__exact",)
    search_help_text = "A user's name."


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
        return request.user.has_perm("chatflow_workflows.change_approvalrequest")

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
                self.message_user(request, f"{row.prompt}: {error}", messages.WARNING)
                continue
            verdict = "Approved" if approved else "Rejected"
            self.log_change(request, row, f"{verdict}: {reason}")
            text = format_html("{}: {}; it goes on as {}.", row.prompt, verdict, links([job]))
            self.message_user(request, text, messages.SUCCESS)


@admin.register(TaskRun)
class TaskRunAdmin(BigTableAdmin):
    list_display = ("public_id", "path", "status", "queue", "attempt", "enqueued_at", "finished_at")
    list_filter = ("status",)
    search_fields = ("public_id__exact", "path__exact")
    search_help_text = "A task's id, or its function's dotted name."


@admin.register(Cluster)
class ClusterAdmin(ReadOnly, ModelAdmin):
    list_display = ("host", "pid", "workers", "alive", "started_at", "seen_at")
    ordering = ("-seen_at",)
    fields = list_display
    readonly_fields = ("alive",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        seen = ExpressionWrapper(Q(seen_at__gt=Now() - CLUSTER_SEEN), output_field=BooleanField())
        found: QuerySet[Any] = super().get_queryset(request).annotate(seen_lately=seen)
        return found

    @admin.display(boolean=True, description="alive")
    def alive(self, cluster: Any) -> bool:
        return bool(cluster.seen_lately)


def cancel(job: Job) -> str:
    """Cancel a job and return the outcome in words."""
    asked = job.awaiting is not None
    current = services.cancel(job)
    if current.state == State.CANCELLED and not job.is_finished:
        return "Cancelled."
    if current.state == State.PROCESSING:
        return "Told to stop."
    return "Had ended already; an open question is closed." if asked else "Had ended already."


def links(found: Sequence[Model]) -> SafeString:
    """Return links to the admin pages of jobs."""
    return format_html_join(
        ", ",
        '<a href="{}">{}</a>',
        ((reverse("admin:chatflow_workflows_job_change", args=(job.pk,)), job) for job in found),
    )


def jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"


def _latest_pk() -> int:
    latest = Job.objects.order_by("-pk").values_list("pk", flat=True)
    return latest.first() or 0
