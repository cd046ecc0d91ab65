"""Limits of Bearer tokens: a scope, and a workflow.

A request that is beyond them by itself is refused here. What a session works on and asks is certain
only when a message is stored there: the token's reach goes along, and the engine keeps to it.

A token without limits may do all that its user may do by the API, but make further tokens.
"""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import resolve
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from chatflow.access.tenants import tenant_of
from chatflow.models import Token
from chatflow.wire import routes
from chatflow.wire.serializers import Sent
from chatflow.workflows import services
from chatflow.workflows.exceptions import JobNotFound, TokenRefused
from chatflow.workflows.models import ApprovalRequest, Job
from chatflow.workflows.models import JobQuerySet as Jobs
from chatflow.workflows.services import Reach, decisions

# Endpoints, by their names in api.py.
FOLLOWING = {"status", "stream"}
WATCHING = {"stream_all"}
SENDING = {"send", "action", "cancel", "retry", "feedback", *FOLLOWING}
# A conversation as a whole, approvals and documents are no single workflow's.
OF_ONE_WORKFLOW = {"send", "cancel", "retry", "feedback", "jobs", *FOLLOWING, *WATCHING}


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
    if not _may_call(token, match, request.method or ""):
        raise TokenRefused
    if token.workflow and "job_id" in match.kwargs:
        tenant = tenant_of(request, token.user)
        job = services.get_job(token.user, match.kwargs["job_id"], tenant=tenant)
        if job.workflow != token.workflow:
            raise JobNotFound


def _may_call(token: Token, match: Any, method: str) -> bool:
    # Those of the dialects keep to the token's reach by themselves: see endpoints/speaking.py.
    is_dialect = routes.is_of(match, routes.PROTOCOLS)
    # A project's own endpoints may have the same names.
    name = match.url_name if routes.is_of(match, routes.API) else None
    if token.workflow and not is_dialect and name not in OF_ONE_WORKFLOW:
        return False
    if token.scope == Token.Scope.READ:
        return method in SAFE_METHODS
    return token.scope == Token.Scope.ALL or is_dialect or name in SENDING


def find_job(request: Request, public_id: str) -> Job:
    """Return the job of that public id, of the request's user and tenant: see services.get_job."""
    return services.get_job(request.user, public_id, tenant=tenant_of(request))


def find_approval(request: Request, public_id: str) -> ApprovalRequest:
    """Return the request for approval likewise: see decisions.get_request()."""
    return decisions.get_request(request.user, public_id, tenant=tenant_of(request))


def own_jobs(request: Request) -> Jobs:
    """Return the jobs of the request's user and tenant."""
    return Job.objects.visible_to(request.user, tenant_of(request))


def visible_jobs(request: Request) -> Jobs:
    """Return the jobs that may be listed: the user's, or those of the token's workflow."""
    jobs = own_jobs(request)
    workflow = reach_of(request).workflow
    return jobs.filter(workflow=workflow) if workflow else jobs


def visible_turns(request: Request, begun: int) -> Jobs:
    """Return the turns of a conversation with a workflow that may be seen.

    Args:
        request: whose user it is.
        begun: the primary key of its first job.
    """
    return visible_jobs(request).filter(Q(pk=begun) | Q(root=begun))


def reach_of(request: Request) -> Reach:
    """Return what the credential of *request* may touch; only whole tokens decide approvals."""
    if not isinstance(request.auth, Token):
        return Reach()
    workflow, scope = request.auth.workflow, request.auth.scope
    return Reach(
        workflow=workflow,
        decides=not workflow and scope == Token.Scope.ALL,
        lists=scope != Token.Scope.SEND,
    )


def check_message(reach: Reach, sent: Sent) -> None:
    """See to it that a message may be sent, whatever its session is doing.

    Raises:
        TokenRefused: the token is for one workflow, and the message names another one, has files,
            or takes the place of an earlier one.
    """
    if not reach.workflow:
        return
    if sent["workflow"] not in (None, reach.workflow):
        raise TokenRefused
    # Documents are no single workflow's, and what would be cut may be another's.
    if sent["files"] or sent["edits"] is not None:
        raise TokenRefused
