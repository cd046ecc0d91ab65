"""Endings: a job's state, its terminal event and its response commit together."""

import json
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from chatflow.workflows.bells import get_bell, user_key
from chatflow.workflows.db import on_commit
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.metrics.series import JOBS_ENDED
from chatflow.workflows.models import Job, State, job_topic
from chatflow.workflows.store import events
from chatflow.workflows.store.database import Write, get_database
from chatflow.workflows.store.shown import read_words

CANCELLED = "The request was cancelled."
INTERRUPTED = "A newer message took the place of this one."
# By the code with which a job is cancelled; for any other it is CANCELLED.
SENTENCES = {"interrupted": INTERRUPTED, "deactivated": "The account was deactivated."}
TIMED_OUT = "The request ran longer than {limit:g} seconds and was stopped."
WORKER_LOST = "The worker was lost too often while it worked on this request."
WEB_PROCESS_LOST = "The server stopped while it worked on this request. Please try again."


@dataclass(frozen=True)
class Outcome:
    """How a job ends.

    Args:
        state: one of the terminal states.
        response: the text for the user, or the question that the user is asked.
        partial: the words that the user saw of a response that broke off; end() reads those that
            stand in the log.
        awaiting: the kind of answer that the question wants.
        code: why it failed, in one machine word.
        error: why it failed, in one sentence for the client.
        traceback: why it failed, for the admin.
        lost: 1 if its worker was lost.
    """

    state: State
    response: str = ""
    partial: str = ""
    actions: list[dict[str, Any]] = field(default_factory=list)
    # The actions in full, by id. See actions.Offered.
    offers: dict[str, Any] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    awaiting: dict[str, Any] | None = None
    code: str = ""
    error: str = ""
    traceback: str = ""
    lost: int = 0


def cancelled(code: str) -> Outcome:
    """Return the outcome of a job that was cancelled with *code*."""
    return Outcome(State.CANCELLED, code=code, error=SENTENCES.get(code, CANCELLED))


END = """
    UPDATE workflows_job
    SET state = {type}, response = %(response)s, actions = {actions}, sources = {sources},
        offers = {offers}, metadata = {metadata}, awaiting = {awaiting}, code = %(code)s,
        error = %(error)s,
        traceback = %(traceback)s, lost = lost + %(lost)s, last_seq = last_seq + 1,
        progress = CASE WHEN {type} = 'completed' THEN 100 ELSE progress END,
        progress_message = %(message)s, ran_for = ran_for + coalesce({ran}, 0),
        lease_until = NULL, finished_at = {now}, updated_at = {now}
"""
MINE = """
    id = %(job)s AND attempt = %(attempt)s AND state = %(state)s
    AND (cancel_code = '' OR NOT %(asks)s)
"""
JSON_COLUMNS = ("actions", "sources", "offers", "metadata", "awaiting")
ADD_MESSAGE = """
    INSERT INTO workflows_message
        (session_id, job_id, role, content, actions, sources, remembered, created_at)
    SELECT session_id, id, 'assistant', {content}, actions, sources, %(remembered)s, updated_at
    FROM job
"""
# A question stays open until the next message.
TOUCH_SESSION = """
    UPDATE workflows_session
    SET updated_at = {updated_at}, unread = {unread}, changed = {changed},
        open_job_id = CASE WHEN %(asks)s THEN job.id ELSE open_job_id END
    FROM job WHERE workflows_session.id = job.session_id
"""
# The kind of the job that waits in the session for this one's end, if one does. The condition is
# worded as in job_session_active, and newer versions of SQLite have to be told to take it, or they
# read all jobs that the session ever had. If somebody has touched the session, there may be a job
# that this statement doesn't see yet, and that rang while this one still barred its way: see
# new_jobs.STORE.
NEXT_MAY_WAIT = """
    (
        SELECT other.is_async FROM workflows_job other {by_active}
        WHERE other.session_id = %(session)s AND other.id <> %(job)s
          AND other.state IN ('queued', 'processing') AND other.state <> 'processing'
        ORDER BY other.id LIMIT 1
    ), {session_touched}
"""


def end(job: Job, outcome: Outcome) -> Outcome:
    """End a job: its state, its terminal event and its response commit together.

    Args:
        job: as claimed, or queued; its attempt is the fence.
        outcome: how it ends.

    Returns:
        How it ended, as it is stored.

    Raises:
        Fenced: another attempt holds the job, or it has ended already.
    """
    stored = _end(job, _keep_words(job, outcome))
    if stored is None and outcome.awaiting:
        mine = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=job.state)
        code = mine.exclude(cancel_code="").values_list("cancel_code", flat=True).first()
        # Nobody wants to answer the question any more.
        stored = _end(job, _keep_words(job, cancelled(code))) if code else None
    if stored is None:
        raise Fenced
    return stored


