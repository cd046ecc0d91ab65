"""ListTasks: a page of the user's tasks, the one that changed last comes first."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from rest_framework.request import Request

from chatflow.access.scopes import reach_of
from chatflow.answers.jsonrpc import Call, answered
from chatflow.dialects import a2a
from chatflow.endpoints.a2a import tasks
from chatflow.endpoints.a2a.faults import invalid
from chatflow.endpoints.a2a.params import (
    parse_moment,
    read_flag,
    read_moment,
    read_number,
    read_text,
)
from chatflow.workflows.exceptions import TokenRefused
from chatflow.workflows.models import Job, JobQuerySet

JSON = dict[str, Any]
PAGE = 50
LARGEST_PAGE = 100


def list_tasks(request: Request, call: Call) -> HttpResponse:
    """Answer ``ListTasks``."""
    if not reach_of(request).lists:
        raise TokenRefused
    params = call.params
    size = read_number(params, "pageSize", PAGE, 1, LARGEST_PAGE)
    read_number(params, "historyLength", 0)
    found = _filter(tasks.latest_turns(request), params)
    rows = list(_behind(found, read_text(params, "pageToken"))[: size + 1])
    page = rows[:size]
    return answered(
        call,
        {
            "tasks": _describe(page, with_artifacts=read_flag(params, "includeArtifacts")),
            "nextPageToken": _token(page[-1]) if len(rows) > size else "",
            "pageSize": size,
            "totalSize": found.count(),
        },
    )


def _filter(found: JobQuerySet, params: JSON) -> JobQuerySet:
    context, status = read_text(params, "contextId"), read_text(params, "status")
    since = read_moment(params, "statusTimestampAfter")
    if context:
        # PostgreSQL refuses to even look for a NUL.
        found = found.none() if "\0" in context else found.filter(session__key=context)
    if status not in ("", "TASK_STATE_UNSPECIFIED"):
        standing = tasks.STANDING.get(status)
        found = found.none() if standing is None else found.filter(standing)
    return found if since is None else found.filter(updated_at__gt=since)


def _behind(found: JobQuerySet, token: str) -> JobQuerySet:
    found = found.order_by("-updated_at", "-public_id")
    if not token:
        return found
    moment, name = _read_token(token)
    return found.filter(Q(updated_at__lt=moment) | Q(updated_at=moment, public_id__lt=name))


def _token(last: Job) -> str:
    mark = json.dumps([last.updated_at.isoformat(), last.public_id])
    return urlsafe_b64encode(mark.encode()).decode()


def _read_token(token: str) -> tuple[datetime, str]:
    try:
        moment, name = json.loads(urlsafe_b64decode(token))
        at = parse_moment(moment)
    except (ValueError, TypeError, RecursionError):
        at, name = None, ""
    if at is None or not isinstance(name, str) or "\0" in name:
        raise invalid("pageToken must be the nextPageToken of an earlier page.")
    return at, name


def _describe(page: list[Job], *, with_artifacts: bool) -> list[JSON]:
    words = tasks.answers_of(page) if with_artifacts else {}
    return [
        a2a.task(a2a.Names.of(turn), tasks.standing_of(turn, words.get(turn.pk))) for turn in page
    ]
