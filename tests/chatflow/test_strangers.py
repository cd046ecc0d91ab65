"""Every address of the URLconf, as somebody else and as nobody: only 401, 403, 404 and the like."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.resolvers import RoutePattern

from chatflow.workflows import Context, workflow
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import ApprovalRequest
from tests.chatflow.conftest import MakeJob

pytestmark = pytest.mark.django_db

SECRET = "alices-secret"
METHODS = ["GET", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
# What anybody may see.
PUBLIC = {
    *("/accounts/login/", "/accounts/logout/", "/admin/login/", "/admin/jsi18n/"),
    *("/api/schema/", "/api/docs/", "/healthz", "/readyz", "/metrics"),
    "/.well-known/agent-card.json",
}
# Parameters that name something of hers.
HERS = {"session_id", "job_id", "approval_id", "document_id"}
REFUSED = {401, 403, 404, 405}


def routes(patterns: Any, before: str = "/") -> Iterator[tuple[str, Any]]:
    """Yield each route of the URLconf, and its pattern."""
    for each in patterns:
        own = str(each.pattern) if isinstance(each.pattern, RoutePattern) else ""
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, before + own)
        elif isinstance(each, URLPattern):
            yield before + own, each


@pytest.fixture
def ids(alice: User, make_job: MakeJob, run: Any) -> dict[str, str]:
    """Return the ids of what is Alice's, by the names of the URLconf."""

    @workflow("pay")
    def pay(ctx: Context) -> str:
        ctx.approve(f"Pay {SECRET}?")
        return "Paid."

    job = run(make_job(alice, SECRET, session=SECRET, workflow="pay"))
    document, _ = store(f"# {SECRET}\n\n{SECRET}".encode(), "text/markdown", owner=alice)
    return {
        "session_id": SECRET,
        "job_id": job.public_id,
        "approval_id": ApprovalRequest.objects.get().public_id,
        "document_id": str(document.pk),
        "pk": str(job.pk),
        "object_id": str(job.pk),
        "id": str(alice.pk),
        "app_label": "chatflow_workflows",
        "content_type_id": "1",
        "url": "x",
    }


def addresses(ids: dict[str, str]) -> dict[str, bool]:
    """Return every address, filled in, and whether it names something of Alice's."""
    found: dict[str, bool] = {}
    for route, pattern in routes(get_resolver().url_patterns):
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: ids.get(match[1], "1"), route)
        found[path] = not HERS.isdisjoint(pattern.pattern.converters)
    return found


def as_cookie(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def test_nobody_gets_in(anonymous: Client, ids: dict[str, str]) -> None:
    known = addresses(ids)
    assert reverse("chatflow:status", args=[ids["job_id"]]) in known
    assert len(known) > 100
    for path in known:
        for method in METHODS:
            answer = anonymous.generic(method, path)
            where = f"{method} {path}: {answer.status_code}"
            assert answer.status_code < 500 or is_out(path), where
            assert SECRET.encode() not in answer.content.replace(path.encode(), b""), where
            if path not in PUBLIC and method != "OPTIONS":
                to_login = answer.status_code in (301, 302) and leads_in(answer["Location"])
                assert to_login or answer.status_code in REFUSED or is_out(path), where


def is_out(path: str) -> bool:
    """Say whether 503 is right: here are no workers, nor streams, which others test."""
    return "workflow/stream/" in path or path in ("/readyz", "/ai-demo/chat/stream")


def is_none(answer: Any, path: str) -> bool:
    """Say whether an answer is the one to a conversation that does not exist: useChat wants 204."""
    return answer.status_code == 204 and path.startswith("/api/chat/")


def leads_in(location: str) -> bool:
    """Say whether an address is that of a page where one signs in, or of the way there."""
    own = location.removeprefix("http://testserver")
    pages = ("/accounts/login/", "/admin/login/", "/ai-demo/chat/", "/admin/", "/static/")
    return own.startswith(pages)


@pytest.mark.parametrize("by", ["token", "staff"])
def test_nobody_gets_at_what_is_somebody_elses(
    as_bob: Client, bob: User, ids: dict[str, str], by: str
) -> None:
    if by == "staff":
        bob.is_staff = True
        bob.save()
    client = as_bob if by == "token" else as_cookie(bob)
    for path, is_alices in addresses(ids).items():
        for method in METHODS:
            if path == "/accounts/logout/":
                continue
            answer = client.generic(method, path, b"{}", content_type="application/json")
            where = f"{by}: {method} {path}: {answer.status_code} {answer.content[:200]!r}"
            assert answer.status_code < 500 or is_out(path), where
            assert SECRET.encode() not in answer.content.replace(path.encode(), b""), where
            if is_alices and method != "OPTIONS" and not is_out(path):
                redirected = answer.status_code == 302 and leads_in(answer["Location"])
                assert answer.status_code in REFUSED or redirected or is_none(answer, path), where
