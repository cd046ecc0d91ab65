"""Finding, cancelling and retrying a job, and its place in the queue."""

from collections.abc import Collection
from typing import Any

from django.db import IntegrityError
from django.db.models import Q

from chatflow.conf import conf
from chatflow.workflows import tracing
from chatflow.workflows.bells import get_bell, user_key
from chatflow.workflows.db import atomic, connection
from chatflow.workflows.dialogue import answers
from chatflow.workflows.exceptions import (
    AlreadyQueued,
    AlreadyRetried,
    JobNotFound,
    NotRetryable,
    StepNotFound,
    StillRunning,
    TokenRefused,
    WentOn,
)
from chatflow.workflows.models import ApprovalRequest, Job, Session, State, Step
from chatflow.workflows.permissions import usable_workflow
from chatflow.workflows.running.earlier_runs import read_lineage
from chatflow.workflows.running.step_keys import is_choice, path_of
from chatflow.workflows.services.inline import run_inline
from chatflow.workflows.services.reach import FULL, Reach
from chatflow.workflows.services.turns import is_cut
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.changes import change
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle.claims import WAITING, conditions
from chatflow.workflows.store.new_jobs import insert, lock_or_create_session
from chatflow.workflows.texts import REMOVED

# Seconds to wait for an atomic step's end before a cancellation is given up.
PATIENCE = 2.0
# A condition beside the window would leave the others out of the count. The index of the jobs that
# wait in a queue has them in this order.
PLACES = """
    WITH wanted (id, seq) AS ({wanted})
    SELECT id, place FROM (
        SELECT id, row_number() OVER (
            PARTITION BY queue, is_async ORDER BY priority DESC, turn, id
        ) AS place
        FROM workflows_job WHERE {waiting}
    ) line WHERE id IN (SELECT id FROM wanted)
"""


def get_job(user: Any, public_id: str, *, tenant: str = "") -> Job:
    """Return the user's job of that public id.

    Args:
        user: whose it is.
        public_id: of the job.
        tenant: the organisation for which they act; empty for none.

    Raises:
        JobNotFound: there is none, or it is somebody else's, or another organisation's.
    """
    # PostgreSQL refuses to even look for a NUL.
    if "\0" in public_id:
        raise JobNotFound
    try:
        mine = Job.objects.visible_to(user, tenant).select_related("session")
        return mine.get(public_id=public_id)
    except Job.DoesNotExist:
        raise JobNotFound from None


def cancel(job: Job, *, code: str = "cancelled", reach: Reach = FULL) -> Job:
    """Cancel a job: a waiting one ends at once, a running one is told to stop.

    A job that has ended stays as it is; one that ended with a question has the question closed.

    Args:
        job: the job, in any state.
        code: why; ``cancelled`` or ``interrupted``.
        reach: of the credential by which it is cancelled.

    Returns:
        The job as it stands then.

    Raises:
        JobNotFound: it is out of reach, or another workflow has just taken it over.
    """
    with atomic():
        get_database().limit_lock_waits(PATIENCE)
        lifecycle.lock_session(job)
        current = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if not reach.includes(current):
            raise JobNotFound
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


def retry(job: Job, *, from_step: Step | None = None, reach: Reach = FULL) -> Job:
    """Make a new job with the input of a failed one.

    It resumes where the old one failed: recorded steps don't run again. The old job's log
    stays closed, and the old failure leaves the list of failures.

    Args:
        job: one that failed, timed out or was cancelled; with *from_step* any that has ended.
        from_step: a step that the job, or one that it retries, has recorded. It runs again, with
            those inside it and all that were recorded behind it; what these asked is asked again.
            Their records are kept, but no run comes by them.
        reach: of the credential by which it is retried.

    Returns:
        The new job.

    Raises:
        JobNotFound: it is out of reach.
        TokenRefused: its message would decide an approval that is still wanted, or another
            workflow's question is open in the session.
        NotRetryable: the job is in another state, was retried already, or its message was cut, or
            is gone by retention; with *from_step* also where there is no such step, or the
            conversation has gone on.
        UnknownWorkflow: its workflow is gone, or its owner may not use it any more.
        AlreadyQueued: a job with the workflow's unique key is queued or running.
    """
    try:
        new = _store_again(job, from_step, reach)
    except IntegrityError:
        if job.unique_key is None:
            raise
        raise AlreadyQueued from None
    return run_inline(new) if new.inline else new


