"""The verbs that outsiders call: start, run_inline, cancel, retry, delete_session."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Avg
from django.utils import timezone

from workflows.dialogue import answers
from workflows.store import lifecycle
from workflows.running import runner
from workflows.bells import get_bell
from workflows.store.clock import sql_now
from workflows.exceptions import (
    ActionUsed,
    AlreadyQueued,
    AlreadyRetried,
    IdempotencyConflict,
    JobNotFound,
    NotRetryable,
    QuestionClosed,
    SessionBusy,
)
from workflows.store.lifecycle import Outcome
from workflows.models import ActionUse, Job, Message, Session, State
from workflows.registry import Workflow, get_workflow
from workflows.running.routing import DEFAULT, assign, continue_from, open_question, route
from workflows.store.new_jobs import store_in_idle_session

Mode = Literal["sync", "async", "auto"]
OnBusy = Literal["enqueue", "reject", "interrupt"]

# What "auto" takes for long, in seconds, judged by so many of the latest runs.
LONG = 5.0
RECENT_RUNS = 20
# How long an Idempotency-Key is remembered.
IDEMPOTENCY_WINDOW = timedelta(hours=24)
# Seconds between two looks of a sync job that waits for its turn.
TURN_POLL = 0.05


@dataclass(frozen=True, kw_only=True)
class Started:
    """What start() came to.

    Args:
        job: the job, new or replayed; its mode is what was asked for, or what "auto" came to.
        replayed: an earlier request with the same Idempotency-Key made the job.
    """

    job: Job
    replayed: bool = False


def start(
    user: Any,
    text: str,
    *,
    session_key: str,
    mode: Mode = "async",
    workflow: str | None = None,
    options: dict[str, Any] | None = None,
    on_busy: OnBusy = "enqueue",
    idempotency_key: str | None = None,
    body_hash: str = "",
    input: dict[str, Any] | None = None,
    answers_to: Job | None = None,
    record: Callable[[Job], None] | None = None,
) -> Started:
    """Store the message and the job that answers it, in one transaction: both or neither.

    Args:
        user: whose message it is.
        text: the message.
        session_key: the user's own name for the conversation.
        mode: ``sync`` jobs are then run by the caller with run_inline(); ``async`` ones by a
            worker.
        workflow: the name of the workflow; by default the message decides.
        options: the flags of send: actions, memory, intelligent_rag, model.
        on_busy: what to do while the session works on an earlier message.
        idempotency_key: the same key and body give the same job, for 24 hours.
        body_hash: tells whether it is the same body.
        input: what the workflow is to work on; then *text* is a title, not the user's words.
        answers_to: the job whose open question this answers, whatever the session is doing.
        record: called with the job in the transaction that stores it; what it raises refuses it.

    Returns:
        The job, which may have ended already: a word that cancels is obeyed at once.

    Raises:
        UnknownWorkflow: there is no workflow of that name.
        SessionBusy: the session is busy and *on_busy* is ``reject``.
        AlreadyQueued: a job with the workflow's unique key is queued or running.
        IdempotencyConflict: the key was used with another body.
        QuestionClosed: the question of *answers_to* is not open any more.
    """
    if workflow is not None:
        get_workflow(workflow)
    if idempotency_key is not None:
        replayed = _replay(user, idempotency_key, body_hash)
        if replayed is not None:
            return replayed
    job = Job(
        user=user,
        text=text,
        workflow=workflow or "",
        explicit=workflow is not None,
        options=dict(options or {}),
        idempotency_key=idempotency_key,
        body_hash=body_hash,
        input=input,
    )
    try:
        started = None
        if answers_to is None and record is None:
            started = _store_at_once(job, session_key, mode)
        if started is None:
            with transaction.atomic():
                started = _store(job, session_key, mode, on_busy, answers_to)
                if record is not None:
                    record(started.job)
    except (IntegrityError, SessionBusy, ActionUsed) as error:
        # Two requests with one key, or one unique key, at the same moment: the other one was first.
        replayed = _replay(user, idempotency_key, body_hash) if idempotency_key else None
        if replayed is None:
            if not isinstance(error, IntegrityError) or job.unique_key is None:
                raise
            raise AlreadyQueued from None
        return replayed
    if started.job.mode == "async" and started.job.inline:
        return Started(job=run_inline(started.job))
    return started


def _store_at_once(job: Job, session_key: str, mode: Mode) -> Started | None:
    """Store what nothing in its session stands in the way of, in one statement, if that can be."""
    if connection.vendor != "postgresql":
        return None
    try:
        if not job.explicit:
            job.workflow = route(job.text, job.options)
        _decide(job, mode)
    except Exception:
        # It may be an answer, or a word that cancels, and none of that workflow's business.
        return None
    return Started(job=job) if store_in_idle_session(job, session_key) else None


def _store(
    job: Job, session_key: str, mode: Mode, on_busy: OnBusy, answers_to: Job | None
) -> Started:
    session = _locked_session(job.user, session_key)
    job.session = session
    active = list(session.jobs.active().order_by("id"))
    is_message = job.input is None and answers_to is None
    if is_message and answers.is_cancel(job.text) and (active or session.open_job_id):
        return _obey_cancel(job, session, active, mode)
    if active and on_busy == "reject":
        raise SessionBusy
    if active and on_busy == "interrupt":
        for earlier in active:
            cancel(earlier, code="interrupted")
    _route(job, session, answers_to, waits=bool(active))
    _decide(job, mode)
    _insert(job, session)
    _remember(job)
    get_bell().ring("jobs", job.pk)
    return Started(job=job)


def _decide(job: Job, mode: Mode) -> None:
    """Let *job* be one of its workflow, and decide who runs it."""
    assign(job, job.workflow)
    job.mode = _choose(mode, get_workflow(job.workflow))
    job.inline = job.mode == "sync" or settings.QUEUE_CONNECTION == "sync"


def _insert(job: Job, session: Session) -> None:
    """Store a job that is to be queued; its times are the database's, as the session brings it."""
    job.available_at = session.updated_at
    if job.inline:
        # Until it is claimed, this tells whether its web process still lives.
        job.lease_until = session.updated_at + timedelta(seconds=settings.WORKFLOW_LEASE_SECONDS)
    job.save(force_insert=True)


