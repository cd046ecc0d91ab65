"""A user's Bearer tokens: listed, made and revoked."""

from typing import Annotated, Any, NotRequired, TypedDict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.tenants import tenant_of
from chatflow.access.tokens import DAYS, MOST_DAYS, make_token, revoke, tokens_of
from chatflow.answers.bodies import Moment, Shown
from chatflow.answers.schema import refusals
from chatflow.endpoints.views import api_view
from chatflow.models import Token
from chatflow.wire.lengths import WORKFLOW_LENGTH
from chatflow.wire.moments import iso
from chatflow.wire.serializers import StrictCharField, no_control
from chatflow.workflows.exceptions import TokenRefused
from chatflow.workflows.permissions import usable_workflow

NAME_LENGTH = 100


class NewTokenSerializer(serializers.Serializer[Any]):
    name = StrictCharField(
        max_length=NAME_LENGTH, validators=[no_control], help_text="What you will know it by."
    )
    scope = serializers.ChoiceField(
        choices=Token.Scope.values,
        default=Token.Scope.ALL.value,
        help_text="`send` sends messages and follows their jobs, `read` changes nothing.",
    )
    workflow = StrictCharField(
        default="",
        allow_blank=True,
        max_length=WORKFLOW_LENGTH,
        validators=[no_control],
        help_text="The only workflow that it is for; by default all.",
    )
    days = serializers.IntegerField(
        default=DAYS, min_value=1, max_value=MOST_DAYS, help_text="How long it lives."
    )


class TokenBody(TypedDict):
    id: str
    name: str
    scope: Annotated[str, Shown(enum=tuple(Token.Scope))]
    workflow: Annotated[str | None, "The only one that it is for."]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Annotated[Moment | None, "To some minutes."]


class TokenAnswerBody(TypedDict):
    success: bool
    token: TokenBody
    secret: NotRequired[Annotated[str, "The token itself; it can't be shown again."]]


class TokensAnswerBody(TypedDict):
    success: bool
    tokens: list[TokenBody]


@extend_schema(
    methods=["GET"],
    operation_id="ai_demo_tokens_list",
    summary="List your tokens, the newest first",
    responses={200: TokensAnswerBody, **refusals(401, 403, 503)},
)
@extend_schema(
    methods=["POST"],
    summary="Make a token",
    description="For whoever is signed in: a token makes no further ones.",
    request=NewTokenSerializer,
    responses={201: TokenAnswerBody, **refusals(400, 401, 403, 409, 413, 415, 503)},
)
@api_view(["GET", "POST"])
def tokens(request: Request) -> Response:
    if request.method == "POST":
        return make(request)
    listed: TokensAnswerBody = {
        "success": True,
        "tokens": [described(row) for row in tokens_of(request.user)],
    }
    return Response(listed)


def make(request: Request) -> Response:
    if not isinstance(request.successful_authenticator, SessionAuthentication):
        raise TokenRefused
    asked = NewTokenSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    if workflow := asked.validated_data.get("workflow"):
        usable_workflow(workflow, request.user, tenant_of(request))
    row, secret = make_token(request.user, **asked.validated_data)
    body: TokenAnswerBody = {"success": True, "token": described(row), "secret": secret}
    return Response(body, status=201)


@extend_schema(
    summary="Revoke a token of yours",
    responses={200: TokenAnswerBody, **refusals(401, 403, 404, 503)},
)
@api_view(["DELETE"])
def token(request: Request, token_id: str) -> Response:
    body: TokenAnswerBody = {"success": True, "token": described(revoke(request.user, token_id))}
    return Response(body)


def described(row: Token) -> TokenBody:
    return {
        "id": row.public_id,
        "name": row.name,
        "scope": row.scope,
        "workflow": row.workflow or None,
        "created_at": iso(row.created),
        "expires_at": iso(row.expiry) if row.expiry else None,
        "last_used_at": iso(row.last_used_at) if row.last_used_at else None,
    }
