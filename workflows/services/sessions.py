"""What may be done with a conversation as a whole."""

from django.db import transaction

from workflows.bells import get_bell
from workflows.models import Session
from workflows.services.jobs import PATIENCE
from workflows.store import lifecycle
from workflows.store.database import get_database


def delete_session(session: Session) -> int:
    """Delete a conversation and all that belongs to it: messages, jobs, their steps and events.

    What is under way is cancelled first. Its streams see that, or break off and find nothing when
    they come back; its worker is told to stop, and can't write any more.

    Args:
        session: the conversation.

    Returns:
        How many jobs it had.
    """
    with transaction.atomic():
        _cancel_at_once(session)
    # In a transaction of its own: the open streams see in between how their jobs ended.
    with transaction.atomic():
        # What has come meanwhile goes with the rest.
        _cancel_at_once(session)
        _, deleted = Session.objects.filter(pk=session.pk).delete()
    return deleted.get("workflows.Job", 0)


def _cancel_at_once(session: Session) -> None:
    """End what a session has under way without waiting for its worker, which the fence stops."""
    get_database().limit_lock_waits(PATIENCE)
    Session.objects.select_for_update().filter(pk=session.pk).first()
    for job in session.jobs.active().select_for_update(of=("self",)).order_by("id"):
        lifecycle.end(job, lifecycle.cancelled("cancelled"))
        get_bell().ring("cancel", job.pk)
