"""What can be copied of a job: the request that sends the same again, and a test case."""

import json
import shlex
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from chatflow.workflows.models import Job
from chatflow.workflows.services import on_behalf
from chatflow.workflows.testing.cases import make_case
from chatflow.workflows.testing.redaction import Redaction

TOKEN = "YOUR_TOKEN"
# The flags of a send, as it has them among a job's options.
FLAGS = ("actions", "memory", "intelligent_rag", "model")


def as_curl(request: HttpRequest, job: Job) -> str:
    """Return the command that makes the send again that *job* came by, with another's token.

    Empty where the site has no API.
    """
    try:
        address = request.build_absolute_uri(reverse("chatflow:send"))
    except NoReverseMatch:
        return ""
    body: dict[str, Any] = {"message": job.text, "session_id": job.session.key}
    body["async"] = job.mode == "async"
    if job.explicit or job.input is not None:
        body["workflow"] = job.workflow
    body |= {name: job.options[name] for name in FLAGS if name in job.options}
    if files := [each["id"] for each in job.options.get("files", []) if "id" in each]:
        body["files"] = files
    return " \\\n  ".join(
        (
            f"curl -X POST {shlex.quote(address)}",
            f"-H 'Authorization: Bearer {TOKEN}'",
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}",
        )
    )


def as_case(job: Job) -> str:
    """Return what ``manage.py export_job`` prints: the job's conversation, redacted."""
    return make_case(on_behalf.begin_of(job), Redaction()).dump()
