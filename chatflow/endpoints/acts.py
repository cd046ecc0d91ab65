"""Using an action that an answer offered."""

from functools import partial

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.tenants import tenant_of
from chatflow.answers.bodies import ResultBody, StartedBody
from chatflow.answers.schema import KEY, refusals
from chatflow.endpoints.sends import turn
from chatflow.endpoints.views import api_view
from chatflow.wire.serializers import ActSerializer
from chatflow.workflows.services import offers


@extend_schema(
    summary="Use an action that was offered",
    parameters=[KEY],
    request=ActSerializer,
    responses={
        200: ResultBody,
        202: StartedBody,
        **refusals(400, 401, 403, 404, 409, 413, 415, 429, 500, 503, 504),
    },
)
@api_view(["POST"])
def act(request: Request) -> Response:
    serializer = ActSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    asked = serializer.validated_data
    start = partial(
        offers.act,
        request.user,
        asked["session_id"],
        asked["action_id"],
        tenant=tenant_of(request),
        data=asked.get("data"),
    )
    return turn(request, start, mode=asked["mode"], on_busy=asked["on_busy"])
