"""Sending a message, and the part shared by all that starts a job."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.limits import check_rate, slot
from chatflow.access.scopes import check_message, reach_of
from chatflow.access.tenants import tenant_of
from chatflow.answers import bodies
from chatflow.answers.bodies import ResultBody, StartedBody
from chatflow.answers.schema import KEY, refusals
from chatflow.endpoints.views import api_view
from chatflow.wire import serializers
from chatflow.wire.parsers import canonical
from chatflow.workflows import services
from chatflow.workflows.exceptions import InProgress
from chatflow.workflows.models import Job, State
from chatflow.workflows.services import Mode, OnBusy, Started


@extend_schema(
    summary="Send a message",
    parameters=[KEY],
    request=serializers.SendSerializer,
    responses={
        200: ResultBody,
        202: StartedBody,
        **refusals(400, 401, 403, 404, 409, 413, 415, 429, 500, 503, 504),
    },
)
@api_view(["POST"])
def send(request: Request) -> Response:
    sent = serializers.validated_send(request.data)
    reach = reach_of(request)
    check_message(reach, sent)

    def start(**how: Any) -> Started:
        return services.start(
            request.user,
            sent["message"],
            tenant=tenant_of(request),
            session_key=sent["session_id"],
            options=serializers.options(sent),
            sent_files=sent["files"],
            edits=sent["edits"],
            workflow=sent["workflow"],
            reach=reach,
            **how,
        )

    return turn(request, start, mode=sent["mode"], on_busy=sent["on_busy"])


def turn(
    request: Request, start: Callable[..., Started], *, mode: Mode, on_busy: OnBusy
) -> Response:
    """Take a request that starts a job: bound it, start, run a sync one, and answer.

    Args:
        request: whose body, with its Idempotency-Key, starts one job only.
        start: takes the arguments common to the verbs that start jobs; see services.start().
        mode: as the client asked for it.
        on_busy: likewise.
    """
    key = idempotency_key(request)
    with slot(mode, request.user) as allowed:
        started = start(
            mode=allowed,
            on_busy=on_busy,
            idempotency_key=key,
            body_hash=hash_body(request),
            admit=partial(check_rate, request.user),
        )
        job = started.job
        if job.mode == "sync" and not started.replayed:
            job = services.run_inline(job)
    return sent_answer(request, job, replayed=started.replayed)


def sent_answer(request: Request, job: Job, *, replayed: bool = False) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    if replayed and job.mode == "sync" and not job.is_finished:
        raise InProgress
    # A sync job that isn't finished was lost to a worker, which goes on with it.
    if job.mode == "async" or not job.is_finished:
        return Response(bodies.started(request, job), status=202, headers=headers)
    return Response(
        bodies.finished(job), status=bodies.SYNC_STATUS[State(job.state)], headers=headers
    )


def idempotency_key(request: Request) -> str | None:
    key: str = request.META.get("HTTP_IDEMPOTENCY_KEY", "").strip()
    if len(key) > 255 or not key.isprintable():
        raise ValidationError("The Idempotency-Key must be at most 255 printable characters.")
    return key or None


def hash_body(request: Request, body: Any = None) -> str:
    """Return what tells whether two requests with one Idempotency-Key are the same.

    A token's workflow counts like a word of the body: it decides what becomes of the message.

    Args:
        request: whose key it is.
        body: what counts of it; by default its whole body.
    """
    workflow = reach_of(request).workflow
    # JSON has no such character.
    limit = f"\0{workflow}" if workflow else ""
    said = canonical(request.data if body is None else body)
    return hashlib.sha256(said + limit.encode()).hexdigest()
