"""The locks under which a job changes: its session's first, then its own.

Whoever locks a session and a job of it locks the session first; the other way round two of them
would wait for each other.
"""

from django.db.models.functions import Now

from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import Job, Session, State


def lock_session(job: Job) -> None:
    """Lock the session of *job* until the caller's transaction ends."""
    Session.objects.select_for_update().filter(pk=job.session_id).first()


def hold(job: Job) -> None:
    """Lock the row of a running job until the caller's transaction ends.

    Raises:
        Fenced: the attempt doesn't hold the job any more.
    """
    held = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=State.PROCESSING)
    if not held.update(updated_at=Now()):
        raise Fenced
