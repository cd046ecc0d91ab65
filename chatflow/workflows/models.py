"""The rows that are the truth: sessions, messages, jobs, their steps and their events.

The guarantees stand here as constraints, so that no code path can break them: one running job in a
session, gapless event numbers, one terminal event, one record of a step.

A foreign key has no index of its own where another one begins with its column, or where nearly all
rows have none: every new version of a row is written into all of its table's indexes.
"""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, When
from django.utils import timezone

from chatflow.workflows import clock
from chatflow.workflows.tenants import tenant_field
from chatflow.workflows.tracing import TRACE

# Characters that are kept of the name of who decided: as many as an e-mail address has at most.
NAME_LENGTH = 254


class SessionQuerySet(models.QuerySet["Session"]):
    def visible_to(self, user: Any, tenant: str) -> "SessionQuerySet":
        """The sessions that *user* may see when they act for *tenant*: their own there."""
        return self.filter(user=user, tenant=tenant)


class Session(models.Model):
    """A user's conversation, in one organisation. The client picks its key; others may too."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chatflow_sessions", db_index=False
    )
    tenant = tenant_field()
    key = models.CharField(max_length=255)
    # The job whose question the session's next message answers.
    open_job = models.ForeignKey("Job", models.SET_NULL, null=True, blank=True, related_name="+")
    # A summary of the older messages, and the id of the last message that it covers.
    summary = models.TextField(blank=True, default="", db_default="")
    summary_upto = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    # The owner's own name for it; empty: its first message stands for it.
    title = models.CharField(max_length=120, blank=True, default="", db_default="")
    pinned = models.BooleanField(default=False, db_default=False)
    # A job has ended in it since its owner read it. Sending reads.
    unread = models.BooleanField(default=False, db_default=False)
    # Grows with each change, see Database.changed(): the user's stream goes by it.
    changed = models.BigIntegerField(default=0, db_default=0)

    objects = SessionQuerySet.as_manager()

    class Meta:
        db_table = "workflows_session"
        constraints: ClassVar = [
            # Serves the queries of send and history too.
            models.UniqueConstraint(
                fields=["user", "tenant", "key"], name="session_user_tenant_key"
            ),
        ]
        indexes: ClassVar = [
            # The list of a user's conversations.
            models.Index(
                "user",
                "tenant",
                F("pinned").desc(),
                F("updated_at").desc(),
                F("id").desc(),
                name="session_list",
            ),
            # The changes that a user's stream has not told yet.
            models.Index(fields=["user", "changed"], name="session_changes"),
            # The admin's list of those that are pinned: few, so others' writes don't touch it.
            models.Index(fields=["id"], name="session_pinned", condition=Q(pinned=True)),
        ]

    def __str__(self) -> str:
        return self.key


class DeletedSession(models.Model):
    """What is kept of a deleted conversation for a while, for streams that were away."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    tenant = tenant_field()
    key = models.CharField(max_length=255)
    changed = models.BigIntegerField()
    deleted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "workflows_deletedsession"
        indexes: ClassVar = [
            models.Index(fields=["user", "changed"], name="deleted_changes"),
        ]

    def __str__(self) -> str:
        return self.key


class State(models.TextChoices):
    QUEUED = "queued"  # Waits for a worker, or for an earlier job of its session.
    PROCESSING = "processing"  # A worker holds its lease.
    COMPLETED = "completed"  # It has responded, perhaps with a question.
    FAILED = "failed"  # It raised, or its worker was lost too often.
    TIMEOUT = "timeout"  # It ran longer than its workflow may.
    CANCELLED = "cancelled"  # Its user, or a newer message, stopped it.


ACTIVE = (State.QUEUED, State.PROCESSING)
TERMINAL = (State.COMPLETED, State.FAILED, State.TIMEOUT, State.CANCELLED)
UNSUCCESSFUL = (State.FAILED, State.TIMEOUT)


def make_public_id() -> str:
    """Return a new public job id: ``workflow_`` and 32 random hex digits."""
    return f"workflow_{uuid.uuid4().hex}"


