"""A conversation as a whole: its owner takes it along, or deletes it."""

from typing import Any

from django.db.models import Prefetch
from django.utils.text import slugify
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow import answers, serializers
from chatflow.moments import iso
from chatflow.views import ERROR, find_session
from workflows import offers, services
from workflows.models import ApprovalRequest, Job, Message, Session, Step


@extend_schema(
    summary="Delete a conversation",
    responses={
        200: serializers.DeletedSerializer,
        **dict.fromkeys([401, 403, 404, 503], ERROR),
    },
)
@api_view(["DELETE"])
def delete(request: Request, session_id: str) -> Response:
    return deleted(request, session_id)


@extend_schema(
    methods=["GET"],
    summary="Take a conversation along",
    description="The answer is a download.",
    responses={200: serializers.ExportSerializer, **dict.fromkeys([401, 404, 503], ERROR)},
)
@extend_schema(methods=["DELETE"], exclude=True)
@api_view(["GET", "DELETE"])
def export(request: Request, session_id: str) -> Response:
    if request.method == "DELETE":
        # The key may have slashes, and these may be its last words.
        return deleted(request, f"{session_id}/export")
    session = find_session(request.user, session_id)
    filename = f"{slugify(session.key)[:100] or 'conversation'}.json"
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(exported(session), headers=headers)


def deleted(request: Request, session_id: str) -> Response:
    session = find_session(request.user, session_id)
    jobs = services.delete_session(session)
    return Response({"success": True, "session_id": session.key, "jobs": jobs})


def exported(session: Session) -> dict[str, Any]:
    """Return all that is kept of a conversation, but for what is the engine's own."""
    public = Step.objects.filter(question=False).order_by("pk")
    public = public.only("job", "name", "duration_ms", "created_at")
    found = session.jobs.defer("traceback").prefetch_related(Prefetch("steps", public))
    jobs = {job.pk: job for job in found.order_by("pk")}
    messages = list(session.messages.order_by("pk"))
    approvals = list(session.approval_requests.order_by("pk"))
    rows: list[Message | ApprovalRequest] = [*messages, *approvals]
    for row in rows:
        # Without another query for each of them.
        row.job = jobs.get(row.job_id) if row.job_id else None
    used = offers.used(jobs.values())
    return {
        "success": True,
        "session_id": session.key,
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
        "summary": session.summary,
        "messages": [answers.message(row, used) for row in messages],
        "jobs": [exported_job(job) for job in jobs.values()],
        "approvals": [exported_approval(row) for row in approvals],
    }


def exported_job(job: Job) -> dict[str, Any]:
    return {
        **answers.summary(job),
        "text": job.text,
        "options": job.options,
        **answers.outcome(job),
        "usage": job.usage,
        "steps": [
            {
                "name": step.name,
                "duration_ms": step.duration_ms,
                "finished_at": iso(step.created_at),
            }
            for step in job.steps.all()
        ],
    }


def exported_approval(row: ApprovalRequest) -> dict[str, Any]:
    return {
        **answers.approval(row),
        "approved": row.approved,
        "reason": row.reason,
        "answer": row.answer,
        "by": row.by,
        "via": row.via,
        "decided_at": iso(row.decided_at) if row.decided_at else None,
    }
