"""Taking the words of what is old away, by rule; figures, states and times stay.

A walk goes up the keys in small transactions and begins where the last one stopped. What may not be
touched yet, because work goes on or a question is open, it keeps for the next time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseError
from django.db.models import Case, Q, QuerySet, Value, When

from chatflow.workflows.knowledge.models import Attachment, Document
from chatflow.workflows.models import (
    ACTIVE,
    NOTES,
    TERMINAL,
    ApprovalRequest,
    Event,
    Feedback,
    Job,
    Message,
    Session,
    Step,
)
from chatflow.workflows.store.database import Fault, get_database
from chatflow.workflows.store.pruning import Pace
from chatflow.workflows.texts import REMOVED

# Rows of one transaction: a job has hundreds of events.
JOBS = 10
MESSAGES = 100
FILES = 10


@dataclass
class Mark:
    """How far a walk has come.

    Args:
        upto: the last key that it has looked at.
        later: keys up to there that are still to be done.
    """

    upto: int = 0
    later: list[int] = field(default_factory=list)


def redact_jobs(before: datetime, mark: Mark) -> Iterator[int]:
    """Take the words of conversations with workflows that ended before a moment.

    Args:
        before: the moment.
        mark: where to begin; it is moved on.

    Yields:
        After each transaction, how many jobs were done in it.
    """
    return _walk(Job.objects.all(), before, mark, _redact_jobs, JOBS)


def redact_messages(before: datetime, mark: Mark) -> Iterator[int]:
    """Take the words of messages of before a moment, the names of their files, and summaries.

    Args:
        before: the moment.
        mark: as for redact_jobs().

    Yields:
        After each transaction, how many messages were done in it.
    """
    return _walk(Message.objects.all(), before, mark, _redact_messages, MESSAGES)


def delete_files(before: datetime) -> int:
    """Delete the files that were brought to conversations before a moment; return how many."""
    old = Document.objects.filter(session__isnull=False, created_at__lt=before)
    idle = old.exclude(session__in=_busy()).order_by("pk")
    count, pace = 0, Pace()
    while keys := list(idle.values_list("pk", flat=True)[:FILES]):
        with pace.transaction():
            Document.objects.filter(pk__in=keys).delete()
        count += len(keys)
        pace.rest()
    return count


def _walk(
    rows: "QuerySet[Any]",
    before: datetime,
    mark: Mark,
    redact: Callable[[list[int], datetime], set[int]],
    batch: int,
) -> Iterator[int]:
    pace = Pace()
    for keys, upto in _batches(rows, before, mark, batch):
        done: set[int] = set()
        try:
            with pace.transaction():
                done = redact(keys, before)
        except DatabaseError as error:
            # Where somebody else is in the way, it is for the next time.
            if get_database().fault(error) is not Fault.CONFLICT:
                raise
        left = (set(mark.later) | set(keys)) - done
        mark.upto, mark.later = upto, sorted(left)
        yield len(done)
        pace.rest()


def _batches(
    rows: "QuerySet[Any]", before: datetime, mark: Mark, batch: int
) -> Iterator[tuple[list[int], int]]:
    later, upto = mark.later, mark.upto
    for start in range(0, len(later), batch):
        yield later[start : start + batch], upto
    while True:
        found = rows.filter(pk__gt=upto).order_by("pk").values_list("pk", "created_at")[:batch]
        keys = []
        for key, created_at in found:
            if created_at >= before:
                break
            keys.append(key)
        if not keys:
            return
        upto = keys[-1]
        yield keys, upto


def _redact_jobs(keys: list[int], before: datetime) -> set[int]:
    jobs = list(Job.objects.filter(pk__in=keys).values_list("pk", "root_id"))
    roots = {key: root or key for key, root in jobs}
    # A conversation shares its steps: it goes as a whole.
    turns = Q(pk__in=roots.values()) | Q(root__in=roots.values())
    live = Job.objects.filter(turns).filter(
        Q(finished_at=None) | Q(finished_at__gte=before) | Q(pk__in=_open_questions())
    )
    kept = {root or key for key, root in live.values_list("pk", "root_id")}
    chosen = [key for key, root in roots.items() if root not in kept]
    if chosen:
        _empty_jobs(chosen)
        # Those of the whole conversation, as it has ended, and those that its retries set aside.
        ended = {roots[key] for key in chosen}
        steps = Step.objects.filter(Q(root__in=ended) | Q(root__root__in=ended))
        Step.objects.filter(pk__in=list(steps.values_list("pk", flat=True))).update(result=None)
    gone = set(keys) - set(roots)
    return gone | set(chosen)


def _empty_jobs(keys: list[int]) -> None:
    jobs = list(Job.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
    for job in jobs:
        job.options = _kept_options(job.options)
        job.text, job.response = REMOVED, REMOVED if job.response else ""
        job.error, job.traceback, job.progress_message = REMOVED if job.error else "", "", ""
        job.actions, job.sources, job.metadata = [], [], {}
        job.input = job.offers = job.awaiting = None
    names = ("options", "text", "response", "error", "traceback", "progress_message")
    values = ("actions", "sources", "metadata", "input", "offers", "awaiting")
    Job.objects.bulk_update(jobs, [*names, *values])
    events = Event.objects.filter(job__in=keys)
    events.filter(type=Event.Type.DELTA).update(data={"delta": ""})
    events.filter(type=Event.Type.PROGRESS).update(data={"said": [0, ""]})
    events.exclude(message="").update(message="")
    last = list(events.filter(type__in=TERMINAL))
    for event in last:
        event.data = _kept_data(event.data)
    Event.objects.bulk_update(last, ["data"])
    _empty_approvals(ApprovalRequest.objects.filter(job__in=keys))
    Feedback.objects.filter(job__in=keys).update(comment="")


def redact_approvals(before: datetime) -> None:
    """Take the words of approvals of before a moment whose jobs are gone."""
    _empty_approvals(ApprovalRequest.objects.filter(job=None, created_at__lt=before))


def _empty_approvals(approvals: "QuerySet[ApprovalRequest]") -> None:
    words: dict[str, Any] = {"prompt": REMOVED, "details": {}, "schema": None, "reason": ""}
    approvals.exclude(prompt=REMOVED).update(**words, answer=None)


def _redact_messages(keys: list[int], before: datetime) -> set[int]:
    busy = Message.objects.filter(pk__in=keys).filter(
        Q(job__state__in=ACTIVE) | Q(job__in=_open_questions())
    )
    done = set(keys) - set(busy.values_list("pk", flat=True))
    chosen = Message.objects.filter(pk__in=done)
    touched = set(chosen.values_list("session_id", flat=True))
    words = Case(When(content="", then=Value("")), default=Value(REMOVED))
    chosen.exclude(content=REMOVED).update(content=words, actions=[], sources=[])
    Attachment.objects.filter(message__in=done).update(name=REMOVED)
    sessions = Session.objects.filter(pk__in=touched)
    sessions.filter(summary_upto__lte=max(keys)).exclude(summary="").update(summary="")
    # A name that nobody uses any more; that of a conversation which goes on stays.
    sessions.filter(updated_at__lt=before).exclude(title="").update(title="")
    return done


def _open_questions() -> Any:
    return Session.objects.filter(open_job__isnull=False).values("open_job")


def _busy() -> Any:
    """Return the sessions in which work goes on, or a question is open."""
    working = Q(pk__in=Job.objects.active().values("session"))
    return Session.objects.filter(working | Q(open_job__isnull=False)).values("pk")


def _kept_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the switches of a job, and that its owner has deleted its response."""
    kept = {name: value for name, value in options.items() if isinstance(value, bool | int)}
    deleted = (options.get(NOTES) or {}).get("deleted")
    return kept | ({NOTES: {"deleted": deleted}} if deleted else {})


def _kept_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return a terminal event's data, in its form, so that each dialect can still say it."""
    empty = {"actions": [], "sources": [], "metadata": {}, "response": REMOVED, "error": REMOVED}
    return {
        name: empty.get(name, value)
        for name, value in data.items()
        if name in (*empty, "code", "usage")
    }
