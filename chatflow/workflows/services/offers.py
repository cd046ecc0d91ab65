"""Using an offered action: once, and only in the session that it was offered in."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db import IntegrityError

from chatflow.workflows import services
from chatflow.workflows.db import atomic
from chatflow.workflows.dialogue import actions
from chatflow.workflows.exceptions import ActionExpired, ActionNotFound, ActionUsed
from chatflow.workflows.models import ActionUse, Job
from chatflow.workflows.services import Mode, OnBusy, Started
from chatflow.workflows.services.turns import is_cut
from chatflow.workflows.store import events


def act(
    user: Any,
    session_key: str,
    action_id: str,
    *,
    tenant: str = "",
    data: dict[str, Any] | None = None,
    mode: Mode = "async",
    on_busy: OnBusy = "enqueue",
    idempotency_key: str | None = None,
    body_hash: str = "",
    admit: Callable[[], None] | None = None,
) -> Started:
    """Use an action that was offered to the user in that session.

    The action says what that begins: a quick reply sends its message, a button starts a workflow.
    A refusal leaves the action usable.

    Args:
        user: who uses it; only actions that were offered to them are found.
        session_key: the conversation that it was offered in.
        action_id: the action's id.
        tenant: the organisation for which they act; empty for none.
        data: the data of a form.
        mode: see services.start(), also for the others.

    Returns:
        The job that the action started.

    Raises:
        ActionNotFound: it was not offered to this user in this session, or its type is gone.
        UnknownWorkflow: it would start a workflow that they may not use.
        ActionUsed: it was used before.
        ActionExpired: its time is over.
        InvalidForm: the data doesn't fit, or the action takes none, or is a link.
    """
    offered_by, action = _find(user, tenant, session_key, action_id)
    turn = actions.restore(action).turn(data)

    def use_once(job: Job) -> None:
        # The offering job may be gone by now; from here on a deletion waits for this transaction.
        if not Job.objects.select_for_update(of=("self",)).filter(pk=offered_by.pk).exists():
            raise ActionNotFound
        if actions.has_expired(action):
            raise ActionExpired
        try:
            with atomic():
                ActionUse.objects.create(action_id=action_id, offered_by=offered_by, job=job)
        except IntegrityError:
            raise ActionUsed from None

    return services.start(
        user,
        turn.message,
        tenant=tenant,
        session_key=session_key,
        mode=mode,
        workflow=turn.workflow,
        options=offered_by.flags,
        on_busy=on_busy,
        idempotency_key=idempotency_key,
        body_hash=body_hash,
        input=events.clean(turn.input),
        before_commit=use_once,
        admit=admit,
    )


def _find(user: Any, tenant: str, session_key: str, action_id: str) -> tuple[Job, dict[str, Any]]:
    # The id becomes part of a JSON path.
    if actions.ID.fullmatch(action_id) and "\0" not in session_key:
        offering = Job.objects.visible_to(user, tenant).filter(session__key=session_key)
        job = offering.filter(offers__has_key=action_id).first()
        if job is not None and job.offers is not None and not is_cut(job):
            return job, job.offers[action_id]
    raise ActionNotFound


def used(jobs: Iterable[Job]) -> set[str]:
    """Return the ids of those actions of *jobs* that were used."""
    offering = [job.pk for job in jobs if job.offers]
    uses = ActionUse.objects.filter(offered_by__in=offering)
    return set(uses.values_list("action_id", flat=True))
