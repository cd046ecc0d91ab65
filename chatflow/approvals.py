"""What waits for the user's approval, and their decision."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow import answers, serializers
from chatflow.limits import check_rate, slot
from chatflow.views import ERROR, sent_answer
from workflows.models import ApprovalRequest
from workflows.services import decisions

# The longest list that is answered; what comes after shows when these are decided.
MOST = 100


@extend_schema(
    summary="List what waits for your approval",
    responses={200: serializers.ApprovalsSerializer, **dict.fromkeys([401, 503], ERROR)},
)
@api_view(["GET"])
def pending(request: Request) -> Response:
    waiting = decisions.pending(request.user)[:MOST]
    return Response({"success": True, "approvals": [answers.approval(row) for row in waiting]})


@extend_schema(
    summary="Approve or reject",
    description="The workflow goes on with it, in the background.",
    request=serializers.DecisionSerializer,
    responses={
        202: serializers.StartedSerializer,
        **dict.fromkeys([400, 401, 403, 404, 409, 413, 415, 429, 503], ERROR),
    },
)
@api_view(["POST"])
def decide(request: Request, approval_id: str) -> Response:
    asked = decisions.get_request(request.user, approval_id)
    decision = serializers.DecisionSerializer(data=request.data)
    decision.is_valid(raise_exception=True)
    check_rate(request.user)
    with slot("async", request.user):
        job = decisions.decide(
            asked, by=request.user, via=ApprovalRequest.Via.API, **decision.validated_data
        )
    return sent_answer(request, job)
