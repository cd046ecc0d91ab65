"""Deciding a workflow's request for approval: once, in time, and on record."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from chatflow.conf import conf
from chatflow.workflows import services
from chatflow.workflows.dialogue import forms
from chatflow.workflows.exceptions import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
    InvalidForm,
    QuestionClosed,
)
from chatflow.workflows.models import NAME_LENGTH, ApprovalQuerySet, ApprovalRequest, Job
from chatflow.workflows.store import events


def pending(user: Any, *, tenant: str = "") -> ApprovalQuerySet:
    """Return the requests that the user may decide now, the oldest first.

    Args:
        user: who decides.
        tenant: the organisation for which they act; empty for none.
    """
    mine = ApprovalRequest.objects.visible_to(user, tenant)
    sweep(mine)
    return mine.open().select_related("job", "session").order_by("pk")


def sweep(requests: ApprovalQuerySet) -> None:
    """Mark the requests whose time is over as not approved.

    But not one that a waiting message answers: the moment at which that was sent counts.
    """
    late = requests.open().filter(expires_at__lte=Now())
    late = ApprovalRequest.objects.filter(pk__in=list(late.values_list("pk", flat=True)))
    late.filter(decided_at=None).update(
        approved=False,
        reason="expired",
        via=ApprovalRequest.Via.EXPIRY,
        decided_at=F("expires_at"),
    )


def get_request(user: Any, public_id: str, *, tenant: str = "") -> ApprovalRequest:
    """Return the user's request of that public id.

    Args:
        user: who decides.
        public_id: of the request.
        tenant: the organisation for which they act; empty for none.

    Raises:
        ApprovalNotFound: there is none, or it is somebody else's, or another organisation's.
    """
    if "\0" not in public_id:
        mine = ApprovalRequest.objects.visible_to(user, tenant).filter(public_id=public_id)
        found = mine.select_related("job__root", "session", "user").first()
        if found is not None:
            return found
    raise ApprovalNotFound


def decide(
    request: ApprovalRequest,
    *,
    by: Any,
    via: ApprovalRequest.Via,
    approved: bool,
    reason: str = "",
    answer: dict[str, Any] | None = None,
    idempotency_key: str | None = None,
    options: dict[str, Any] | None = None,
) -> Job:
    """Decide, and let the workflow go on: the next turn of its owner's conversation.

    Args:
        request: the request for approval.
        by: the user who decides; the caller has checked that they may.
        via: where they decide.
        approved: the decision.
        reason: why.
        answer: the data of the form, where the request has one.
        idempotency_key: of the job that goes on: it can be found by it.
        options: of the job that goes on, beside those of the one that asks.

    Returns:
        The job that goes on.

    Raises:
        ApprovalDecided: somebody was faster.
        ApprovalExpired: its time is over.
        QuestionClosed: the question was cancelled, or a message is about to answer it.
        InvalidForm: the answer doesn't fit.
        ApprovalNotFound: it was deleted meanwhile.
        SessionBusy: the workflow would have to go on at once, without a worker, and can't.
    """
    reason = events.clean(reason)
    if approved and request.schema is not None:
        answer = {} if answer is None else answer
        if wrong := forms.problems(request.schema, answer):
            raise InvalidForm(wrong)
    elif answer:
        raise InvalidForm({"answer": ["Nothing is to be filled in."]})
    _check_undecided(request)
    name = by.get_username()[:NAME_LENGTH]

    def store_decision(job: Job) -> None:
        undecided = ApprovalRequest.objects.filter(pk=request.pk, decided_at=None)
        if not undecided.filter(expires_at__gt=Now()).update(
            approved=approved,
            reason=reason,
            answer=events.clean(answer) if approved else None,
            by=name,
            via=via,
            decided_at=Now(),
        ):
            raise ApprovalExpired

    if request.job is None:
        raise QuestionClosed
    try:
        return services.start(
            request.user,
            _phrase(approved, reason, "" if by == request.user else name),
            tenant=request.session.tenant,
            session_key=request.session.key,
            mode="async",
            options={**request.job.flags, **(options or {})},
            # A job that runs here is forgotten when its turn doesn't come; a decision must not be.
            on_busy="reject" if conf.QUEUE_CONNECTION == "sync" else "enqueue",
            idempotency_key=idempotency_key,
            answers_to=request.job,
            before_commit=store_decision,
        ).job
    except QuestionClosed:
        _check_undecided(request)
        raise


def _check_undecided(request: ApprovalRequest) -> None:
    mine = ApprovalRequest.objects.filter(pk=request.pk)
    sweep(mine)
    current = mine.first()
    if current is None:
        raise ApprovalNotFound
    if current.via == ApprovalRequest.Via.EXPIRY:
        raise ApprovalExpired
    if current.decided_at is not None:
        raise ApprovalDecided


def _phrase(approved: bool, reason: str, name: str) -> str:
    """Return the decision as the conversation shows it; *name* is empty if the owner decided."""
    verdict = ("Approved" if approved else "Rejected") + (f" by {name}" if name else "")
    return f"{verdict}: {reason}" if reason else f"{verdict}."
