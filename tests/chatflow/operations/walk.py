"""Rows with a canary wherever there are words, and all that the admin can be asked for."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import BinaryField, Field, JSONField, Model
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from chatflow.models import Token
from chatflow.operations.admin.bulk_acts import ACTS as BULK_ACTS
from chatflow.operations.job_page.acts import ACTS
from chatflow.workflows.knowledge.models import Attachment, Chunk, Document, UnreadFile
from chatflow.workflows.models import (
    ActionUse,
    ApprovalRequest,
    DailyUsage,
    Event,
    Feedback,
    Job,
    Message,
    Session,
    State,
    Step,
    TaskRun,
    UsageFigures,
    UsageSums,
)
from chatflow.workflows.texts import TEXTS

CANARY = "canary7b3f"
SCHEMA = {
    "type": "object",
    "properties": {CANARY: {"type": "string", "title": CANARY}},
    "required": [CANARY],
}


def fill(user: Any, key: str = "s1", state: str = State.FAILED) -> list[Model]:
    """Make a row of each kind that a user leaves, with the canary in each column of words."""
    now = timezone.now()
    session = _make(Session, user=user, key=key, summary_upto=1)
    job = _make(
        Job,
        user=user,
        session=session,
        workflow="echo",
        mode="async",
        state=state,
        attempt=1,
        last_seq=2,
        started_at=now - timedelta(seconds=2),
        finished_at=None if state == State.QUEUED else now,
        options={"memory": True, "note": CANARY},
        awaiting={"kind": "text", "prompt": CANARY, "optional": False},
        actions=[{"id": "action_1", "type": "message", "label": CANARY}],
        sources=[{"title": CANARY, "url": "/there", "quote": CANARY}],
    )
    message = _make(Message, session=session, job=job, role="user")
    _make(Message, session=session, job=job, role="assistant", cut=True)
    document = _make(
        Document, owner=user, session=session, kind="text", path=f"{CANARY}/{session.pk}"
    )
    return [
        session,
        job,
        message,
        _make(Step, root=job, job=job, name="Reading", occurrence=1, attempt=1),
        *(
            _make(Event, job=job, seq=seq, type=kind, progress=1, attempt=1)
            for seq, kind in (
                (1, "progress"),
                (2, "progress" if state == State.QUEUED else "failed"),
            )
        ),
        _make(Feedback, job=job, value="down"),
        ActionUse.objects.create(action_id=f"action_{job.pk:032}", offered_by=job),
        _ask_approval(job, approved=True, decided_at=now),
        DailyUsage.objects.get_or_create(user=user, day=now.date(), defaults={"tokens": 5})[0],
        UsageFigures.objects.get_or_create(user=user, day=now.date(), workflow="w", model="m")[0],
        UsageSums.objects.get_or_create(user=user, since=now.date(), workflow="w", model="m")[0],
        document,
        _make(UnreadFile, owner=user, document=document, error="No."),
        _make(Attachment, message=message, document=document, position=1, kind="text", size=3),
        _make(Chunk, document=document, position=1, audience="all"),
        _make(TaskRun, status="READY"),
        _make(Token, user=user, digest=f"d{job.pk}", token_key="k", expiry=None),
    ]


def ask(user: Any) -> list[Model]:
    """Make a conversation whose latest job waits for an approval with a form; and one that runs."""
    now = timezone.now()
    session = _make(Session, user=user, key="asks", summary_upto=0)
    own = {"user": user, "session": session, "workflow": "echo", "mode": "async"}
    own |= {"attempt": 1, "started_at": now, "last_seq": 1}
    job = _make(
        Job,
        **own,
        state=State.COMPLETED,
        finished_at=now,
        actions=[],
        sources=[],
        awaiting={"kind": "approval", "prompt": CANARY, "schema": SCHEMA},
    )
    session.open_job = job
    session.save()
    other = _make(Session, user=user, key="runs", summary_upto=0)
    running = _make(
        Job,
        **(own | {"session": other}),
        state=State.PROCESSING,
        claimed_at=now,
        lease_until=now + timedelta(minutes=1),
        actions=[],
        sources=[],
        awaiting=None,
    )
    _make(Event, job=running, seq=1, type="delta", progress=1, attempt=1, data={"delta": CANARY})
    return [session, job, other, running, _ask_approval(job, answer=None, reason="")]


def _ask_approval(job: Job, **values: Any) -> Any:
    return _make(
        ApprovalRequest,
        user=job.user,
        session=job.session,
        job=job,
        workflow="echo",
        expires_at=timezone.now() + timedelta(days=1),
        schema=SCHEMA,
        **values,
    )


def _make(model: Any, **values: Any) -> Any:
    words = {name: _word(model._meta.get_field(name)) for name in TEXTS[model._meta.label_lower]}
    return model._base_manager.create(**(words | values))


def _word(field: "Field[Any, Any]") -> Any:
    if isinstance(field, JSONField):
        return [CANARY] if field.default is list else {"said": CANARY}
    return CANARY.encode() if isinstance(field, BinaryField) else CANARY


def addresses(rows: list[Model]) -> Iterator[str]:
    """Yield every address of the admin, those with a place for a row's key with each of its rows.

    Pages of other models than those of *rows* are not ours, and left out.
    """
    keys: dict[str, set[str]] = {}
    for row in rows:
        kind = f"/admin/{row._meta.app_label}/{row._meta.model_name}/"
        keys.setdefault(kind, set()).update({str(row.pk), getattr(row, "public_id", str(row.pk))})
    # Of persons, by a user's key, and of what is no model's.
    keys["/admin/chatflow_operations/act/persons/"] = keys["/admin/auth/user/"]
    for resolver in get_resolver().url_patterns:
        if getattr(resolver, "namespace", None) == "admin":
            for address, names in _walk(resolver, "/"):
                if not names and "(" not in address:
                    yield address
                kind = "/".join(address.split("/")[: 5 if "/persons/" in address else 4]) + "/"
                for key in sorted(keys.get(kind, ())) if names else ():
                    yield re.sub("<.*?>", key, address)


def _walk(at: Any, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the addresses below *at*, with what stands in them for a key."""
    prefix += str(at.pattern)
    if isinstance(at, URLResolver):
        for each in at.url_patterns:
            yield from _walk(each, prefix)
    elif isinstance(at, URLPattern):
        yield prefix, at.pattern.converters


