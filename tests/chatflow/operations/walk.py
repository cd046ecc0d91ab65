"""Rows with a canary wherever there are words, and all addresses of the admin."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import BinaryField, Field, JSONField, Model
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from chatflow.models import Token
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
        _make(
            ApprovalRequest,
            user=user,
            session=session,
            job=job,
            workflow="echo",
            expires_at=now + timedelta(days=1),
            approved=True,
            decided_at=now,
        ),
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


def _make(model: Any, **values: Any) -> Any:
    words = {name: _word(model._meta.get_field(name)) for name in TEXTS[model._meta.label_lower]}
    return model._base_manager.create(**(words | values))


def _word(field: "Field[Any, Any]") -> Any:
    if isinstance(field, JSONField):
        return [CANARY] if field.default is list else {"said": CANARY}
    return CANARY.encode() if isinstance(field, BinaryField) else CANARY


def addresses(rows: list[Model]) -> Iterator[str]:
    """Yield every address of the admin, those with a place for a row's key with each key."""
    patterns: Any = get_resolver().url_patterns
    keys = {name for row in rows for name in (str(row.pk), getattr(row, "public_id", "")) if name}
    for resolver in patterns:
        if getattr(resolver, "namespace", None) == "admin":
            yield from _walk(resolver, "/", rows, keys)


def _walk(at: Any, prefix: str, rows: list[Model], keys: set[str]) -> Iterator[str]:
    prefix += str(at.pattern)
    if isinstance(at, URLResolver):
        for each in at.url_patterns:
            yield from _walk(each, prefix, rows, keys)
    elif isinstance(at, URLPattern):
        if not at.pattern.converters and "(" not in prefix:
            yield prefix
        for model in {type(row) for row in rows}:
            if prefix.startswith(f"/admin/{model._meta.app_label}/{model._meta.model_name}/"):
                keys = {str(row.pk) for row in rows if isinstance(row, model)} | {
                    str(getattr(row, "public_id", row.pk)) for row in rows if isinstance(row, model)
                }
        if at.pattern.converters:
            for key in sorted(keys):
                address = prefix
                for name, converter in at.pattern.converters.items():
                    for spelled in (f"<path:{name}>", f"<{name}>", f"<str:{name}>"):
                        address = address.replace(spelled, key)
                    kind = type(converter).__name__.removesuffix("Converter").lower()
                    address = address.replace(f"<{kind}:{name}>", key)
                yield address
