"""Real answers of every endpoint, held against the OpenAPI schema that the site shows."""

import json
from pathlib import PurePosixPath
from typing import Any

import jsonschema
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from chatflow.workflows import Context, WorkflowError, workflow
from chatflow.workflows.models import Job
from tests.chatflow.conftest import MakeJob
from tests.configure import configure
from tests.openai_server import Answer, OpenAIServer

pytestmark = pytest.mark.django_db

API = "/ai-demo/"


@pytest.fixture(scope="module")
def schema() -> Any:
    return plain(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]


def plain(node: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON schema, and forbid what it doesn't name."""
    if isinstance(node, list):
        return [plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {name: plain(value) for name, value in node.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    if found.pop("nullable", False) is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


class Checked:
    """A client whose answers are all as the schema says."""

    def __init__(self, client: Client, schema: Any) -> None:
        self.client = client
        self.schema = schema

    def __call__(self, method: str, path: str, status: int, body: Any = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        answer = self.client.generic(method, API + path, content, content_type="application/json")
        assert answer.status_code == status, answer.content
        response = self._operation(method, path)["responses"][str(status)]
        shown = response["content"]["application/json"]["schema"]
        jsonschema.validate(
            answer.json(),
            {**shown, "components": self.schema["components"]},
            format_checker=jsonschema.FormatChecker(),
        )
        return answer.json()

    def _operation(self, method: str, path: str) -> Any:
        """Return the operation of the longest path that fits."""
        wanted = PurePosixPath(API + path.partition("?")[0])
        for template in sorted(self.schema["paths"], key=lambda each: -each.count("/")):
            pattern = "/".join("*" if "{" in part else part for part in template.split("/"))
            operations = self.schema["paths"][template]
            if wanted.match(pattern) and method.lower() in operations:
                return operations[method.lower()]
        raise AssertionError(f"The schema doesn't know {method} {path}")


@pytest.fixture
def call(as_alice: Client, schema: Any) -> Checked:
    return Checked(as_alice, schema)


@pytest.fixture
def approve(flows: None) -> None:
    """Register a workflow that wants something approved."""

    @workflow("pay")
    def pay(ctx: Context) -> str:
        approved = ctx.approve("Pay it?", details={"total": 7})
        return f"Paid: {bool(approved)}"


def body(name: str, **more: Any) -> dict[str, Any]:
    return {"message": "hello", "workflow": name, "session_id": f"of {name}", **more}


@pytest.mark.parametrize(
    ("name", "status"), [("echo", 200), ("ask", 200), ("fail", 500), ("crash", 500)]
)
def test_sends(call: Checked, name: str, status: int) -> None:
    call("POST", "chat/send", status, body(name))
    call("GET", f"chat/history/of {name}", 200)
    job = Job.objects.get()
    call("GET", f"workflow/status/{job.public_id}", 200)
    call("GET", f"chat/session/of {name}/export", 200)


def test_an_answer_that_is_cut_off(
    call: Checked, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so wherever it stands."""
    configure(settings, AI_MODEL="openai-chat:m")
    workflow("think")(lambda ctx: ctx.ai("Hello"))
    marked = {"workflow": "think", "cut_off": True}
    with OpenAIServer(Answer(text="Half an answer", finish="length")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        sent = call("POST", "chat/send", 200, body("think"))

    assert (sent["response"], sent["metadata"]) == ("Half an answer", marked)
    status = call("GET", f"workflow/status/{sent['job_id']}", 200)["data"]
    assert status["metadata"] == marked
    assert call("GET", "chat/history/of think", 200)["messages"][-1]["metadata"] == marked


def test_an_answer_that_broke_off(call: Checked) -> None:
    def tell(ctx: Context) -> str:
        ctx.write("Once upon a time")
        raise WorkflowError("It broke.")

    workflow("tell")(tell)
    sent = call("POST", "chat/send", 500, body("tell"))

    asked, partial = call("GET", "chat/history/of tell", 200)["messages"]
    assert (asked["error"], partial["content"]) == ("It broke.", "Once upon a time")
    assert partial["metadata"] == {"workflow": "tell", "broken_off": True}
    status = call("GET", f"workflow/status/{sent['job_id']}", 200)["data"]
    assert status["metadata"] == partial["metadata"]
    call("GET", "chat/session/of tell/export", 200)


def test_background(call: Checked, make_job: MakeJob, alice: User) -> None:
    started = call("POST", "chat/send", 202, body("echo", **{"async": True}))
    waiting = call("GET", f"workflow/status/{started['job_id']}", 200)
    assert waiting["data"]["queue_position"] == 1
    assert call("GET", "chat/history/of echo", 200)["active_job"]["state"] == "queued"
    call("POST", f"workflow/cancel/{started['job_id']}", 200)
    call("POST", f"workflow/retry/{started['job_id']}", 202)
    call("POST", f"workflow/retry/{started['job_id']}", 409)


def test_lists(call: Checked, make_job: MakeJob, alice: User, run: Any) -> None:
    for name in ("echo", "fail", "ask"):
        run(make_job(alice, session=name, workflow=name))
    assert call("GET", "workflow/jobs?limit=2", 200)["next"]
    assert call("GET", "workflow/jobs", 200)["next"] is None


@pytest.mark.django_db(transaction=True)
def test_actions(call: Checked, make_job: MakeJob, alice: User, run: Any) -> None:
    action = run(make_job(alice)).actions[0]
    call("POST", "chat/action", 200, {"session_id": "s", "action_id": action["id"]})
    call("POST", "chat/action", 409, {"session_id": "s", "action_id": action["id"]})
    call("GET", "chat/history/s", 200)


@pytest.mark.usefixtures("approve")
def test_approvals(call: Checked, make_job: MakeJob, alice: User, run: Any) -> None:
    asked = run(make_job(alice, workflow="pay"))
    call("GET", f"workflow/status/{asked.public_id}", 200)
    waiting = call("GET", "workflow/approvals", 200)["approvals"]
    decision = {"approved": True, "reason": "A test."}
    call("GET", "chat/session/s/export", 200)
    call("POST", f"workflow/approval/{waiting[0]['approval_id']}", 202, decision)
    call("POST", f"workflow/approval/{waiting[0]['approval_id']}", 409, decision)
    call("GET", "chat/session/s/export", 200)


def test_documents(call: Checked) -> None:
    upload = {"text": "# Tea\n\nTea is at four."}
    one = call("POST", "knowledge/documents", 201, upload)["document"]["id"]
    call("POST", "knowledge/documents", 200, upload)
    call("POST", "knowledge/documents", 201, {"text": "# Coffee\n\nNever after four."})
    call("GET", "knowledge/documents?limit=1", 200)
    call("GET", f"knowledge/documents/{one}", 200)
    call("DELETE", f"knowledge/documents/{one}", 200)
    call("GET", f"knowledge/documents/{one}", 404)


def test_deletion(call: Checked, make_job: MakeJob, alice: User) -> None:
    make_job(alice)
    call("DELETE", "chat/session/s", 200)
    call("GET", "chat/history/s", 404)


def test_refusals(call: Checked, anonymous: Client, schema: Any) -> None:
    call("POST", "chat/send", 400, {})
    call("GET", "workflow/jobs?limit=0", 400)
    call("GET", "workflow/status/workflow_x", 404)
    stranger = Checked(anonymous, schema)
    for path in ("workflow/jobs", "workflow/approvals", "chat/history/s", "knowledge/documents"):
        stranger("GET", path, 401)
