"""Limits of Bearer tokens: a scope, and a workflow. All that a token may not do is refused here.

A token without limits may do all that its user may do by the API, but make further tokens.
"""

from typing import Any, TypedDict

from django.http import HttpRequest
from django.urls import resolve
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from chatflow.models import Token
from chatflow.serializers import Sent
from workflows import services
from workflows.dialogue import answers
from workflows.exceptions import JobNotFound
from workflows.models import Job, Session
from workflows.models import JobQuerySet as Jobs

# Endpoints, by their names in urls.py.
FOLLOWING = {"status", "stream"}
WATCHING = {"stream_all"}
SENDING = {"send", "action", "cancel", "retry", *FOLLOWING}
# A conversation as a whole, approvals and documents are no single workflow's.
OF_ONE_WORKFLOW = {"send", "cancel", "retry", "jobs", *FOLLOWING, *WATCHING}


class TokenRefused(PermissionDenied):
    """The token is good, but not for this."""

    default_detail = "This token may not do that."


class Aim(TypedDict, total=False):
    """The arguments of services.start() by which a message gets to its workflow."""

    workflow: str | None
    answers_to: Job | None


def check(token: Token, request: HttpRequest | Request) -> None:
    """See to it that the request is within the token's limits.

    Args:
        token: it has been found good.
        request: for an endpoint of the API.

    Raises:
        TokenRefused: it isn't.
        JobNotFound: it is about a job of a workflow that the token isn't for.
    """
    if token.scope == Token.Scope.ALL and not token.workflow:
        return
    # Streams don't come by Django's own way.
    match: Any = request.resolver_match or resolve(request.path_info)
    if not _may_call(token, match.url_name, request.method or ""):
        raise TokenRefused
    if token.workflow and "job_id" in match.kwargs:
        _check_job(token, match.kwargs["job_id"])


def _may_call(token: Token, endpoint: str | None, method: str) -> bool:
    if token.workflow and endpoint not in OF_ONE_WORKFLOW:
        return False
    if token.scope == Token.Scope.READ:
        return method in SAFE_METHODS
    return token.scope == Token.Scope.ALL or endpoint in SENDING


def _check_job(token: Token, public_id: str) -> None:
    if services.get_job(token.user, public_id).workflow != token.workflow:
        raise JobNotFound


def visible_jobs(request: Request) -> Jobs:
    """Return the jobs that may be listed: the user's, or those of the token's workflow."""
    jobs = Job.objects.visible_to(request.user)
    workflow = _workflow(request)
    return jobs.filter(workflow=workflow) if workflow else jobs


def aim(request: Request, sent: Sent) -> Aim:
    """Return where a message is to go: with a token for one workflow to that, and nowhere else.

    It answers the question of that workflow that is open in the conversation, or starts it.

    Raises:
        TokenRefused: the message names another workflow.
    """
    workflow = _workflow(request)
    if not workflow or sent["workflow"] == workflow:
        return {"workflow": sent["workflow"]}
    if sent["workflow"] is not None:
        raise TokenRefused
    question = _open_question(request.user, sent["session_id"])
    is_answer = sent["actions"] and not answers.is_cancel(sent["message"])
    if is_answer and question is not None and question.workflow == workflow:
        return {"answers_to": question}
    return {"workflow": workflow}


def _workflow(request: Request) -> str:
    return request.auth.workflow if isinstance(request.auth, Token) else ""


def _open_question(user: Any, key: str) -> Job | None:
    session = Session.objects.filter(user=user, key=key).select_related("open_job__root").first()
    return session.open_job if session is not None else None
