"""What the owner of an answer thinks of it."""

from django.db import IntegrityError

from chatflow.workflows import clock
from chatflow.workflows.db import atomic
from chatflow.workflows.models import Feedback, Job
from chatflow.workflows.store import events, lifecycle


def give_feedback(job: Job, *, value: str | None, comment: str = "") -> Feedback | None:
    """Keep what the owner of *job* thinks of its answer; the last word counts.

    Args:
        job: the job.
        value: one of ``Feedback.Value``; None takes an earlier one back.
        comment: why.

    Returns:
        What stands then; None if nothing does.

    Raises:
        Job.DoesNotExist: it was deleted at this very moment.
    """
    if value is None:
        Feedback.objects.filter(job=job).delete()
        return None
    kept = {"value": value, "comment": events.clean(comment), "updated_at": clock.now()}
    try:
        with atomic():
            # Else the conversation's deletion might overlook what is stored beside it.
            lifecycle.lock_session(job)
            given, _ = Feedback.objects.update_or_create(job=job, defaults=kept)
    except IntegrityError:
        job.refresh_from_db(fields=["id"])
        raise
    return given
