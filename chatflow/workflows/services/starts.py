"""Starting a job: the message and the job that answers it are stored together, or neither."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, Literal

from django.db import IntegrityError
from django.db.models import Avg

from chatflow.conf import conf
from chatflow.workflows import clock, tracing
from chatflow.workflows.bells import get_bell, user_key
from chatflow.workflows.db import atomic
from chatflow.workflows.dialogue import answers
from chatflow.workflows.exceptions import (
    ActionUsed,
    AlreadyQueued,
    IdempotencyConflict,
    MessageNotFound,
    QuestionClosed,
    SessionBusy,
)
from chatflow.workflows.models import Job, Message, Session, State
from chatflow.workflows.permissions import usable_workflow, workflows_for
from chatflow.workflows.registry import Workflow, get_workflow
from chatflow.workflows.running.routing import (
    DEFAULT,
    assign,
    continue_from,
    is_answer,
    open_question,
    route,
    route_beside,
)
from chatflow.workflows.services import files
from chatflow.workflows.services.inline import run_inline
from chatflow.workflows.services.jobs import cancel
from chatflow.workflows.services.reach import FULL, Reach
from chatflow.workflows.services.turns import cut_from
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.store.new_jobs import insert, lock_or_create_session, store_in_idle_session
from chatflow.workflows.store.outage import despite_conflicts

Mode = Literal["sync", "async", "auto"]
OnBusy = Literal["enqueue", "reject", "interrupt"]

# Runs of more seconds than this are long to "auto", which takes the mean of so many recent ones.
LONG = 5.0
RECENT_RUNS = 20
# How long an Idempotency-Key is remembered.
IDEMPOTENCY_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Started:
    """The result of start().

    Args:
        job: the job, new or replayed; its mode is the one requested, or the choice of "auto".
        replayed: an earlier request with the same Idempotency-Key made the job.
    """

    job: Job
    replayed: bool = False


def start(
    user: Any,
    text: str,
    *,
    session_key: str,
    tenant: str = "",
    mode: Mode = "async",
    workflow: str | None = None,
    begins: str = "",
    options: dict[str, Any] | None = None,
    on_busy: OnBusy = "enqueue",
    idempotency_key: str | None = None,
    body_hash: str = "",
    input: dict[str, Any] | None = None,
    sent_files: Sequence[str] = (),
    answers_to: Job | None = None,
    edits: int | None = None,
    reach: Reach = FULL,
    before_commit: Callable[[Job], None] | None = None,
    admit: Callable[[], None] | None = None,
) -> Started:
    """Store the message and the job that answers it, in one transaction: both or neither.

    Args:
        user: whose message it is.
        text: the message.
        session_key: the user's own name for the conversation.
        tenant: the organisation for which they act; empty for none.
        mode: ``sync`` jobs are then run by the caller with run_inline(); ``async`` ones by a
            worker.
        workflow: the name of the workflow; by default the message decides.
        begins: the workflow that the message begins if it answers no open question; with *workflow*
            the question is dropped.
        options: the flags of send: actions, memory, intelligent_rag, model.
        on_busy: what to do while the session works on an earlier message.
        idempotency_key: the same key and body give the same job, for 24 hours.
        body_hash: tells whether it is the same body.
        input: the workflow's input; then *text* is a title, not the user's words.
        sent_files: the keys of documents of the user's that go with the message.
        answers_to: the job whose open question this answers, whatever the session is doing.
        edits: the primary key of the user's message that this one takes the place of; it and all
            that follows are cut off the conversation, in the same transaction.
        reach: of the credential by which it is sent. If that is one workflow, and *workflow* is
            None, the message answers the open question of that workflow, or begins it.
        before_commit: called with the job in the transaction that stores it; may raise to refuse.
        admit: called before a new job is stored, not for a replay; may raise to refuse.

    Returns:
        The job, which may have ended already: a word that cancels is obeyed at once.

    Raises:
        UnknownWorkflow: there is no workflow of that name, or the user may not use it.
        FileNotFound: the user has no such document.
        SessionBusy: the session is busy and *on_busy* is ``reject``, or this edits.
        MessageNotFound: there is no such message to edit.
        AlreadyQueued: a job with the workflow's unique key is queued or running.
        IdempotencyConflict: the key was used with another body.
        QuestionClosed: the question of *answers_to* is not open any more.
        TokenRefused: the message would touch what is out of reach; nothing has changed.
    """
    for named in (workflow, begins):
        if named:
            usable_workflow(named, user, tenant)
    if idempotency_key is not None:
        replayed = _replay(user, tenant, idempotency_key, body_hash)
        if replayed is not None:
            return replayed
    if admit is not None:
        admit()
    told = {"files": files.describe(user, tenant, sent_files)} if sent_files else {}
    new = Job(
        user=user,
        tenant=tenant,
        text=text,
        workflow=workflow or "",
        explicit=workflow is not None,
        options=tracing.kept({**(options or {}), **told}),
        idempotency_key=idempotency_key,
        body_hash=body_hash,
        input=input,
    )
    job = new

    def store() -> Started:
        nonlocal job
        job = copy(new)
        plain = answers_to is None and edits is None and before_commit is None
        if plain and not sent_files:
            started = _store_at_once(job, session_key, mode, reach, begins)
            if started is not None:
                return started
            # In a session that isn't idle, what was chosen may be wrong.
            job = copy(new)
        with atomic():
            started = _store(job, session_key, mode, on_busy, answers_to, edits, reach, begins)
            if sent_files:
                files.attach(started.job)
            if before_commit is not None:
                before_commit(started.job)
        return started

    try:
        started = _store_once(new.public_id, store)
    except (IntegrityError, SessionBusy, ActionUsed, MessageNotFound) as error:
        # Two requests with one key, or one unique key, at the same moment: the other one was first.
        key = idempotency_key
        replayed = _replay(user, tenant, key, body_hash) if key else None
        if replayed is None:
            if not isinstance(error, IntegrityError) or job.unique_key is None:
                raise
            raise AlreadyQueued from None
        return replayed
    if started.job.mode == "async" and started.job.inline:
        return Started(job=run_inline(started.job))
    return started


def _store_once(public_id: str, store: Callable[[], Started]) -> Started:
    """Store the job of that id, a few times if others are in the way."""
    tries = count(1)

    def store_again() -> Started:
        if next(tries) > 1:
            # The conflict may have been that of the ring, behind the commit.
            stored = Job.objects.filter(public_id=public_id).first()
            if stored is not None:
                return Started(job=stored)
        return store()

    return despite_conflicts(store_again)


def _store_at_once(
    job: Job, session_key: str, mode: Mode, reach: Reach, begins: str
) -> Started | None:
    """Store the job in one statement, if its session is idle and the database can do so."""
    if not get_database().has_row_versions:
        return None
    try:
        if not job.explicit:
            _choose_workflow(job, reach, begins)
        _decide(job, mode)
    except Exception:
        # The message may be an answer or a word that cancels, and not be for that workflow at all.
        return None
    return Started(job=job) if store_in_idle_session(job, session_key) else None


def _store(
    job: Job,
    session_key: str,
    mode: Mode,
    on_busy: OnBusy,
    answers_to: Job | None,
    edits: int | None,
    reach: Reach,
    begins: str,
) -> Started:
    session = lock_or_create_session(job.user, job.tenant, session_key)
    job.session = session
    active = list(session.jobs.active().order_by("id"))
    if edits is not None:
        if active:
            raise SessionBusy
        cut_from(session, edits)
    is_message = job.input is None and answers_to is None
    if is_message and answers.is_cancel(job.text) and (active or session.open_job_id):
        reach.check_ending(active)
        reach.check_leaving(session)
        return _obey_cancel(job, session, active, mode)
    if active and on_busy == "reject":
        raise SessionBusy
    if active and on_busy == "interrupt":
        reach.check_ending(active)
        for earlier in active:
            cancel(earlier, code="interrupted")
    _route(job, session, answers_to, reach, begins, waits=bool(active))
    _decide(job, mode)
    insert(job, session)
    _remember(job)
    get_bell().ring_each((job.topic, job.pk), ("sessions", user_key(session.user_id)))
    return Started(job=job)


def _decide(job: Job, mode: Mode) -> None:
    """Give *job* the settings of its workflow, and decide who runs it."""
    assign(job, job.workflow)
    job.mode = _choose(mode, get_workflow(job.workflow))
    job.inline = job.mode == "sync" or conf.QUEUE_CONNECTION == "sync"


def _route(
    job: Job, session: Session, answers_to: Job | None, reach: Reach, begins: str, *, waits: bool
) -> None:
    question = open_question(session, job.options)
    if reach.workflow and not job.explicit and answers_to is None:
        answers_to = question if question is not None and reach.includes(question) else None
        _choose_workflow(job, reach, begins)
    if answers_to is not None:
        if session.open_job_id != answers_to.pk:
            raise QuestionClosed
        reach.check_ending([answers_to])
        reach.check_answer(answers_to, job.text)
        continue_from(job, answers_to)
        job.explicit = True
        Session.objects.filter(pk=session.pk).update(open_job=None)
    elif job.explicit:
        if session.open_job_id is None:
            return
        reach.check_leaving(session)
        # Another workflow is wanted: the open question is dropped.
        Session.objects.filter(pk=session.pk).update(open_job=None)
    elif question is not None and not waits and not is_answer(job.text, question):
        # The question's own workflow is named because clients always name one.
        beside = begins if begins != question.workflow else ""
        job.workflow = beside or route_beside(job, question)
        job.explicit = bool(beside)
    elif question is not None and not waits:
        reach.check_answer(question, job.text)
        continue_from(job, question)
        Session.objects.filter(pk=session.pk).update(open_job=None)
    else:
        _choose_workflow(job, reach, begins)
        job.waited = waits


def _choose_workflow(job: Job, reach: Reach, begins: str) -> None:
    """Choose the workflow that a message begins: the only one in reach, or wanted, or by words."""
    named = reach.workflow or begins
    job.workflow = named or route(job.text, job.options, workflows_for(job))
    # Of all others that words lead to it is known already.
    if named or job.workflow == DEFAULT:
        usable_workflow(job.workflow, job.user, job.tenant)
    # A model would hand the job over to another one, were it free to.
    job.explicit = bool(named)


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
            created_at=job.created_at,
        )


def _obey_cancel(job: Job, session: Session, active: list[Job], mode: Mode) -> Started:
    """Cancel the session's jobs and open question, and confirm that in a job of its own."""
    for earlier in active:
        cancel(earlier)
    Session.objects.filter(pk=session.pk).update(open_job=None)
    assign(job, DEFAULT)
    job.mode, job.inline = "async" if mode == "async" else "sync", False
    insert(job, session)
    _remember(job)
    lifecycle.end(job, Outcome(State.COMPLETED, response="Cancelled."))
    job.refresh_from_db()
    return Started(job=job)


def _replay(user: Any, tenant: str, key: str, body_hash: str) -> Started | None:
    """Return the job that this key made in the last 24 hours, if any."""
    job = Job.objects.visible_to(user, tenant).filter(idempotency_key=key).first()
    if job is None:
        return None
    if job.created_at < clock.now() - IDEMPOTENCY_WINDOW:
        Job.objects.filter(pk=job.pk).update(idempotency_key=None)
        return None
    if job.body_hash != body_hash:
        raise IdempotencyConflict
    return Started(job=job, replayed=True)
