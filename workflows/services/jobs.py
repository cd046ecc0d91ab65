"""Finding, cancelling and retrying a job, and its place in the queue."""

from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from workflows.bells import get_bell, user_key
from workflows.exceptions import AlreadyQueued, AlreadyRetried, JobNotFound, NotRetryable
from workflows.models import Job, Session, State
from workflows.registry import get_workflow
from workflows.services.inline import run_inline
from workflows.store import lifecycle
from workflows.store.changes import change
from workflows.store.database import get_database
from workflows.store.new_jobs import insert, lock_or_create_session

# Seconds to wait for an atomic step's end before a cancellation is given up.
PATIENCE = 2.0


def get_job(user: Any, public_id: str) -> Job:
    """Return the user's job of that public id.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
    # PostgreSQL refuses to even look for a NUL.
    if "\0" in public_id:
        raise JobNotFound
    try:
        return Job.objects.visible_to(user).select_related("session").get(public_id=public_id)
    except Job.DoesNotExist:
        raise JobNotFound from None


def cancel(job: Job, *, code: str = "cancelled") -> Job:
    """Cancel a job: a waiting one ends at once, a running one is told to stop.

    A job that has ended stays as it is; one that ended with a question has the question closed.

    Args:
        job: the job, in any state.
        code: why; ``cancelled`` or ``interrupted``.

    Returns:
        The job as it stands then.
    """
    with transaction.atomic():
        get_database().limit_lock_waits(PATIENCE)
        lifecycle.lock_session(job)
        current = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if current.state == State.QUEUED:
            lifecycle.end(current, lifecycle.cancelled(code))
            current.refresh_from_db()
            return current
        if current.state == State.PROCESSING and not current.cancel_code:
            current.cancel_code = code
            current.save(update_fields=["cancel_code"])
            get_bell().ring("cancel", current.pk)
        elif current.awaiting:
            change(Session.objects.filter(open_job=current), current.user_id, open_job=None)
    return current


def retry(job: Job) -> Job:
    """Make a new job with the input of a failed one.

    It resumes where the old one failed: recorded steps don't run again. The old job's log
    stays closed, and the old failure leaves the list of failures.

    Args:
        job: one that failed, timed out or was cancelled.

    Returns:
        The new job.

    Raises:
        NotRetryable: the job is in another state, or was retried already.
        UnknownWorkflow: its workflow is gone.
        AlreadyQueued: a job with the workflow's unique key is queued or running.
    """
    try:
        new = _store_again(job)
    except IntegrityError:
        if job.unique_key is None:
            raise
        raise AlreadyQueued from None
    return run_inline(new) if new.inline else new


def _store_again(job: Job) -> Job:
    with transaction.atomic():
        session = lock_or_create_session(job.user, job.session.key)
        old = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if old.state not in (State.FAILED, State.TIMEOUT, State.CANCELLED):
            raise NotRetryable
        if old.retries.exists():
            raise AlreadyRetried
        workflow = get_workflow(old.workflow)
        new = Job(
            user_id=old.user_id,
            session_id=old.session_id,
            text=old.text,
            mode="async",
            workflow=old.workflow,
            explicit=True,
            options=old.options,
            root_id=old.conversation_id,
            text_base=old.text_base,
            retry_of=old,
            queue=workflow.queue,
            priority=workflow.priority,
            is_async=workflow.is_async,
            unique_key=old.unique_key,
            inline=settings.QUEUE_CONNECTION == "sync",
        )
        insert(new, session)
        old.forgotten = True
        old.save(update_fields=["forgotten"])
        get_bell().ring_each((new.topic, new.pk), ("sessions", user_key(new.user_id)))
    return new


def queue_position(job: Job) -> int | None:
    """Return how many jobs of its queue and kind a waiting job is behind, plus one.

    Others may still come in front of it, as users take turns. None once it runs.
    """
    if job.state != State.QUEUED or job.inline:
        return None
    line = Job.objects.filter(
        queue=job.queue, is_async=job.is_async, state=State.QUEUED, inline=False
    )
    turn = Q(turn__lt=job.turn) | Q(turn=job.turn, pk__lt=job.pk)
    before = Q(priority__gt=job.priority) | Q(priority=job.priority) & turn
    return line.filter(before).count() + 1


def is_anybody_working() -> bool:
    """Whether a job that is queued now would be worked on: by a cluster that was seen lately.

    Without a queue the web process itself does it.
    """
    return settings.QUEUE_CONNECTION == "sync" or lifecycle.clusters_alive() > 0
