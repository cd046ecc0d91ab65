"""A deactivated user's work stops: at once where the user is saved, else within seconds."""

from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model

from chatflow.workflows.db import on_commit
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import Job
from chatflow.workflows.services.jobs import cancel
from chatflow.workflows.users import has_field, is_active

CODE = "deactivated"


def stop_work() -> int:
    """Cancel the jobs under way of users who are deactivated, however that was done.

    Returns:
        How many there were.

    Raises:
        DatabaseError: the database is away, or others have locked a session for too long.
    """
    if not has_field("is_active"):
        return 0
    jobs = list(Job.objects.active().filter(user__is_active=False, cancel_code=""))
    for job in jobs:
        # It may end or be deleted meanwhile.
        with suppress(Job.DoesNotExist, Fenced):
            cancel(job, code=CODE)
    return len(jobs)


def stop_work_of_deactivated(
    sender: Any, instance: Any, created: bool = False, **kwargs: Any
) -> None:
    """Receive the saving of a user; in a proxy of the user model, too."""
    is_user = issubclass(sender, get_user_model())
    if is_user and not created and not is_active(instance):
        # What fails now, a cluster does soon.
        on_commit(stop_work, robust=True)