def job_topic(*, is_async: bool) -> str:
    """Return the doorbell's topic for jobs of one kind: each kind has workers of its own."""
    return "async_jobs" if is_async else "jobs"


# Among a job's options: what the endpoint that its message came by keeps of it. No workflow goes by
# it; the name is that of OpenAI's Responses.
NOTES = "responses"
# Likewise: which member of the staff sent its message for the user, and in place of which job's.
STAFF = "staff"


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: Any, tenant: str) -> "JobQuerySet":
        """The jobs that *user* may see when they act for *tenant*: their own there."""
        return self.filter(user=user, tenant=tenant)

    def active(self) -> "JobQuerySet":
        return self.filter(state__in=ACTIVE)

    def failures(self) -> "JobQuerySet":
        """The list of failures: jobs that failed or timed out, neither retried nor forgotten."""
        return self.filter(state__in=UNSUCCESSFUL, forgotten=False)


class Job(models.Model):
    """One execution of a workflow; one chat turn is one job. It is also the queue's message."""

    public_id = models.CharField(max_length=41, unique=True, default=make_public_id)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chatflow_jobs", db_index=False
    )
    # Its session's. Whatever the job does, it does for that organisation.
    tenant = tenant_field()
    session = models.ForeignKey(Session, models.CASCADE, related_name="jobs")

    # Its input.
    workflow = models.CharField(max_length=100)
    # The client named the workflow, or the question that it answers: routing has no choice.
    explicit = models.BooleanField(default=False)
    text = models.TextField(help_text="The user's message in this turn.")
    options = models.JSONField(default=dict, blank=True)
    # The workflow's input, where an action started it.
    input = models.JSONField(null=True, blank=True)
    mode = models.CharField(max_length=5, choices=[("sync", "sync"), ("async", "async")])
    # An earlier job of the session was under way, so that it must be routed once more.
    waited = models.BooleanField(default=False)
    # The job that began this conversation with the workflow; its steps serve all its turns.
    # Null in that job itself.
    root = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, related_name="turns", db_index=False
    )
    retry_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="retries", db_index=False
    )

    # When, where and by whom it is run.
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    queue = models.CharField(max_length=50, default="default")
    priority = models.SmallIntegerField(default=0)
    # Within its queue, kind and priority the lowest is next; see lifecycle.turns.
    turn = models.BigIntegerField(default=0, db_default=0)
    # Its workflow is a coroutine function: a worker runs it beside others.
    is_async = models.BooleanField(default=False, db_default=False)
    available_at = models.DateTimeField(default=timezone.now)
    # A web process runs it; a cluster takes it over only if that process is lost.
    inline = models.BooleanField(default=False)
    # The fencing token: every claim raises it, every write of the running attempt names it.
    attempt = models.PositiveIntegerField(default=0)
    # How many workers were lost over it, and how many attempts raised.
    lost = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    # Who holds it: an identity of its own for each start of a process; see lifecycle.Worker. A
    # machine's name and a pid tell people the same.
    worker = models.CharField(max_length=50, blank=True, default="", db_default="")
    host = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    # Seconds that earlier attempts ran; the deadline counts them.
    ran_for = models.FloatField(default=0)
    # Set by cancel; the worker that holds the lease obeys it.
    cancel_code = models.CharField(max_length=20, blank=True)
    unique_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    body_hash = models.CharField(max_length=64, blank=True)

    # Its progress.
    last_seq = models.PositiveIntegerField(default=0)
    progress = models.PositiveSmallIntegerField(default=0)
    progress_message = models.CharField(max_length=500, blank=True)
    # Characters of streamed text that earlier turns of the same conversation have shown.
    text_base = models.PositiveIntegerField(default=0)

    # Its outcome.
    response = models.TextField(blank=True)
    actions = models.JSONField(default=list, blank=True)
    # The same in full, by id, with the effects of the actions. No client sees them.
    offers = models.JSONField(null=True, blank=True)
    sources = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    usage = models.JSONField(default=dict, blank=True)
    awaiting = models.JSONField(null=True, blank=True)
    code = models.CharField(max_length=50, blank=True)
    error = models.TextField(blank=True, help_text="The sentence that the client is shown.")
    traceback = models.TextField(blank=True, help_text="For the admin only.")
    forgotten = models.BooleanField(default=False, help_text="Off the list of failures.")

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "workflows_job"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["session"],
                condition=Q(state=State.PROCESSING),
                name="job_one_running_per_session",
            ),
            models.UniqueConstraint(
                fields=["user", "tenant", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="job_tenant_idempotency_key",
            ),
            models.UniqueConstraint(
                fields=["workflow", "tenant", "unique_key"],
                condition=Q(state__in=ACTIVE, unique_key__isnull=False),
                name="job_one_active_per_tenant_key",
            ),
            models.CheckConstraint(condition=Q(progress__lte=100), name="job_progress_percent"),
            models.CheckConstraint(
                condition=Q(state__in=ACTIVE, finished_at__isnull=True)
                | Q(state__in=TERMINAL, finished_at__isnull=False),
                name="job_finished_at_its_end",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.PROCESSING) | Q(lease_until__isnull=False),
                name="job_processing_has_lease",
            ),
        ]
        indexes: ClassVar = [
            # lifecycle.claim and turns: the next job of a queue, best priority first; and nothing
            # else: see claims.IN_QUEUE.
            models.Index(
                "queue",
                "is_async",
                F("priority").desc(),
                "turn",
                "id",
                name="job_next_in_queue",
                condition=Q(Case(When(state=State.QUEUED, then=True), default=False))
                & Q(inline=False),
            ),
            # The same for all queues alike.
            models.Index(
                "is_async",
                F("priority").desc(),
                "turn",
                "id",
                name="job_next_of_all",
                condition=Q(Case(When(~Q(state=State.QUEUED), then=False), default=True))
                & Q(inline=False),
            ),
            # lifecycle.turns: the last turn of a user.
            models.Index(
                fields=["user", "queue", "is_async", "priority", "turn"],
                name="job_turns",
                condition=Q(state=State.QUEUED, inline=False, turn__gte=0),
            ),
            # lifecycle.seconds_to_next: when a delayed job becomes available. And nothing else: for
            # any other query about a job that is queued PostgreSQL would read all of it.
            models.Index(
                fields=["available_at"],
                name="job_delayed",
                condition=Q(state=State.QUEUED, available_at__gt=F("created_at")),
            ),
            # lifecycle.reap: leases that ran out.
            models.Index(
                fields=["lease_until"],
                name="job_lease",
                condition=Q(state__in=ACTIVE, lease_until__isnull=False),
            ),
            # lifecycle.claim, services.start, history: a session's jobs under way, in order.
            models.Index(
                fields=["session", "id"], name="job_session_active", condition=Q(state__in=ACTIVE)
            ),
            # The list of a user's jobs.
            models.Index(fields=["user", "tenant", "-created_at"], name="job_user_recent"),
            # The turns of a conversation, the retries of a failure.
            models.Index(fields=["root"], name="job_root", condition=Q(root__isnull=False)),
            models.Index(
                fields=["retry_of"], name="job_retry_of", condition=Q(retry_of__isnull=False)
            ),
            # queue_failed: the latest failures.
            models.Index(
                fields=["-finished_at"],
                name="job_failures",
                condition=Q(state__in=UNSUCCESSFUL, forgotten=False),
            ),
            # queue_prune: jobs that ended before a moment.
            models.Index(
                fields=["finished_at"],
                name="job_finished",
                condition=Q(finished_at__isnull=False),
            ),
            # services.takes_long: the latest runs of a workflow.
            models.Index(
                fields=["workflow", "-id"],
                name="job_durations",
                condition=Q(state=State.COMPLETED),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_unsuccessful(self) -> bool:
        """Whether it has ended without a response."""
        return self.is_finished and self.state != State.COMPLETED

    @property
    def flags(self) -> dict[str, Any]:
        """The options that the answer to the job's question takes over, or an action of it."""
        kept = (NOTES, TRACE, STAFF)
        return {name: value for name, value in self.options.items() if name not in kept}

    @property
    def topic(self) -> str:
        """The topic of the doorbell's that is rung when it can be claimed."""
        return job_topic(is_async=self.is_async)

    @property
    def conversation_id(self) -> int:
        """The primary key of the job that began this conversation with the workflow."""
        return self.root_id or self.pk


class Message(models.Model):
    """One turn of a session."""

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"

    session = models.ForeignKey(Session, models.CASCADE, related_name="messages", db_index=False)
    job = models.ForeignKey(
        Job, models.SET_NULL, null=True, blank=True, related_name="chat_messages"
    )
    role = models.CharField(max_length=10, choices=Role.choices)
    content = models.TextField()
    actions = models.JSONField(default=list, blank=True)
    sources = models.JSONField(default=list, blank=True)
    # False: sent under ``memory: false``, yet in the history, as a question or the answer to one.
    remembered = models.BooleanField(default=True, db_default=True)
    # An edit of it, or of an earlier message, has taken its place: only the export still tells.
    cut = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "workflows_message"
        indexes: ClassVar = [
            # history, memory.window: the latest messages of a session.
            models.Index(fields=["session", "id"], name="message_session"),
        ]

    def __str__(self) -> str:
        # Titles and logs have it: no words.
        return f"{self.role} {self.pk}"


class Step(models.Model):
    """The record of a step: its result, so that it never runs again."""

    # The first job of the conversation: a later turn finds the records of the earlier ones. Of a
    # step that a retry does again it is that retry, which no run looks for: so it is kept, unused.
    root = models.ForeignKey(Job, models.CASCADE, related_name="all_steps", db_index=False)
    job = models.ForeignKey(Job, models.CASCADE, related_name="steps")
    name = models.CharField(max_length=200)
    # 1 for the first step of that name, 2 for the second.
    occurrence = models.PositiveIntegerField()
    # A question is recorded when it is asked, and finished when it is answered.
    question = models.BooleanField(default=False)
    finished = models.BooleanField(default=True)
    result = models.JSONField(null=True)
    # Characters of streamed text in front of a question, over the whole conversation.
    text_length = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField()
    duration_ms = models.PositiveIntegerField(default=0)
    # The usage of a request to a model: model, input_tokens, output_tokens, cost_usd where known.
    usage = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "workflows_step"
        constraints: ClassVar = [
            # Serves the runner's query for a conversation's steps too.
            models.UniqueConstraint(fields=["root", "name", "occurrence"], name="step_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.occurrence})"


class Feedback(models.Model):
    """What a job's owner thinks of its answer. A table of its own: jobs are wide, and hot."""

    class Value(models.TextChoices):
        UP = "up"
        DOWN = "down"

    job = models.OneToOneField(Job, models.CASCADE, related_name="feedback")
    value = models.CharField(max_length=4, choices=Value.choices)
    comment = models.TextField(blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "workflows_feedback"
        verbose_name_plural = "feedback"

    def __str__(self) -> str:
        return str(self.value)


class ActionUse(models.Model):
    """An offered action that was used: once only."""

    action_id = models.CharField(max_length=39, unique=True)
    # Its index serves history: which actions of these jobs were used.
    offered_by = models.ForeignKey(Job, models.CASCADE, related_name="action_uses")
    # The job that it started.
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "workflows_actionuse"

    def __str__(self) -> str:
        return self.action_id


def make_approval_id() -> str:
    """Return a new public approval id: ``approval_`` and 32 random hex digits."""
    return f"approval_{uuid.uuid4().hex}"


class ApprovalQuerySet(models.QuerySet["ApprovalRequest"]):
    def visible_to(self, user: Any, tenant: str) -> "ApprovalQuerySet":
        """The requests that *user* may decide when they act for *tenant*: of their own there."""
        return self.filter(user=user, session__tenant=tenant)

    def open(self) -> "ApprovalQuerySet":
        """The requests that can be decided: the session's next message would be the answer."""
        return self.filter(decided_at=None, session__open_job=F("job"))


class ApprovalRequest(models.Model):
    """A workflow's request for approval, and who decided it, when, how and why.

    It outlives the job, which queue_prune deletes.
    """

    class Via(models.TextChoices):
        CHAT = "chat"  # The owner's next message.
        API = "api"  # The owner, by a request of its own.
        ADMIN = "admin"  # A member of the staff.
        EXPIRY = "expiry"  # Nobody decided in time.

    public_id = models.CharField(max_length=41, unique=True, default=make_approval_id)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chatflow_approval_requests"
    )
    session = models.ForeignKey(Session, models.CASCADE, related_name="approval_requests")
    # The job that asked, or asked again: while it is its session's open one, so is the request.
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="approval_requests")
    workflow = models.CharField(max_length=100)
    prompt = models.TextField()
    details = models.JSONField(default=dict, blank=True)
    # The JSON schema of the answer that goes with an approval; null where none is wanted.
    schema = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    approved = models.BooleanField(null=True)
    reason = models.TextField(blank=True)
    answer = models.JSONField(null=True, blank=True)
    # A name, not a key: who decided stays on record when the account is gone.
    by = models.CharField(max_length=NAME_LENGTH, blank=True)
    via = models.CharField(max_length=6, choices=Via.choices, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        db_table = "workflows_approvalrequest"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(decided_at__isnull=True, approved__isnull=True)
                | Q(decided_at__isnull=False, approved__isnull=False),
                name="approval_decided_at_once",
            ),
        ]
        indexes: ClassVar = [
            # decisions.pending: the requests that a user may decide.
            models.Index(
                fields=["user", "id"],
                name="approval_undecided",
                condition=Q(decided_at__isnull=True),
            ),
            # The admin's list, by state: what may still be decided, the most urgent first;
            models.Index(
                fields=["expires_at"],
                name="approval_urgent",
                condition=Q(decided_at__isnull=True),
            ),
            # what somebody decided, and what nobody did;
            models.Index(
                fields=["approved", "id"],
                name="approval_verdict",
                condition=Q(decided_at__isnull=False) & ~Q(via="expiry"),
            ),
            models.Index(fields=["id"], name="approval_expired", condition=Q(via="expiry")),
            # and by workflow.
            models.Index(fields=["workflow", "id"], name="approval_workflow"),
        ]

    def __str__(self) -> str:
        return self.public_id


class DailyUsage(models.Model):
    """The requests and tokens that a user's jobs used on one day (UTC), for the daily budgets."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    day = models.DateField()
    requests = models.PositiveIntegerField(default=0)
    # Including those reserved for requests under way.
    tokens = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "workflows_dailyusage"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "day"], name="daily_usage_once"),
        ]
        indexes: ClassVar = [
            # The page of usage: who is near a budget today. The day of a row never changes.
            models.Index(fields=["day"], name="daily_usage_day"),
        ]
        verbose_name_plural = "usage"

    def __str__(self) -> str:
        return f"{self.user_id} {self.day}"


class Used(models.Model):
    """What a user's jobs of one workflow used of one model in some time."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    workflow = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    requests = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    # In US dollars, of the requests whose price is known; and how many have none.
    cost = models.DecimalField(max_digits=18, decimal_places=8, default=0)
    unpriced = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class UsageFigures(Used):
    """What was used on one day (UTC), rolled up from the steps: see store.usage_figures."""

    day = models.DateField()

    class Meta:
        db_table = "workflows_usagefigures"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "day", "workflow", "model"], name="usage_figures_once"
            ),
        ]
        indexes: ClassVar = [
            # The page of usage: all that was used in some days.
            models.Index(fields=["day"], name="usage_figures_day"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.day} {self.workflow} {self.model}"


class UsageSums(Used):
    """The days of a week, or of a month, that is over: a year of these is quick to add up."""

    class Span(models.TextChoices):
        WEEK = "week"  # From Monday on.
        MONTH = "month"

    span = models.CharField(max_length=5, choices=Span.choices)
    # Its first day.
    since = models.DateField()

    class Meta:
        db_table = "workflows_usagesums"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "since", "span", "workflow", "model"], name="usage_sums_once"
            ),
        ]
        indexes: ClassVar = [
            # The page of usage: all that was used in some weeks, or months.
            models.Index(fields=["span", "since"], name="usage_sums_since"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.span} {self.since} {self.workflow} {self.model}"


class UsageMark(models.Model):
    """Up to which ended job the usage is in UsageFigures. There is one row."""

    finished_at = models.DateTimeField()
    # Of the jobs that ended at that very moment, the last one that is in.
    job = models.BigIntegerField(default=0)
    # The weeks and months that end up to this day, which is none of theirs, are in UsageSums.
    summed_upto = models.DateField(null=True)

    class Meta:
        db_table = "workflows_usagemark"

    def __str__(self) -> str:
        return f"{self.finished_at} {self.job}"


class Event(models.Model):
    """One thing that happened to a job. Rows are only ever added."""

    class Type(models.TextChoices):
        STARTED = "started"  # An attempt began.
        PROGRESS = "progress"  # The workflow reported its progress.
        STEP_STARTED = "step_started"
        STEP_FINISHED = "step_finished"
        DELTA = "delta"  # More words of the response.
        RESTARTED = "restarted"  # Words are taken back: a half-streamed step starts over.
        COMPLETED = "completed"
        FAILED = "failed"
        TIMEOUT = "timeout"
        CANCELLED = "cancelled"

    job = models.ForeignKey(Job, models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    type = models.CharField(max_length=20, choices=Type.choices)
    progress = models.PositiveSmallIntegerField()
    message = models.CharField(max_length=500, blank=True)
    data = models.JSONField(default=dict)
    attempt = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "workflows_event"
        constraints: ClassVar = [
            # Serves follow() too: the events after a cursor, in order.
            models.UniqueConstraint(fields=["job", "seq"], name="event_job_seq"),
            models.UniqueConstraint(
                fields=["job"],
                condition=Q(type__in=TERMINAL),
                name="event_one_terminal_per_job",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"

    @property
    def is_terminal(self) -> bool:
        return self.type in TERMINAL


class TaskStatus(models.TextChoices):
    """The states of a task run, by the names that django.tasks has for them."""

    READY = "READY"  # Waits for a worker.
    RUNNING = "RUNNING"  # A worker holds its lease.
    FAILED = "FAILED"  # It raised, or its worker was lost too often.
    SUCCESSFUL = "SUCCESSFUL"  # It has returned.


def make_task_id() -> str:
    """Return a new public id of a task run: ``task_`` and 32 random hex digits."""
    return f"task_{uuid.uuid4().hex}"


# A run waits for a worker.
WAITING = Q(status=TaskStatus.READY, delayed=False)


class TaskRun(models.Model):
    """A task of django.tasks that was enqueued, and its result.

    It is no job: it has no user, no session, no steps and no events.
    """

    public_id = models.CharField(max_length=37, unique=True, default=make_task_id)

    # Its input: the backend by its alias in TASKS, the function by its dotted name.
    backend = models.CharField(max_length=100)
    path = models.TextField()
    args = models.JSONField(default=list, blank=True)
    kwargs = models.JSONField(default=dict, blank=True)

    # When and by whom it is run.
    status = models.CharField(max_length=10, choices=TaskStatus.choices, default=TaskStatus.READY)
    queue = models.CharField(max_length=50, default="default")
    priority = models.SmallIntegerField(default=0)
    run_after = models.DateTimeField(null=True, blank=True)
    # Whether it still waits for that moment, and not for a worker.
    delayed = models.BooleanField(default=False)
    # The fencing token, as in a job.
    attempt = models.PositiveIntegerField(default=0)
    # How many workers were lost over it.
    lost = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    # Who holds it, and all who have held it: see lifecycle.Worker.
    worker = models.CharField(max_length=50, blank=True, default="")
    worker_ids = models.JSONField(default=list, blank=True)

    # Its outcome: JSON, or the class and the traceback of what was raised.
    return_value = models.JSONField(null=True, blank=True)
    errors = models.JSONField(default=list, blank=True)

    enqueued_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True, blank=True)
    last_attempted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "workflows_taskrun"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(
                    status__in=(TaskStatus.READY, TaskStatus.RUNNING), finished_at__isnull=True
                )
                | Q(
                    status__in=(TaskStatus.FAILED, TaskStatus.SUCCESSFUL),
                    finished_at__isnull=False,
                ),
                name="task_run_finished_at_its_end",
            ),
            models.CheckConstraint(
                condition=~Q(status=TaskStatus.RUNNING) | Q(lease_until__isnull=False),
                name="task_run_running_has_lease",
            ),
        ]
        indexes: ClassVar = [
            # task_runs.claim: the next one of a queue, best priority first.
            models.Index(
                "queue",
                F("priority").desc(),
                "id",
                name="task_run_next_in_queue",
                condition=Q(Case(When(WAITING, then=True), default=False)),
            ),
            # The same for all queues alike.
            models.Index(
                F("priority").desc(),
                "id",
                name="task_run_next_of_all",
                condition=Q(Case(When(~WAITING, then=False), default=True)),
            ),
            # Likewise: those whose moment has come.
            models.Index(
                fields=["run_after"],
                name="task_run_delayed",
                condition=Q(delayed=True),
            ),
            # task_runs.expired: leases that ran out.
            models.Index(
                fields=["lease_until"],
                name="task_run_lease",
                condition=Q(status=TaskStatus.RUNNING),
            ),
            # queue_prune: those that ended before a moment.
            models.Index(
                fields=["finished_at"],
                name="task_run_finished",
                condition=Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id


class Cluster(models.Model):
    """A running cluster, as it reports itself: its sentinel renews the row every few seconds."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    # Where the pid is that of this process only, and when it began there: see cluster.processes.
    place = models.CharField(max_length=150, blank=True, default="", db_default="")
    began = models.BigIntegerField(null=True, blank=True)
    workers = models.PositiveSmallIntegerField()
    # The queues that it serves, none for all; and its workers' processes, as cluster.presence
    # describes them. Null where it runs code that says neither.
    queues = models.JSONField(null=True, blank=True)
    processes = models.JSONField(null=True, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "workflows_cluster"

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Figures(models.Model):
    """How the jobs of a queue and a workflow fared that ended within a minute, or within an hour.

    They are counted from the jobs once, by store.figures, and outlive them. The minutes are kept
    for some days; an hour is the sum of its minutes.
    """

    class Span(models.IntegerChoices):
        """For how many seconds a row stands."""

        MINUTE = 60
        HOUR = 3600

    span = models.PositiveSmallIntegerField(choices=Span.choices)
    since = models.DateTimeField()
    queue = models.CharField(max_length=50)
    workflow = models.CharField(max_length=100)

    # How they ended.
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    timeout = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    # How many workers they lost, and how many of their attempts raised and were tried again.
    lost = models.PositiveIntegerField(default=0)
    retried = models.PositiveIntegerField(default=0)
    # For how long they waited for a worker, and ran: see histograms.py. And both in seconds.
    waited = models.JSONField(default=list)
    ran = models.JSONField(default=list)
    seconds_waited = models.FloatField(default=0)
    seconds_ran = models.FloatField(default=0)
    # What they used of models.
    requests = models.PositiveBigIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cost_usd = models.FloatField(default=0)

    class Meta:
        db_table = "workflows_figures"
        verbose_name = "figures"
        # As the list of the admin's pages calls the page that shows them.
        verbose_name_plural = "overview"
        constraints: ClassVar = [
            # Serves those who read a stretch of time, too.
            models.UniqueConstraint(
                fields=["span", "since", "queue", "workflow"], name="figures_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} in {self.queue}: {self.Span(self.span).label} from {self.since}"
