"""A conversation as a whole: opened, renamed, pinned, read, or deleted."""

from typing import Any

from chatflow.workflows.bells import get_bell
from chatflow.workflows.db import atomic
from chatflow.workflows.models import Job, Session
from chatflow.workflows.services.jobs import PATIENCE
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.changes import bury, change
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.new_jobs import lock_or_create_session


def open_session(user: Any, key: str, *, tenant: str = "") -> Session:
    """Return the user's conversation of that key; a new one where there is none.

    Args:
        user: whose it is.
        key: their name for it.
        tenant: the organisation for which they act; empty for none.
    """
    with atomic():
        return lock_or_create_session(user, tenant, key)


def delete_session(session: Session) -> int:
    """Delete a conversation and all that is its own: messages, documents, jobs and their logs.

    Jobs under way are cancelled first. Their streams show that, or break off and find nothing when
    they come back; their workers are told to stop, and can't write any more.

    Args:
        session: the conversation.

    Returns:
        How many jobs it had.
    """
    with atomic():
        _cancel_at_once(session)
    # In a transaction of its own: the open streams see in between how their jobs ended.
    with atomic():
        # Jobs that were started meanwhile go with the rest.
        _cancel_at_once(session)
        bury(session)
        # Else a message of another conversation might get one while it goes.
        list(session.documents.select_for_update().order_by("pk").values_list("pk"))
        _, deleted = Session.objects.filter(pk=session.pk).delete()
    return deleted.get(Job._meta.label, 0)


def change_session(
    session: Session,
    *,
    title: str | None = None,
    pinned: bool | None = None,
    read: bool = False,
) -> None:
    """Rename, pin or read a conversation; its owner's streams tell it.

    Args:
        session: the conversation.
        title: its new title; empty for its first words; None to leave it as it is.
        pinned: whether it stands first in the list; None likewise.
        read: its owner has seen all of it.
    """
    wanted = {"title": title, "pinned": pinned, "unread": False if read else None}
    values = {name: value for name, value in wanted.items() if value is not None}
    if any(getattr(session, name) != value for name, value in values.items()):
        with atomic():
            change(Session.objects.filter(pk=session.pk), session.user_id, **values)


def _cancel_at_once(session: Session) -> None:
    """End the session's jobs under way without waiting for their workers: the fence stops those."""
    get_database().limit_lock_waits(PATIENCE)
    Session.objects.select_for_update().filter(pk=session.pk).first()
    for job in session.jobs.active().select_for_update(of=("self",)).order_by("id"):
        lifecycle.end(job, lifecycle.cancelled("cancelled"))
        get_bell().ring("cancel", job.pk)
