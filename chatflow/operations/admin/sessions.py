"""Pages of conversations."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import (
    Count,
    OuterRef,
    QuerySet,
    Subquery,
)
from django.http import HttpRequest

from chatflow.operations.admin.tables import LATEST, LatestInline, TenantAdmin
from chatflow.workflows.models import (
    Feedback,
    Job,
    Message,
    Session,
    State,
)
from chatflow.workflows.services import conversations


class MessageInline(LatestInline):
    model = Message
    verbose_name_plural = f"messages (the latest {LATEST})"
    fields = ("role", "content", "cut", "job", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("job")


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
    tells = ("shown_title",)

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