def posts(rows: list[Model]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the admin's forms would send: each act with rows, its preview and itself."""
    for model, model_admin in admin.site._registry.items():
        keys = [str(row.pk) for row in rows if type(row) is model]
        if not keys:
            continue
        listed = _address(model, "changelist")
        for action in ("delete_selected", *(model_admin.actions or ())):
            chosen = {"action": str(action), "_selected_action": keys}
            yield listed, chosen
            yield listed, {**chosen, "post": "yes"}
        # The last one is the one that is open.
        yield _address(model, "change", keys[-1]), {"decision": "approve"}
        yield _address(model, "change", keys[0]), {"read_again": "1"}
        yield _address(model, "delete", keys[0]), {"post": "yes"}
    jobs = [str(row.pk) for row in rows if type(row) is Job]
    for act in BULK_ACTS:
        for scope in ("selected", "all"):
            chosen = {"act": act.name, "scope": scope, "job": jobs}
            yield _address(Job, "bulk"), chosen
        yield _address(Job, "bulk"), {**chosen, "confirmed": "1", "queue": "default"}
    for job in jobs:
        for name in ACTS:
            yield _address(Job, "act", job, name), {"text": "x", "answer": "{}", "input": "{}"}


def _address(model: type[Model], name: str, *args: str) -> str:
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)
    except NoReverseMatch:
        return "/admin/"