def _locked_session(user: Any, key: str) -> Session:
    """Return the user's session, locked: two messages to one session are stored one by one."""
    touched = f"""
        INSERT INTO workflows_session (user_id, key, created_at, updated_at)
        VALUES (%s, %s, {sql_now()}, {sql_now()})
        ON CONFLICT (user_id, key) DO UPDATE SET updated_at = excluded.updated_at
        RETURNING *
    """
    session: Session = Session.objects.raw(touched, [user.pk, key])[0]
    return session


def _route(job: Job, session: Session, answers_to: Job | None, *, waits: bool) -> None:
    question = open_question(session, job.options)
    if answers_to is not None:
        if session.open_job_id != answers_to.pk:
            raise QuestionClosed
        continue_from(job, answers_to)
        job.explicit = True
        Session.objects.filter(pk=session.pk).update(open_job=None)
    elif job.explicit:
        if session.open_job_id is None:
            return
        # Another workflow is wanted: the open question is dropped.
        Session.objects.filter(pk=session.pk).update(open_job=None)
    elif question is not None and not waits:
        continue_from(job, question)
        Session.objects.filter(pk=session.pk).update(open_job=None)
    else:
        job.workflow = route(job.text, job.options)
        job.waited = waits


def _choose(mode: Mode, workflow: Workflow) -> Literal["sync", "async"]:
    if mode != "auto":
        return mode
    return "async" if takes_long(workflow) else "sync"


def takes_long(workflow: Workflow) -> bool:
    """Say whether the workflow's own hint, or else its latest runs, call for the background."""
    if workflow.hint is not None:
        return workflow.hint == "long"
    latest = Job.objects.filter(workflow=workflow.name, state=State.COMPLETED).order_by("-id")
    average = latest[:RECENT_RUNS].aggregate(seconds=Avg("ran_for"))["seconds"]
    return average is not None and average > LONG


def _remember(job: Job) -> None:
    remembered = job.options.get("memory", True)
    if remembered or job.root_id:
        Message.objects.create(
            session=job.session,
            job=job,
            role=Message.Role.USER,
            content=job.text,
            remembered=remembered,
        )


def _obey_cancel(job: Job, session: Session, active: list[Job], mode: Mode) -> Started:
    """Cancel what the session does, and answer the message that asked for it."""
    for earlier in active:
        cancel(earlier)
    Session.objects.filter(pk=session.pk).update(open_job=None)
    assign(job, DEFAULT)
    job.mode, job.inline = "async" if mode == "async" else "sync", False
    _insert(job, session)
    _remember(job)
    lifecycle.end(job, Outcome(State.COMPLETED, response="Cancelled."))
    job.refresh_from_db()
    return Started(job=job)


