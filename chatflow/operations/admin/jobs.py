"""Pages of jobs: found, looked at, cancelled, retried, forgotten."""

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.db.models import (
    Q,
    QuerySet,
)
from django.http import HttpRequest
from django.utils.html import format_html

from chatflow.operations import audit
from chatflow.operations.admin.tables import (
    LATEST,
    TIMES,
    LatestInline,
    QueueFilter,
    TenantAdmin,
    WorkflowFilter,
    count_jobs,
    created_at,
    links,
)
from chatflow.operations.roles import may_operate, may_read_texts
from chatflow.workflows import clock, services
from chatflow.workflows.exceptions import ChatflowError
from chatflow.workflows.models import (
    Event,
    Feedback,
    Job,
    JobQuerySet,
    Session,
    State,
    Step,
)
from chatflow.workflows.services import queues
from chatflow.workflows.users import find_user

# Jobs whose text a search covers: the latest.
SEARCHED = 100_000
# Sessions of one key, each another user's, that a search takes.
SESSIONS = 500
# Jobs that one action takes; more would outlast the request.
MOST_SELECTED = 1000


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
    tells = ("given_feedback", "folded_traceback")
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
        if not may_read_texts(request.user):
            return queryset.none(), False
        latest = queryset.filter(pk__gt=_latest_pk() - SEARCHED, text__icontains=words)
        # Nobody finds what was said under `memory: false`.
        remembered = Q(options__memory=True) | Q(options__memory__isnull=True)
        return latest.filter(remembered), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may use the actions; nobody may change a row by hand."""
        return may_operate(request.user)

    @admin.action(description="Cancel the selected jobs", permissions=["operate"])
    def cancel(self, request: HttpRequest, selected: QuerySet[Job]) -> None:
        outcomes: Counter[str] = Counter()
        for job in self.few(request, selected):
            outcome = cancel(job)
            outcomes[outcome] += 1
            audit.record(request, job, "Cancel", outcome=outcome)
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
                audit.record(request, job, "Retry", outcome=f"As {new[-1]}.")
        if new:
            text = format_html("{} queued again: {}", count_jobs(len(new)), links(new[:20]))
            self.message_user(request, text, messages.SUCCESS)
        self.tell(request, refused, messages.WARNING)

    @admin.action(description="Forget the selected failures", permissions=["operate"])
    def forget(self, request: HttpRequest, selected: QuerySet[Job]) -> None:
        chosen = [job.pk for job in self.few(request, selected)]
        listed = Job.objects.filter(pk__in=chosen)
        failures = list(listed.failures())
        count = queues.forget(listed)
        for job in failures:
            audit.record(request, job, "Forget")
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
                self.message_user(request, f"{count_jobs(count)}: {outcome}", level)


def cancel(job: Job) -> str:
    """Cancel a job and return the outcome in words."""
    asked = job.awaiting is not None
    current = services.cancel(job)
    if current.state == State.CANCELLED and not job.is_finished:
        return "Cancelled."
    if current.state == State.PROCESSING:
        return "Told to stop."
    return "Had ended already; an open question is closed." if asked else "Had ended already."


def _latest_pk() -> int:
    latest = Job.objects.order_by("-pk").values_list("pk", flat=True)
    return latest.first() or 0
