"""A run: begun once, and followed as often as a client comes back."""

from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from chatflow.access.scopes import own_jobs, reach_of
from chatflow.answers.schema import refusals
from chatflow.dialects import BREAK
from chatflow.dialects.ag_ui import JSON, AgUi, Run, Thread
from chatflow.endpoints import speaking
from chatflow.endpoints.ag_ui import answers, histories
from chatflow.endpoints.ag_ui.inputs import Asked, RunSerializer, read
from chatflow.endpoints.views import api_view
from chatflow.streams import following
from chatflow.streams.of_job import HEADERS
from chatflow.workflows.exceptions import ApprovalDecided, JobNotFound, QuestionClosed
from chatflow.workflows.models import Job

STREAM = {(200, "text/event-stream"): OpenApiTypes.STR}
# What the slower one of two requests for one run is told of the question that both answer.
LOST = (ApprovalDecided, QuestionClosed)


RUN: dict[str, Any] = {
    "summary": "Run an agent",
    "description": "AG-UI 1.0: Server-Sent Events. The same `runId` again goes on with the run.",
    "request": RunSerializer,
    "responses": {**STREAM, **refusals(400, 401, 403, 404, 409, 413, 415, 429, 503)},
}


@extend_schema(operation_id="ag_ui_run", **RUN)
@api_view(["POST"])
def run(request: Request) -> HttpResponse:
    return run_once(request, "")


@extend_schema(operation_id="ag_ui_run_workflow", **RUN)
@api_view(["POST"])
def run_workflow(request: Request, workflow: str) -> HttpResponse:
    return run_once(request, workflow)


def run_once(request: Request, workflow: str) -> HttpResponse:
    """Begin a run, or go on with it where it has begun."""
    asked = read(request.data)
    following.check_room(request)
    job = find(request, asked.run)
    if job is not None:
        return go_on(request, job, asked.run, asked.messages)
    wanted = speaking.wanted(request, workflow)
    if asked.resume is not None and asked.resume.cancels:
        question = answers.drop(request, asked.run, asked.resume)
        return HttpResponse(AgUi(question, asked.run).dropped(), headers=HEADERS)
    try:
        # Another token of the user's may have begun it at this very moment.
        job = _in_reach(request, begin(request, asked, wanted))
    except LOST:
        job = find(request, asked.run)
        if job is None:
            raise
    return follow(request, job, asked.run, histories.as_sent(asked.messages))


def find(request: Request, run: Run) -> Job | None:
    """Return the job that the run is, if it has begun.

    Raises:
        JobNotFound: the request's token is not for it.
    """
    mine = own_jobs(request).filter(session__key=run.thread_id)
    named = Q(idempotency_key=key_of(run)) | Q(public_id=run.run_id)
    job = mine.filter(named).select_related("session").first()
    return None if job is None else _in_reach(request, job)


def _in_reach(request: Request, job: Job) -> Job:
    if not reach_of(request).includes(job):
        raise JobNotFound
    return job


def begin(request: Request, asked: Asked, wanted: speaking.Wanted) -> Job:
    """Begin the job that the run is, with an answer to a question or with a message."""
    key = key_of(asked.run)
    if asked.resume is not None:
        return answers.give(request, asked.run, asked.resume, key)
    return speaking.say(
        request,
        speaking.check_text(asked.words),
        session_key=asked.run.thread_id,
        wanted=wanted,
        key=key,
        # Whatever else the client sends with it, the same run is the same message.
        body_hash="",
    ).job


def key_of(run: Run) -> str:
    """Return the Idempotency-Key of the run's job; run_of() finds the client's name in it."""
    return f"{speaking.own_key(AgUi.name, run.thread_id)}:{run.run_id}"


def run_of(job: Job) -> Run:
    """Return the run that the job is; one that is none of this dialect is called as the job is."""
    run = Run(job.session.key, "")
    key, prefix = job.idempotency_key or "", key_of(run)
    return Run(run.thread_id, key.removeprefix(prefix) if key.startswith(prefix) else job.public_id)


def follow(request: Request, job: Job, run: Run, thread: Thread) -> HttpResponse:
    """Stream a run that has just begun."""
    dialect = AgUi(job, run, thread)
    opening = dialect.connected(job)
    encoding, frames = following.encode(job, dialect)
    if BREAK in frames:
        opening, frames = dialect.so_far(thread), frames[-1:] if encoding.ended else []
    return following.stream(request, job, encoding, b"".join([opening, *frames]))


def go_on(request: Request, job: Job, run: Run, messages: list[JSON]) -> HttpResponse:
    """Stream a run to a client that comes back.

    Args:
        request: its token is for the job.
        job: the run.
        run: what the client calls it.
        messages: those that the client has.
    """
    thread = histories.as_stored(request, job, messages)
    dialect = AgUi(job, run, thread)
    encoding, frames = following.encode(job, dialect)
    last = frames[-1] if encoding.ended else b""
    return following.stream(request, job, encoding, dialect.so_far(thread) + last)