def _replay(user: Any, key: str, body_hash: str) -> Started | None:
    """Return the job that this key made, if it did in the last 24 hours."""
    job = Job.objects.filter(user=user, idempotency_key=key).first()
    if job is None:
        return None
    if job.created_at < timezone.now() - IDEMPOTENCY_WINDOW:
        Job.objects.filter(pk=job.pk).update(idempotency_key=None)
        return None
    if job.body_hash != body_hash:
        raise IdempotencyConflict
    return Started(job=job, replayed=True)


def run_inline(job: Job, *, wait: float = 10) -> Job:
    """Run a sync job in this thread, when its turn in the session has come.

    Args:
        job: as started.
        wait: seconds that it may wait for its turn.

    Returns:
        The job, which has ended, unless this process lost it to another one.

    Raises:
        SessionBusy: its turn did not come; the job and its message are forgotten.
    """
    give_up_at = time.monotonic() + wait
    session = job.session
    while job.inline and not job.is_finished:
        claimed = lifecycle.claim_inline(job, lifecycle.HOST, os.getpid())
        if claimed is not None:
            outcome = runner.run(claimed, interruptible=False)
            if outcome is not None:
                return _ended(claimed, session, outcome)
        elif job.attempt == 0 and time.monotonic() >= give_up_at:
            _withdraw(job)
            raise SessionBusy
        else:
            time.sleep(TURN_POLL)
        job.refresh_from_db()
        # The job was read anew; its session need not be.
        job.session = session
    return job


def _ended(job: Job, session: Session, outcome: Outcome) -> Job:
    """Return a claimed job with what came of it; the rest of it is as it was when it was claimed.

    What an answer is made of need not be read again.
    """
    job.session = session
    job.state, job.code, job.error = outcome.state, outcome.code, outcome.error
    job.response, job.actions, job.sources = outcome.response, outcome.actions, outcome.sources
    job.awaiting = outcome.awaiting
    return job


def _withdraw(job: Job) -> None:
    """Forget a job that was never begun, and the message that it was to answer."""
    with transaction.atomic():
        waiting = Job.objects.filter(pk=job.pk, state=State.QUEUED, attempt=0)
        if waiting.select_for_update().exists():
            Message.objects.filter(job=job).delete()
            # What started it can be used again.
            ActionUse.objects.filter(job=job).delete()
            waiting.delete()


def get_job(user: Any, public_id: str) -> Job:
    """Return the user's job of that public id.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
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
        _wait_briefly_for_locks()
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
            Session.objects.filter(open_job=current).update(open_job=None)
    return current


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
    _wait_briefly_for_locks()
    Session.objects.select_for_update().filter(pk=session.pk).first()
    for job in session.jobs.active().select_for_update(of=("self",)).order_by("id"):
        lifecycle.end(job, lifecycle.cancelled("cancelled"))
        get_bell().ring("cancel", job.pk)


def _wait_briefly_for_locks() -> None:
    """Give up after two seconds, in this transaction, rather than wait for an atomic step's end."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")


def retry(job: Job) -> Job:
    """Make a new job that does again what a failed one was to do.

    It resumes where the old one failed: steps that were recorded don't run again. The old job's log
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
        session = _locked_session(job.user, job.session.key)
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
            unique_key=old.unique_key,
            inline=settings.QUEUE_CONNECTION == "sync",
        )
        _insert(new, session)
        old.forgotten = True
        old.save(update_fields=["forgotten"])
        get_bell().ring("jobs", new.pk)
    return new


def queue_position(job: Job) -> int | None:
    """Return how many jobs of its queue a waiting job is behind, plus one; None once it runs."""
    if job.state != State.QUEUED or job.inline:
        return None
    ahead = Job.objects.filter(queue=job.queue, state=State.QUEUED, inline=False)
    before = ahead.filter(priority__gt=job.priority) | ahead.filter(
        priority=job.priority, pk__lt=job.pk
    )
    return before.count() + 1


def is_anybody_working() -> bool:
    """Whether a job that is queued now would be worked on: by a cluster that was seen lately.

    Without a queue the web process itself does it.
    """
    return settings.QUEUE_CONNECTION == "sync" or lifecycle.clusters_alive() > 0


def recent_starts(user: Any, seconds: float) -> int:
    """Return how many jobs the user started in the last *seconds*."""
    since = timezone.now() - timedelta(seconds=seconds)
    # Plain SQL: every send asks it.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM workflows_job WHERE user_id = %s AND created_at > %s",
            [user.pk, connection.ops.adapt_datetimefield_value(since)],
        )
        return int(cursor.fetchone()[0])