def _store_again(job: Job, from_step: Step | None, reach: Reach) -> Job:
    with atomic():
        session = lock_or_create_session(job.user, job.tenant, job.session.key)
        old = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if not reach.includes(old):
            raise JobNotFound
        if from_step is not None:
            _check_ended(old)
        elif old.state not in (State.FAILED, State.TIMEOUT, State.CANCELLED):
            raise NotRetryable
        if old.retries.exists():
            raise AlreadyRetried
        if is_cut(old) or old.text == REMOVED:
            raise NotRetryable
        # What is done again may ask, and its question would take the place of the open one.
        reach.check_leaving(session)
        if not reach.decides and _would_decide(old):
            raise TokenRefused
        workflow = usable_workflow(old.workflow, old.user, old.tenant)
        new = Job(
            user_id=old.user_id,
            tenant=old.tenant,
            session_id=old.session_id,
            text=old.text,
            mode="async",
            workflow=old.workflow,
            explicit=True,
            options=tracing.kept_of_retry(old.options),
            root_id=old.conversation_id,
            text_base=old.text_base,
            retry_of=old,
            queue=workflow.queue,
            priority=workflow.priority,
            is_async=workflow.is_async,
            unique_key=old.unique_key,
            inline=conf.QUEUE_CONNECTION == "sync",
        )
        insert(new, session)
        if from_step is not None:
            _set_aside(old, from_step, new)
            change(Session.objects.filter(open_job=old), old.user_id, open_job=None)
        old.forgotten = True
        old.save(update_fields=["forgotten"])
        get_bell().ring_each((new.topic, new.pk), ("sessions", user_key(new.user_id)))
    return new


def _check_ended(job: Job) -> None:
    """See to it that *job* is the last one of its conversation with the workflow, and has ended.

    Raises:
        StillRunning, WentOn: it isn't, or hasn't.
    """
    if not job.is_finished:
        raise StillRunning
    if Job.objects.filter(root=job.conversation_id, pk__gt=job.pk).exclude(retry_of=job).exists():
        raise WentOn


def _set_aside(job: Job, first: Step, retry: Job) -> None:
    """Give to *retry*, where no run finds it, what its conversation has recorded from *first* on.

    Raises:
        StepNotFound: it is no step that *job*, or one that it retries, has recorded.
    """
    steps = Step.objects.filter(root=job.conversation_id)
    rows = list(steps.values_list("pk", "job", "name", "occurrence"))
    mine = [row for row in rows if row[0] == first.pk and row[1] in read_lineage(job)]
    if not mine or is_choice(mine[0][2]):
        raise StepNotFound
    inside = path_of(mine[0][2:])
    again = [
        pk
        for pk, _, name, _ in rows
        if (pk >= first.pk or name.startswith(inside)) and not is_choice(name)
    ]
    steps.filter(pk__in=again).update(root=retry)


def _would_decide(job: Job) -> bool:
    """Say whether the words of *job* are a decision, and its conversation still wants one."""
    begun = job.conversation_id
    asked = ApprovalRequest.objects.filter(Q(job=begun) | Q(job__root=begun), decided_at=None)
    return answers.is_decision(job.text) and asked.exists()


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


def queue_positions(keys: Collection[int]) -> dict[int, int]:
    """Return the places of many jobs, by primary key, in one query; see queue_position().

    Args:
        keys: the jobs' primary keys; those that don't wait any more have no place.
    """
    if not keys:
        return {}
    database = get_database()
    wanted, params = database.places((key, 0) for key in keys)
    waiting = WAITING.format(**conditions())
    with connection.cursor() as cursor:
        cursor.execute(PLACES.format(wanted=wanted, waiting=waiting), params)
        return dict(cursor.fetchall())


def is_anybody_working() -> bool:
    """Whether a job that is queued now would be worked on: by a cluster that was seen lately.

    Without a queue the web process itself does it.
    """
    return conf.QUEUE_CONNECTION == "sync" or lifecycle.clusters_alive() > 0
