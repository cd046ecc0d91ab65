"""The operator's other pages, each where it has the most to look at."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User

from chatflow.workflows import clock
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.models import ApprovalRequest, Job, Session

ADMIN = "/admin"
USAGE = f"{ADMIN}/chatflow_workflows/dailyusage/"
SESSIONS = f"{ADMIN}/chatflow_workflows/session/"
APPROVALS = f"{ADMIN}/chatflow_workflows/approvalrequest/"
DOCUMENTS = f"{ADMIN}/chatflow_knowledge/document/"
ACTS = f"{ADMIN}/chatflow_operations/act/"
TASKS = f"{ADMIN}/chatflow_workflows/taskrun/"

Pages = dict[str, tuple[str, dict[str, Any]]]


def find_pages(long_job: int) -> Pages:
    """Return the addresses of the pages, by what they are called.

    Args:
        long_job: the key of the job with many events.
    """
    bench, other = (User.objects.get(username=name).pk for name in ("bench", "user-500"))
    return {
        **_usage(),
        **_conversations(),
        **_approvals(),
        **_documents(),
        **_acts(),
        **_job(long_job),
        "tasks": (TASKS, {}),
        "tasks that failed": (TASKS, {"status__exact": "FAILED"}),
        "tasks that run: none": (TASKS, {"status__exact": "RUNNING"}),
        "tasks: an id": (TASKS, {"q": "task_1"}),
        "a person with half of all": (f"{ACTS}persons/{bench}/", {}),
        "a person with 500 jobs": (f"{ACTS}persons/{other}/", {}),
    }


def _usage() -> Pages:
    today = clock.now().date()
    year = {"span": "days", "since": today - timedelta(days=364), "until": today}
    found: Pages = {}
    for by in ("user", "workflow", "model", "day"):
        found[f"usage of a week by {by}"] = (USAGE, {"by": by})
        found[f"usage of a month by {by}"] = (USAGE, {"by": by, "span": "month"})
        found[f"usage of a year by {by}"] = (USAGE, {"by": by, **year})
    month = {"by": "user", "span": "month"}
    found["usage of a month by user, of a workflow"] = (USAGE, {**month, "workflow": "workflow-1"})
    found["usage of a year by user, of a model"] = (
        USAGE,
        {"by": "user", "model": "model-1"} | year,
    )
    found["usage of a year of a user"] = (USAGE, {"by": "workflow", "user": "user-7"} | year)
    return found


def _conversations() -> Pages:
    middle = Session.objects.order_by("pk").values_list("pk", flat=True)[1000]
    return {
        "conversations": (SESSIONS, {}),
        "conversations, page 100": (SESSIONS, {"p": "100"}),
        "conversations with work under way": (SESSIONS, {"now": "running"}),
        "conversations that wait for an answer": (SESSIONS, {"now": "waiting"}),
        "conversations that failed last": (SESSIONS, {"now": "failed"}),
        "conversations, pinned: none": (SESSIONS, {"pinned": "1"}),
        "conversations of 30 days": (SESSIONS, {"days": "30"}),
        "conversations of a user with half of all": (SESSIONS, {"q": "bench"}),
        "conversations: the beginning of a key": (SESSIONS, {"q": "session-777"}),
        "conversations: no such key": (SESSIONS, {"q": "gone"}),
        "a conversation": (f"{SESSIONS}{middle}/change/", {}),
    }


def _approvals() -> Pages:
    newest = ApprovalRequest.objects.order_by("-pk").values_list("pk", flat=True)[0]
    return {
        "approvals, open": (APPROVALS, {}),
        **{
            f"approvals, {state}": (APPROVALS, {"state": state})
            for state in ("approved", "rejected", "expired", "closed", "all")
        },
        "approvals of a workflow": (APPROVALS, {"state": "all", "workflow": "bench_turn"}),
        "approvals of a workflow: none": (APPROVALS, {"state": "all", "workflow": "chat"}),
        "approvals by the API: none": (APPROVALS, {"state": "all", "via__exact": "api"}),
        "approvals of 30 days": (APPROVALS, {"state": "all", "days": "30"}),
        "approvals of a user with half of all": (APPROVALS, {"state": "all", "q": "bench"}),
        "approvals: the beginning of an id": (APPROVALS, {"state": "all", "q": "approval_abc"}),
        "an approval": (f"{APPROVALS}{newest}/change/", {}),
    }


def _documents() -> Pages:
    newest = Document.objects.order_by("-updated_at").values_list("pk", flat=True)[0]
    return {
        "documents": (DOCUMENTS, {}),
        "documents of users": (DOCUMENTS, {"whose": "users"}),
        "documents of a kind": (DOCUMENTS, {"kind__exact": "pdf"}),
        "documents: a title": (DOCUMENTS, {"q": "Document 77"}),
        "documents: no such title": (DOCUMENTS, {"q": "gone"}),
        "documents that could not be read: none": (DOCUMENTS, {"unread": "1"}),
        "a document": (f"{DOCUMENTS}{newest}/change/", {}),
        "what a question finds": (f"{DOCUMENTS}find/", {"q": "When is order 77 sent?"}),
    }


def _acts() -> Pages:
    return {
        "acts": (ACTS, {}),
        "acts of a member of the staff": (ACTS, {"who": "operator-7"}),
        "acts of a kind": (ACTS, {"act": "Retry"}),
        "acts on a job: none": (ACTS, {"q": "workflow_gone"}),
        "acts by the name of who did them": (ACTS, {"q": "operator-7"}),
        "acts of this year": (ACTS, {"at__gte": f"{clock.now().year}-01-01 00:00:00+00:00"}),
    }


def _job(long_job: int) -> Pages:
    jobs = f"{ADMIN}/chatflow_workflows/job"
    usual = Job.objects.filter(pk__lt=long_job).order_by("-pk").values_list("pk", flat=True)[2000]
    return {
        "a job": (f"{jobs}/{usual}/change/", {}),
        "a job of 2,000 events and 300 steps": (f"{jobs}/{long_job}/change/", {}),
        "a job of 2,000 events and 300 steps, whole": (f"{jobs}/{long_job}/change/", {"all": "1"}),
        "a job's frames": (f"{jobs}/{long_job}/frames/", {}),
    }
