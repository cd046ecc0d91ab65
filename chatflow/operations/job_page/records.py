"""What a job's page reads: a fixed number of queries, each of so many rows at most."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from chatflow.operations.job_page.timeline import TYPES
from chatflow.workflows import clock, services
from chatflow.workflows.models import (
    STAFF,
    ActionUse,
    ApprovalRequest,
    Event,
    Job,
    Message,
    State,
    Step,
)

# Events of steps and attempts that are read, and steps.
MOST = 4000
# Rows of the log, and of a page of the whole one; turns, and messages before and behind it.
LOG = 100
WHOLE_LOG = 250
TURNS = 50
AROUND = 6
# Later jobs of a session that are looked through for one that was sent in a job's place.
LATER = 100
# Frames that one request of the replay brings.
FRAMES = 2000
# Columns that may be long, and that no list shows.
LONG = ("response", "actions", "offers", "sources", "metadata", "awaiting", "traceback", "input")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What the one who looks may see and do.

    Args:
        texts: the words of users and models.
        steps: the records of steps.
        events: the log.
        messages: the conversation beside the job's own turn.
        acts: what members of the staff did.
        operate: cancel, retry, send again.
        decide: answer and approve for the user.
    """

    texts: bool
    steps: bool
    events: bool
    messages: bool
    acts: bool
    operate: bool
    decide: bool


@dataclass(kw_only=True)
class Records:
    """All that the page shows.

    Args:
        job: with its user, session, root and retried job.
        now: by the database's clock.
        events: of the timeline, the latest.
        steps: the latest that the job has recorded; without results.
        log: a page of the events of all types, by default the latest.
        words: that were streamed, and stand; of a completed job its response has them.
        place: in the queue.
        before: the messages in front of the job's own.
        own: those of the job.
        after: those behind it.
        turns: the other jobs of its conversation with the workflow, retries too.
        started_by: the job whose action began this one.
        started: those that its own actions began.
        sent_instead: what was sent in its place, in other words.
        approval: the request for approval that is open.
    """

    job: Job
    now: datetime
    events: list[Event] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    log: list[Event] = field(default_factory=list)
    words: str = ""
    place: int | None = None
    before: list[Message] = field(default_factory=list)
    own: list[Message] = field(default_factory=list)
    after: list[Message] = field(default_factory=list)
    turns: list[Job] = field(default_factory=list)
    started_by: Job | None = None
    started: list[Job] = field(default_factory=list)
    sent_instead: list[Job] = field(default_factory=list)
    approval: ApprovalRequest | None = None

    @property
    def asks(self) -> bool:
        """Whether the job's question is open."""
        return self.job.awaiting is not None and self.job.session.open_job_id == self.job.pk


def find_job(jobs: QuerySet[Job], key: str) -> Job | None:
    """Return the job of that primary key, with all that the page names of it."""
    rows = jobs.select_related("user", "session", "root", "retry_of", "feedback")
    return rows.filter(pk=key).first() if key.isdecimal() and len(key) < 19 else None


def read(job: Job, sight: Sight, *, whole: bool = False, before: int | None = None) -> Records:
    """Return what the page shows of a job.

    Args:
        job: of find_job().
        sight: what may be seen; nothing else is read.
        whole: more of the log than its latest part.
        before: the ``seq`` in front of which that ends; None for the latest.
    """
    found = Records(job=job, now=clock.now())
    if sight.events:
        log = job.events.order_by("-seq")
        found.events = _turned(log.filter(type__in=TYPES)[:MOST])
        upto = log if before is None else log.filter(seq__lt=before)
        found.log = _turned(upto[: WHOLE_LOG if whole else LOG])
    if sight.steps:
        found.steps = _turned(job.steps.defer("result").order_by("-pk")[:MOST])
    if sight.texts and job.state != State.COMPLETED:
        found.words = services.shown_words([job]).get(job.pk, "")
    found.place = services.queue_position(job)
    found.own = list(job.chat_messages.order_by("pk")[:LOG])
    if sight.messages and sight.texts:
        _read_around(found)
    _read_lineage(found)
    if found.asks and job.awaiting and job.awaiting.get("kind") == "approval":
        found.approval = job.approval_requests.open().select_related("session", "user").first()
    return found


def read_results(steps: Sequence[Step]) -> dict[int, Any]:
    """Return what steps have recorded, by their primary keys."""
    keys = [step.pk for step in steps]
    return dict(Step.objects.filter(pk__in=keys).values_list("pk", "result"))


def read_frames(job: Job, after: int) -> list[Event]:
    """Return the next events of a job's whole log.

    Args:
        job: it.
        after: the ``seq`` that they come after.
    """
    return list(job.events.filter(seq__gt=after).order_by("seq")[:FRAMES])


def _turned(rows: Any) -> list[Any]:
    return list(rows)[::-1]


def _read_around(found: Records) -> None:
    """Read what was said before and after."""
    messages = Message.objects.filter(session=found.job.session_id)
    own = [row.pk for row in found.own]
    # A job without messages of its own was sent under `memory: false`, or is a retry.
    moment = Q(pk__lt=own[0]) if own else Q(created_at__lt=found.job.created_at)
    later = Q(pk__gt=own[-1]) if own else Q(created_at__gt=found.job.created_at)
    found.before = _turned(messages.filter(moment).order_by("-pk")[:AROUND])
    found.after = list(messages.filter(later).exclude(pk__in=own).order_by("pk")[:AROUND])


def _read_lineage(found: Records) -> None:
    job, root = found.job, found.job.conversation_id
    others = Job.objects.filter(Q(pk=root) | Q(root=root)).exclude(pk=job.pk)
    found.turns = _turned(others.defer(*LONG).order_by("-pk")[:TURNS])
    uses = ActionUse.objects.select_related("job", "offered_by")
    # Both in one query: what began this conversation, and what this job's own actions began.
    for use in uses.filter(Q(job=root) | Q(offered_by=job)).order_by("pk")[:TURNS]:
        if use.job_id == root:
            found.started_by = use.offered_by
        elif use.job is not None:
            found.started.append(use.job)
    later = Job.objects.filter(session=job.session_id, pk__gt=job.pk).order_by("pk")
    for other in later.defer(*LONG)[:LATER]:
        note = other.options.get(STAFF) or {}
        if note.get("instead_of") == job.public_id:
            found.sent_instead.append(other)
