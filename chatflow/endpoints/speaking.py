"""What the endpoints of all dialects have in common: who may say what, and what is begun by it."""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from rest_framework.request import Request

from chatflow.access.limits import check_rate, slot
from chatflow.access.scopes import find_job, reach_of, visible_jobs
from chatflow.access.tenants import tenant_of, workflows_of
from chatflow.answers.bodies import StoppedBody
from chatflow.answers.errors import SessionNotFound
from chatflow.dialects import ids
from chatflow.endpoints import conversations
from chatflow.endpoints.sends import hash_body, idempotency_key
from chatflow.wire import serializers
from chatflow.workflows import clock, services
from chatflow.workflows.ai import names
from chatflow.workflows.exceptions import JobNotFound, TokenRefused
from chatflow.workflows.models import Job, Session
from chatflow.workflows.permissions import usable_workflow
from chatflow.workflows.services import Started

# The name under which the message decides.
ANY = "chatflow"
HEX = re.compile("[0-9a-f]{32}", re.ASCII)
# For how long a client that was away is told of a job that has ended.
LATELY = timedelta(hours=1)
_text = serializers.StrictCharField(validators=[serializers.words])
# Making a serializer's fields takes longer than to validate.
_session_key = serializers.SendSerializer().fields["session_id"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a client names as its model or agent.

    Args:
        workflow: the workflow that its message begins; empty where the message decides.
        model: the one to ask; None for the site's.
    """

    workflow: str = ""
    model: str | None = None


def wanted(request: Request, name: str | None) -> Wanted:
    """Read the name of a workflow, or of a model that may be chosen.

    Args:
        request: who names it.
        name: ``chatflow``, or nothing: the message decides.

    Raises:
        UnknownWorkflow: it's neither, or the user may not use the workflow.
    """
    if name in (None, "", ANY):
        return Wanted()
    if name in names.allowed():
        return Wanted(model=name)
    return Wanted(workflow=usable_workflow(str(name), request.user, tenant_of(request)).name)


def offered(request: Request) -> list[str]:
    """Return the names that wanted() knows, but for those that the request's token isn't for."""
    only, usable = reach_of(request).workflow, [each.name for each in workflows_of(request)]
    if only:
        return [only] if only in usable else []
    return [ANY, *usable, *names.allowed()]


def check_session_key(key: object) -> str:
    """Return the name of a conversation.

    Raises:
        ValidationError: it can't be one.
    """
    return str(_session_key.run_validation(key))


def check_text(text: str) -> str:
    """Return what a user says; unlike the seed's, it may be as long as the body of a request.

    Raises:
        ValidationError: there are no words in it.
    """
    return str(_text.run_validation(text))


def own_session(request: Request, key: str) -> Session | None:
    """Return the user's conversation of that name, if there is one."""
    return conversations.own_sessions(request).filter(key=key).first()


def find_session(request: Request, key: str) -> Session:
    """Return the user's conversation of that name.

    Raises:
        SessionNotFound: there is none, or none of which the request's token may see anything.
    """
    session = conversations.find_session(request, key)
    if reach_of(request).workflow and not visible_jobs(request).filter(session=session).exists():
        raise SessionNotFound
    return session


def own_job(request: Request, hex_id: str) -> Job:
    """Return the user's job whose public id ends in *hex_id*, if the request's token is for it.

    Raises:
        JobNotFound: there is none.
    """
    if not HEX.fullmatch(hex_id):
        raise JobNotFound
    job = find_job(request, f"{ids.JOB}{hex_id}")
    if not reach_of(request).includes(job):
        raise JobNotFound
    return job


def job_called(request: Request, public_id: object) -> Job:
    """Return the user's job of that public id, as own_job() does."""
    if not isinstance(public_id, str) or not public_id.startswith(ids.JOB):
        raise JobNotFound
    return own_job(request, ids.hex_of(public_id))


def say(
    request: Request,
    text: str,
    *,
    session_key: str,
    wanted: Wanted,
    key: str | None = None,
    body_hash: str | None = None,
    options: dict[str, Any] | None = None,
    answers_to: Job | None = None,
    edits: int | None = None,
    before_commit: Callable[[Job], None] | None = None,
) -> Started:
    """Store a message and the job that answers it: the open question's, or a new one's.

    Args:
        request: who says it. Its Idempotency-Key counts as in chat/send.
        text: what is said; see check_text().
        session_key: the conversation.
        wanted: what the client named.
        key: takes the place of the Idempotency-Key, where the dialect has one of its own.
        body_hash: tells whether two messages with one key are the same; by default the body's.
        options: the flags of send.
        answers_to: the job whose open question this answers, whatever its words are.
        edits: the primary key of the user's message that this one takes the place of.
        before_commit: called with the job in the transaction that stores it; may raise to refuse.

    Raises:
        TokenRefused: the token is for another workflow.
        Throttled: there were too many messages.
        All that services.start() raises.
    """
    reach = reach_of(request)
    if reach.workflow and wanted.workflow not in ("", reach.workflow):
        raise TokenRefused
    model = {"model": wanted.model} if wanted.model else {}
    key = key or idempotency_key(request)
    with slot("async", request.user):
        return services.start(
            request.user,
            text,
            tenant=tenant_of(request),
            session_key=session_key,
            mode="async",
            begins=wanted.workflow,
            options={**(options or {}), **model},
            edits=edits,
            idempotency_key=key,
            body_hash=(hash_body(request) if body_hash is None else body_hash) if key else "",
            reach=reach,
            admit=partial(check_rate, request.user),
            answers_to=answers_to,
            before_commit=before_commit,
        )


def newest_job(request: Request, session: Session) -> Job | None:
    """Return the job that answers in a conversation, or has just done so: a client may be away."""
    found = visible_jobs(request).filter(session=session).select_related("session")
    job = found.order_by("-pk").first()
    if job is None or (job.finished_at is not None and job.finished_at < clock.now() - LATELY):
        return None
    return job


def stop(request: Request, key: str) -> StoppedBody:
    """Cancel what a conversation is working on, and say how many jobs were told to stop.

    Raises:
        SessionNotFound: see find_session().
    """
    session = find_session(request, key)
    stopped = 0
    active = visible_jobs(request).filter(session=session, cancel_code="").active()
    # The latest first: else a waiting one would begin when the one before it ends.
    for job in active.order_by("-pk"):
        # Another workflow, out of the token's reach, may have taken it over.
        with suppress(JobNotFound):
            services.cancel(job, reach=reach_of(request))
            stopped += 1
    return {"success": True, "cancelled": stopped}


def own_key(dialect: str, *parts: str) -> str:
    """Return an Idempotency-Key that is made of a client's own names; of any length."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{dialect}:{digest}"
