"""What lies beside a million jobs: usage, approvals, acts, documents and others; a long job."""

from datetime import timedelta
from typing import Any

from django.db import connection

from bench.many_jobs import PER_SESSION, USERS, moments, owner
from bench.rows import ago, as_json, day, make, public_id
from chatflow.operations.models import Act
from chatflow.workflows import clock
from chatflow.workflows.knowledge.models import EVERYBODY, Chunk, Document
from chatflow.workflows.models import (
    ApprovalRequest,
    DailyUsage,
    Event,
    Feedback,
    Job,
    Session,
    State,
    Step,
    TaskRun,
    UsageFigures,
    UsageMark,
)
from chatflow.workflows.store import usage_figures

# Of the usage: so many workflows and models for each user and day.
WORKFLOWS, MODELS, DAYS = 3, 2, 366
# One in so many jobs has a request for approval, feedback, an act of the staff, or is a task.
APPROVALS, OPEN, RATED, ACTED, TASKS = 5, 50, 20, 3, 5
DOCUMENTS, CHUNKS = 10_000, 10
# Of the long job.
EVENTS, STEPS = 2000, 300


def fill(user: int, jobs: int) -> None:
    """Store the rest of what an operator sees, in proportion to so many jobs.

    At a million there are 180,000 rows of usage in a month.
    """
    per_day = max(1, USERS * jobs // 1_000_000) * WORKFLOWS * MODELS
    of_usage = {
        "day": day(f"(number - 1) / {per_day}"),
        "user_id": f"{user} + 1 + (number - 1) % {per_day} / {WORKFLOWS * MODELS}",
        "workflow": f"'workflow-' || ((number - 1) % {WORKFLOWS})",
        "model": f"'model-' || ((number - 1) / {WORKFLOWS} % {MODELS})",
        "input_tokens": "812 * (number % 7 + 1)",
        "output_tokens": "240 * (number % 5 + 1)",
        "cost": "(number % 900) / 10000.0",
        "requests": "(number % 7 + 1)",
    }
    make(UsageFigures(), DAYS * per_day, of_usage)
    UsageMark.objects.create(finished_at=clock.now())
    while usage_figures.sum_up():
        pass
    make(
        DailyUsage(),
        USERS,
        {"user_id": f"{user} + number", "day": day("0"), "tokens": "number * 100"},
    )
    _fill_approvals(user, jobs)
    rated = {"job_id": f"number * {RATED}"}
    rated["value"] = "CASE WHEN number % 3 = 0 THEN 'down' ELSE 'up' END"
    make(Feedback(), jobs // RATED, rated)
    of_act = {
        "at": moments(jobs, f"(number * {ACTED})"),
        "who": "'operator-' || (number % 20)",
        "act": "CASE WHEN number % 2 = 0 THEN 'Cancel' ELSE 'Retry' END",
        "target_id": public_id("workflow"),
    }
    acted = Act(target_type="chatflow_workflows.job", origin="10.0.0.1", why="It was late.")
    make(acted, jobs // ACTED, of_act)
    _fill_documents(user)
    of_task = {
        "public_id": public_id("task"),
        "path": "'shop.tasks.task_' || (number % 10)",
        "status": "CASE WHEN number % 50 = 0 THEN 'FAILED' ELSE 'SUCCESSFUL' END",
        **dict.fromkeys(("enqueued_at", "finished_at"), moments(jobs, f"(number * {TASKS})")),
    }
    make(TaskRun(backend="default"), jobs // TASKS, of_task)


def _fill_approvals(user: int, jobs: int) -> None:
    """Store requests for approval; the newest are open, the others were decided."""
    count = jobs // APPROVALS
    job, is_open = f"(number * {APPROVALS})", f"number > {count - OPEN}"
    session = f"({job} / {PER_SESSION} + 1)"
    of_approval = {
        "public_id": public_id("approval"),
        "job_id": job,
        "session_id": session,
        "user_id": owner(user, session),
        "workflow": "CASE WHEN number % 10 = 1 THEN 'bench_turn' ELSE 'bench_noop' END",
        "details": as_json("""'{"amount": ' || number || ', "to": "the shop"}'"""),
        "created_at": moments(jobs, job),
        "expires_at": f"CASE WHEN {is_open} THEN {ago('-86400')} ELSE {moments(jobs, job)} END",
        "approved": f"CASE WHEN {is_open} THEN NULL ELSE (number % 4 > 1) END",
        "decided_at": f"CASE WHEN {is_open} THEN NULL ELSE {moments(jobs, job)} END",
        "via": f"CASE WHEN {is_open} THEN '' WHEN number % 4 = 0 THEN 'expiry' "
        "WHEN number % 4 = 1 THEN 'chat' ELSE 'admin' END",
    }
    make(ApprovalRequest(prompt="Shall I pay this bill?"), count, of_approval)
    asking = ApprovalRequest.objects.order_by("-pk").values_list("session", "job")[:OPEN]
    for session_id, job_id in asking:
        Session.objects.filter(pk=session_id).update(open_job=job_id)


def _fill_documents(user: int) -> None:
    key = "lower(substr('00000000000000000000000000000000' || {}, -32))"
    if connection.vendor == "postgresql":
        key = "lpad(({})::text, 32, '0')::uuid"
    of_document = {
        "id": key.format("number"),
        "title": "'Document ' || number",
        "content": "''",
        "owner_id": f"CASE WHEN number % 2 = 0 THEN {user} + 1 + number % {USERS} END",
        "kind": "CASE WHEN number % 3 = 0 THEN 'pdf' ELSE 'markdown' END",
        **dict.fromkeys(("created_at", "updated_at"), ago("number * 60")),
    }
    make(Document(content_hash="0", chunk_count=CHUNKS), DOCUMENTS, of_document)
    text = "The shop sends what was ordered before noon on the same day, number "
    document = f"((number - 1) / {CHUNKS} + 1)"
    of_chunk = {
        "id": "number",
        "document_id": key.format(document),
        "position": f"(number - 1) % {CHUNKS} + 1",
        "title": f"'Document ' || {document}",
        "text": f"'{text}' || number",
        "terms": "'shop send order noon same day ' || number",
    }
    make(Chunk(audience=EVERYBODY), DOCUMENTS * CHUNKS, of_chunk)


def make_long_job(user: int) -> int:
    """Store a job with many events and steps, in a session of its own; return its key."""
    now = clock.now()
    session = Session.objects.create(user_id=user, key="long")
    job = Job.objects.create(
        user_id=user,
        session=session,
        workflow="bench_turn",
        text="Take your time.",
        mode="async",
        state=State.COMPLETED,
        response="word " * (EVENTS - 2 * STEPS),
        attempt=1,
        last_seq=EVENTS,
        created_at=now - timedelta(seconds=EVENTS),
        started_at=now - timedelta(seconds=EVENTS),
        finished_at=now,
    )
    Event.objects.bulk_create(_make_event(job, seq) for seq in range(1, EVENTS + 1))
    Step.objects.bulk_create(
        Step(
            root=job,
            job=job,
            name=f"Step {number}",
            occurrence=1,
            attempt=1,
            result={"read": "word " * 100},
            created_at=now,
        )
        for number in range(STEPS)
    )
    return job.pk


def _make_event(job: Job, seq: int) -> Event:
    """Return an event: first it starts, then come the steps, then words, and its end."""
    number, is_end = divmod(seq - 2, 2)
    data: dict[str, Any]
    kind, data = Event.Type.DELTA, {"delta": "word "}
    if seq == 1:
        kind, data = Event.Type.STARTED, {}
    elif seq == EVENTS:
        kind, data = Event.Type.COMPLETED, {"response": job.response, "actions": [], "sources": []}
    elif number < STEPS:
        kind = Event.Type.STEP_FINISHED if is_end else Event.Type.STEP_STARTED
        data = {"step": {"name": f"Step {number}"}}
    at = job.created_at + timedelta(seconds=seq)
    return Event(job=job, seq=seq, type=kind, progress=1, data=data, attempt=1, created_at=at)