def _keep_words(job: Job, outcome: Outcome) -> Outcome:
    """Let a response that broke off be in the conversation as far as the user saw it."""
    if outcome.state == State.COMPLETED or outcome.partial or not job.attempt:
        return outcome
    return replace(outcome, partial=read_words(job))


def _end(job: Job, outcome: Outcome) -> Outcome | None:
    """End a job; None if the attempt doesn't hold it, or if it asks after it was told to stop."""
    params = _make_params(job, outcome)
    watched = ("sessions", user_key(job.user_id))
    row = events.write_and_ring(_make_end(*_choose_message(outcome, params)), params, watched)
    if row is None:
        return None
    # Whoever holds the lease of a lost job may yet have it back: see reaping._change_lost().
    on_commit(partial(JOBS_ENDED.add, 1, job.workflow, str(outcome.state)))
    next_is_async, session_touched = row
    for is_async in (False, True):
        if session_touched or next_is_async == is_async:
            get_bell().ring(job_topic(is_async=is_async), job.pk)
    return _clean(outcome, params)


def _choose_message(outcome: Outcome, params: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the job completes, and the SQL of the message that it leaves, if any."""
    if outcome.state == State.COMPLETED:
        return True, "response" if params["asks"] or params["remembered"] else ""
    return False, events.sql_text("partial") if params["partial"] and params["remembered"] else ""


@cache
def _make_end(completed: bool, content: str) -> Write:
    """Return the UPDATE that ends a job.

    Args:
        completed: it ends with a response.
        content: the SQL of its message's words; empty where it leaves no message.
    """
    database = get_database()
    update = END.format(
        type=events.sql_text("type"),
        now=database.now(),
        ran=database.seconds_since("claimed_at", upto="lease_until"),
        **{name: database.json(name) for name in JSON_COLUMNS},
    )
    # A job's usage stands in its row alone; a failed job's is paid for as well.
    data = database.json("data")
    with_usage = database.json_with(data, "usage", "usage")
    inserts = [events.event(f"CASE WHEN usage = '{{}}' THEN {data} ELSE {with_usage} END")]
    if content:
        inserts.append(ADD_MESSAGE.format(content=content))
    inserts.append(
        TOUCH_SESSION.format(
            updated_at="job.updated_at" if completed else "workflows_session.updated_at",
            unread=f"(unread OR {events.sql_text('type')} <> 'cancelled')",
            changed=database.changed("workflows_session.user_id"),
        )
    )
    select = NEXT_MAY_WAIT.format(
        session_touched=database.session_touched, by_active=database.by("job_session_active")
    )
    return Write(update, MINE, tuple(inserts), select=select, locks_session=True)


def _clean(outcome: Outcome, params: dict[str, Any]) -> Outcome:
    kept: dict[str, Any] = {
        name: json.loads(params[name]) for name in ("actions", "sources", "metadata")
    }
    awaiting = None if params["awaiting"] is None else json.loads(params["awaiting"])
    texts = {name: params[name] for name in ("response", "code", "error")}
    return replace(outcome, awaiting=awaiting, **kept, **texts)


def _make_metadata(job: Job, outcome: Outcome) -> dict[str, Any]:
    broke_off = {"broken_off": True} if outcome.partial else {}
    return {"workflow": job.workflow} | outcome.metadata | broke_off


def _make_params(job: Job, outcome: Outcome) -> dict[str, Any]:
    asks = bool(outcome.awaiting)
    completion: dict[str, Any] = {
        "response": outcome.response,
        "actions": outcome.actions,
        "sources": outcome.sources,
        "metadata": _make_metadata(job, outcome),
    }
    completion = events.clean(completion | ({"awaiting": outcome.awaiting} if asks else {}))
    failure = {"error": events.clean(outcome.error), "code": str(outcome.code)[:50]}
    message = failure["error"] or ("Waiting for your answer" if asks else "Completed")
    return {
        "job": job.pk,
        "session": job.session_id,
        "attempt": job.attempt,
        "state": str(job.state),
        "type": str(outcome.state),
        "asks": asks,
        "remembered": bool(job.options.get("memory", True)),
        "response": completion["response"],
        "partial": events.clean(outcome.partial),
        **{name: json.dumps(completion[name]) for name in ("actions", "sources", "metadata")},
        "offers": json.dumps(events.clean(outcome.offers)) if outcome.offers else None,
        "awaiting": json.dumps(completion["awaiting"]) if asks else None,
        **failure,
        "traceback": events.clean(outcome.traceback),
        "lost": outcome.lost,
        "message": message[: events.MESSAGE_LENGTH],
        "data": json.dumps(completion if outcome.state == State.COMPLETED else failure),
    }
