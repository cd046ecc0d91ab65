"""A job's page. The list of jobs is in job_list_pages.py."""

from django.contrib import admin
from django.utils.html import format_html

from chatflow.operations.admin.job_list_pages import JobListPages
from chatflow.operations.admin.tables import (
    LATEST,
    TIMES,
    LatestInline,
    created_at,
    links,
)
from chatflow.workflows import clock
from chatflow.workflows.models import (
    Event,
    Feedback,
    Job,
    Step,
)


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


@admin.register(Job)
class JobAdmin(JobListPages):
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
