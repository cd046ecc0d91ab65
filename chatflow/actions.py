"""Using an action that an answer offered."""

import hashlib

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow import serializers
from chatflow.limits import check_rate, slot
from chatflow.parsers import canonical
from chatflow.views import ERROR, KEY, idempotency_key, sent_answer
from workflows import offers, services


@extend_schema(
    summary="Use an action that was offered",
    parameters=[KEY],
    request=serializers.ActSerializer,
    responses={
        200: serializers.ResultSerializer,
        202: serializers.StartedSerializer,
        **dict.fromkeys([400, 401, 403, 404, 409, 413, 415, 429, 500, 503, 504], ERROR),
    },
)
@api_view(["POST"])
def act(request: Request) -> Response:
    asked = serializers.ActSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    asked = asked.validated_data
    key = idempotency_key(request)
    check_rate(request.user, key)
    with slot(asked["mode"], request.user) as mode:
        started = offers.act(
            request.user,
            asked["session_id"],
            asked["action_id"],
            data=asked.get("data"),
            mode=mode,
            on_busy=asked["on_busy"],
            idempotency_key=key,
            body_hash=hashlib.sha256(canonical(request.data)).hexdigest(),
        )
        job = started.job
        if job.mode == "sync" and not started.replayed:
            job = services.run_inline(job)
    return sent_answer(request, job, replayed=started.replayed)
