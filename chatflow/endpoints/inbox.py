"""Approvals that wait for the user, and their decision."""

from typing import Any, TypedDict

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.limits import check_rate, slot
from chatflow.access.scopes import find_approval
from chatflow.access.tenants import tenant_of
from chatflow.answers import bodies
from chatflow.answers.bodies import ApprovalBody, StartedBody
from chatflow.answers.schema import refusals
from chatflow.endpoints.sends import sent_answer
from chatflow.endpoints.views import api_view
from chatflow.wire.serializers import DecisionSerializer
from chatflow.workflows.models import ApprovalRequest, Job
from chatflow.workflows.services import decisions

# The longest list that is answered; the rest shows when these are decided.
MOST = 100


class ApprovalsBody(TypedDict):
    success: bool
    approvals: list[ApprovalBody]


@extend_schema(
    summary="List what waits for your approval",
    responses={200: ApprovalsBody, **refusals(401, 503)},
)
@api_view(["GET"])
def pending(request: Request) -> Response:
    waiting = decisions.pending(request.user, tenant=tenant_of(request))[:MOST]
    body: ApprovalsBody = {"success": True, "approvals": [bodies.approval(row) for row in waiting]}
    return Response(body)


@extend_schema(
    summary="Approve or reject",
    description="The workflow goes on with it, in the background.",
    request=DecisionSerializer,
    responses={
        202: StartedBody,
        **refusals(400, 401, 403, 404, 409, 413, 415, 429, 503),
    },
)
@api_view(["POST"])
def decide(request: Request, approval_id: str) -> Response:
    asked = find_approval(request, approval_id)
    return sent_answer(request, decided(request, asked, request.data))


def decided(request: Request, asked: ApprovalRequest, data: Any, key: str | None = None) -> Job:
    """Decide as *data* says, and return the job that goes on.

    Args:
        request: who decides, by a credential that may.
        asked: what is to be approved.
        data: a DecisionSerializer's.
        key: the Idempotency-Key of the job that goes on.

    Raises:
        ValidationError: the data is no decision.
        Throttled: there were too many messages.
        All that decisions.decide() raises.
    """
    decision = DecisionSerializer(data=data)
    decision.is_valid(raise_exception=True)
    return take(request, asked, idempotency_key=key, **decision.validated_data)


def take(request: Request, asked: ApprovalRequest, **decision: Any) -> Job:
    """Take a valid decision, and return the job that goes on.

    Args:
        request: who decides, by a credential that may.
        asked: what is to be approved.
        decision: what decisions.decide() takes beside.

    Raises:
        Throttled: there were too many messages.
        All that decisions.decide() raises.
    """
    check_rate(request.user)
    with slot("async", request.user):
        via = ApprovalRequest.Via.API
        return decisions.decide(asked, by=request.user, via=via, **decision)
