"""Conversations: found, and read as their users read them, beside the jobs behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import (
    BigIntegerField,
    Count,
    Max,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from chatflow.conf import conf
from chatflow.operations.admin.dates import CreatedFilter
from chatflow.operations.admin.tables import TenantAdmin
from chatflow.operations.job_page import wording
from chatflow.operations.job_page.wording import STATES
from chatflow.operations.live import stream_address
from chatflow.operations.roles import may_read_texts
from chatflow.operations.templatetags.pages import at
from chatflow.workflows import clock, services
from chatflow.workflows.models import ACTIVE, Feedback, Job, Message, Session, State
from chatflow.workflows.services import conversations
from chatflow.workflows.users import find_user

# Characters of a session's key that the list shows.
KEY_LENGTH = 16
# Messages of a page, and documents that it names.
PAGE = 50
DOCUMENTS = 20
# Of the latest so many messages and jobs a session's figures are told, and so many failures and
# jobs under way are looked through for their sessions.
COUNTED = 500
LOOKED_AT = 2_000
# How one stands whose question is open, as the name of its colour and in words.
ASKS = ("asks", wording.ASKS)
# Sessions whose keys a search covers: the latest.
SEARCHED = 100_000


class NowFilter(admin.SimpleListFilter):
    """How a conversation stands; each by an index that has few rows."""

    title = "how it stands"
    parameter_name = "now"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("running", "Running or waiting"),
            ("waiting", ASKS[1]),
            ("failed", "Failed last"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "running":
            return queryset.filter(pk__in=under_way())
        if self.value() == "waiting":
            # A range, which an index answers on each database.
            return queryset.filter(open_job__gt=0)
        if self.value() == "failed":
            return queryset.filter(pk__in=failed_last())
        return queryset


# Conditions in the words of the indexes job_session_active and job_failures: SQLite looks for them
# word by word, and finds none with a parameter.
UNDER_WAY = "workflows_job.state IN ('queued', 'processing')"
FAILURES = "NOT workflows_job.forgotten AND workflows_job.state IN ('failed', 'timeout')"


def under_way() -> list[int]:
    """Return the sessions that have jobs under way."""
    jobs = Job.objects.extra(where=[UNDER_WAY]).order_by("session", "pk")
    return list(dict.fromkeys(jobs.values_list("session_id", flat=True)[:LOOKED_AT]))


def failed_last() -> list[int]:
    """Return the sessions whose latest job is on the list of failures, of the latest of these."""
    failures = Job.objects.extra(where=[FAILURES]).order_by("-finished_at")
    keys = dict(failures.values_list("pk", "session_id")[:LOOKED_AT])
    found: list[int] = []
    sessions = list(set(keys.values()))
    for start in range(0, len(sessions), COUNTED):
        part = Job.objects.filter(session__in=sessions[start : start + COUNTED]).order_by()
        latest = part.values("session").annotate(latest=Max("pk"))
        found += [row["session"] for row in latest if row["latest"] in keys]
    return found


class PinnedFilter(admin.SimpleListFilter):
    title = "pinned"
    parameter_name = "pinned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(pinned=True) if self.value() else queryset


@dataclass(frozen=True)
class Facts:
    """What is told of a job beside its words."""

    job: Job
    state: str
    waited: float | None
    ran: float | None
    tokens: int
    cost: float | None
    rating: Feedback | None
    # What it has said so far, while it is under way.
    words: str = ""


@dataclass
class Turn:
    """Messages that stand together: of one job, and all of them cut or none."""

    job_id: int | None
    cut: bool
    facts: Facts | None
    messages: list[Message] = field(default_factory=list)


@admin.register(Session)
class SessionAdmin(TenantAdmin):
    tells = ("shown_title",)
    list_display = (
        *("shown_title", "user", "last_state", "shown_updated", "messages_told", "tokens_told"),
        *("feedback", "shown_key"),
    )
    list_filter = (NowFilter, PinnedFilter, CreatedFilter)
    # Makes the search box appear; get_search_results() does the searching.
    search_fields = ("key",)
    search_help_text = (
        f"A user's name, or a key or its beginning (of the latest {SEARCHED:,} conversations)."
    )

    def describe(self, request: HttpRequest, keys: Sequence[int]) -> list[Any]:
        """Return sessions with what is told of them from other tables, in the order of *keys*."""
        given = Feedback.objects.filter(job__session=OuterRef("pk")).order_by()
        count = given.values("job__session").annotate(count=Count("pk")).values("count")
        jobs = Job.objects.filter(session=OuterRef("pk")).order_by("-pk")
        running = Subquery(jobs.filter(state=State.PROCESSING).values("state")[:1])
        sessions = self.get_queryset(request).annotate(
            beginning=conversations.beginning(),
            latest=Coalesce(running, Subquery(jobs.values("state")[:1])),
            ups=Subquery(count.filter(value=Feedback.Value.UP)),
            downs=Subquery(count.filter(value=Feedback.Value.DOWN)),
        )
        found = sessions.select_related("user").in_bulk(keys)
        return [found[key] for key in keys if key in found]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.strip()
        user = find_user(words) if words else None
        if user is not None:
            return queryset.filter(user=user), False
        latest = Session.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        named = queryset.filter(pk__gt=latest - SEARCHED, key__startswith=words)
        return (named if words else queryset), False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Look at other tables for the rows of the page alone: a query or two for all of them."""
        changes = super().get_changelist_instance(request)
        keys = list(changes.result_list.values_list("pk", flat=True))
        changes.result_list = rows = self.describe(request, keys)
        said = Message.objects.filter(session__in=keys).order_by().values("session")
        told = dict(said.annotate(told=Count("pk")).values_list("session", "told"))
        used = sum_tokens(keys)
        for row in rows:
            row.told, row.used = told.get(row.pk, 0), used.get(row.pk, 0)
        return changes

    @admin.display(description="title")
    def shown_title(self, session: Any) -> str:
        return conversations.title_of(session, session.beginning) or "-"

    @admin.display(description="key")
    def shown_key(self, session: Any) -> str:
        short = Truncator(session.key).chars(KEY_LENGTH)
        return format_html('<span class="pg-key" title="{}">{}</span>', session.key, short)

    @admin.display(description="last state")
    def last_state(self, session: Any) -> str:
        if session.open_job_id is not None and session.latest not in ACTIVE:
            return mark(*ASKS)
        return mark(session.latest, STATES[session.latest]) if session.latest else "-"

    @admin.display(description="messages")
    def messages_told(self, session: Any) -> str:
        return f"{session.told:,}"

    @admin.display(description="tokens")
    def tokens_told(self, session: Any) -> str:
        return f"{session.used:,}" if session.used else "-"

    @admin.display(description="updated")
    def shown_updated(self, session: Session) -> str:
        return at(session.updated_at)

    @admin.display(description="feedback")
    def feedback(self, session: Any) -> str:
        counts = ((session.ups, "up"), (session.downs, "down"))
        return ", ".join(f"{count} {word}" for count, word in counts if count) or "-"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show the conversation; nobody changes it."""
        session = self.get_object(request, object_id)
        if session is not None:
            [session] = self.describe(request, [session.pk])
        if request.method != "GET" or not self.has_view_permission(request, session):
            raise PermissionDenied
        if session is None:
            raise Http404
        may_read = may_read_texts(request.user)
        messages, older, newer = read_page(session, request.GET)
        may_open_jobs = request.user.has_perm("chatflow_workflows.view_job")
        may_follow = may_read and request.user.has_perm("chatflow_workflows.view_event")
        shown = {each.job_id for each in messages}
        active = list(find_active(session))
        words = services.shown_words(active) if may_read else {}
        recent = list(session.jobs.order_by("-pk").values_list("usage", flat=True)[: COUNTED + 1])
        documents = session.documents.defer("content").order_by("-created_at")[:DOCUMENTS]
        context = {
            **self.admin_site.each_context(request),
            "title": self.shown_title(session) if may_read else f"Conversation of {session.user}",
            "opts": self.opts,
            "session": session,
            "may_read": may_read,
            "state": self.last_state(session),
            "turns": group(messages, words, session.open_job_id),
            "older": older,
            "newer": newer,
            "under_way": [tell(job, words) for job in active if job.pk not in shown],
            "running": active[0] if active else None,
            "stream": stream_address(active[0]) if active and may_follow else "",
            "told": up_to(count_messages(session)),
            "jobs": up_to(len(recent)),
            "tokens": sum(count_tokens(usage) for usage in recent),
            "cost": sum(usage.get("cost_usd", 0) for usage in recent),
            "most": COUNTED,
            "documents": documents,
            "may_open": request.user.has_perm("chatflow_knowledge.view_document"),
            "may_open_jobs": may_open_jobs,
            "tenants": bool(conf.TENANT),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "chatflow/operations/session.html", context)


def mark(state: str, word: str) -> SafeString:
    """Return a state in its word and its colour."""
    return format_html('<span class="pg-state pg-state--{}">{}</span>', state, word)


def up_to(count: int) -> str:
    return f"{COUNTED:,}+" if count > COUNTED else f"{count:,}"


def count_messages(session: Session) -> int:
    return session.messages.order_by("-pk").values("pk")[: COUNTED + 1].count()


def count_tokens(usage: dict[str, Any]) -> int:
    return int(usage.get("input_tokens", 0) + usage.get("output_tokens", 0))


def sum_tokens(sessions: Sequence[int]) -> dict[int, int]:
    """Return by session how many tokens its jobs used."""
    tokens = [
        Coalesce(Sum(Cast(KeyTextTransform(name, "usage"), BigIntegerField())), 0)
        for name in ("input_tokens", "output_tokens")
    ]
    jobs = Job.objects.filter(session__in=sessions).order_by().values("session")
    return dict(jobs.annotate(tokens=tokens[0] + tokens[1]).values_list("session", "tokens"))


def read_page(session: Session, query: Any) -> tuple[list[Message], int | None, int | None]:
    """Return a page of messages in their order, by default the latest.

    Args:
        session: whose.
        query: with ``before`` or ``after``, the key of a message.

    Returns:
        The messages; the key before which there are older ones, and after which newer ones.
    """
    rows = session.messages.prefetch_related("attachments")
    before, after = (as_key(query.get(name)) for name in ("before", "after"))
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        page, has_newer, has_older = found[:PAGE], len(found) > PAGE, True
    else:
        if before is not None:
            rows = rows.filter(pk__lt=before)
        found = list(rows.order_by("-pk")[: PAGE + 1])
        page, has_older, has_newer = found[:PAGE][::-1], len(found) > PAGE, before is not None
    if not page:
        return [], None, None
    return page, page[0].pk if has_older else None, page[-1].pk if has_newer else None


def as_key(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def group(
    messages: Sequence[Message], words: Mapping[int, str], open_job: int | None
) -> list[Turn]:
    """Put together what belongs to one job, in the order in which it was said.

    Args:
        messages: in that order.
        words: that jobs under way have said so far, by their keys.
        open_job: the key of the job whose question is open.
    """
    jobs = Job.objects.filter(pk__in={each.job_id for each in messages if each.job_id})
    told = jobs.select_related("feedback").defer(*NOT_TOLD)
    facts = {job.pk: tell(job, words, asks=job.pk == open_job) for job in told}
    turns: list[Turn] = []
    for message in messages:
        last = turns[-1] if turns else None
        if last is None or (last.job_id, last.cut) != (message.job_id, message.cut):
            last = Turn(message.job_id, message.cut, facts.get(message.job_id or 0))
            turns.append(last)
        last.messages.append(message)
    return turns


# Wide columns that no turn tells.
NOT_TOLD = ("text", "options", "input", "response", "actions", "offers", "sources", "traceback")


def find_active(session: Session) -> QuerySet[Job]:
    """Return the session's jobs under way, the first of which runs or is the next."""
    return session.jobs.filter(state__in=ACTIVE).defer(*NOT_TOLD).order_by("pk")[:PAGE]


def tell(job: Job, words: Mapping[int, str], *, asks: bool = False) -> Facts:
    """Return what is told of a job.

    Args:
        job: it.
        words: that jobs under way have said so far, by their keys.
        asks: its question is open.
    """
    ran = job.ran_for if job.started_at else None
    if ran is not None and job.claimed_at is not None and not job.is_finished:
        ran += clock.seconds_since(job.claimed_at)
    waited = job.started_at - job.created_at if job.started_at else None
    return Facts(
        job=job,
        state=mark(*ASKS) if asks else mark(job.state, STATES[job.state]),
        waited=max(0.0, waited.total_seconds()) if waited is not None else None,
        ran=ran,
        tokens=count_tokens(job.usage),
        cost=job.usage.get("cost_usd"),
        rating=getattr(job, "feedback", None),
        words=words.get(job.pk, ""),
    )
