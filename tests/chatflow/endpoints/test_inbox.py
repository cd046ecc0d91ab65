"""GET workflow/approvals and POST workflow/approval/{id}."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pydantic import BaseModel

from chatflow.workflows import Context, workflow
from chatflow.workflows.dialogue.forms import schema_of
from chatflow.workflows.models import ApprovalRequest, Job
from tests.chatflow.conftest import MakeJob

PENDING = "/ai-demo/workflow/approvals"


class Limit(BaseModel):
    amount: int


@pytest.fixture
def asked(alice: User, make_job: MakeJob, run: Callable[[Job], Job]) -> ApprovalRequest:
    """What Alice is asked to approve."""

    def work(ctx: Context) -> str:
        approval = ctx.approve("Delete it?", details={"invoice": 7})
        return f"{approval.approved}: {approval.reason}"

    workflow("w")(work)
    run(make_job(alice, workflow="w"))
    return ApprovalRequest.objects.get()


def decide(client: Client, public_id: str, **fields: Any) -> Any:
    url = f"/ai-demo/workflow/approval/{public_id}"
    return client.post(url, fields, content_type="application/json")


def refused(answer: Any) -> tuple[int, str]:
    assert answer.json()["success"] is False
    return answer.status_code, answer.json()["code"]


def test_it_works(as_alice: Client, asked: ApprovalRequest, run: Callable[[Job], Job]) -> None:
    assert asked.job is not None
    (found,) = as_alice.get(PENDING).json()["approvals"]
    assert found.pop("created_at").endswith("Z")
    assert found.pop("expires_at").endswith("Z")
    assert found == {
        "approval_id": asked.public_id,
        "prompt": "Delete it?",
        "details": {"invoice": 7},
        "workflow": "w",
        "session_id": "s",
        "job_id": asked.job.public_id,
    }

    answer = decide(as_alice, found["approval_id"], approved=True, reason="it is old")
    assert answer.status_code == 202
    job = run(Job.objects.get(public_id=answer.json()["job_id"]))
    assert job.response == "True: it is old"
    asked.refresh_from_db()
    assert (asked.by, asked.via, asked.reason) == ("alice", "api", "it is old")
    assert as_alice.get(PENDING).json() == {"success": True, "approvals": []}


def test_once(as_alice: Client, asked: ApprovalRequest) -> None:
    assert decide(as_alice, asked.public_id, approved=False).status_code == 202
    assert refused(decide(as_alice, asked.public_id, approved=True)) == (409, "approval_decided")
    asked.refresh_from_db()
    assert asked.approved is False


def test_a_late_one(as_alice: Client, asked: ApprovalRequest) -> None:
    ApprovalRequest.objects.update(expires_at=asked.created_at)

    assert refused(decide(as_alice, asked.public_id, approved=True)) == (409, "approval_expired")
    assert as_alice.get(PENDING).json()["approvals"] == []


def test_a_cancelled_one(as_alice: Client, asked: ApprovalRequest) -> None:
    assert asked.job is not None
    as_alice.post(f"/ai-demo/workflow/cancel/{asked.job.public_id}")

    assert refused(decide(as_alice, asked.public_id, approved=True)) == (409, "question_closed")


def test_somebody_elses(as_bob: Client, asked: ApprovalRequest) -> None:
    assert as_bob.get(PENDING).json()["approvals"] == []
    assert refused(decide(as_bob, asked.public_id, approved=True)) == (404, "not_found")
    asked.refresh_from_db()
    assert asked.decided_at is None


def test_the_staff_has_no_more_right_here(
    as_bob: Client, bob: User, asked: ApprovalRequest
) -> None:
    bob.is_staff = bob.is_superuser = True
    bob.save()

    assert refused(decide(as_bob, asked.public_id, approved=True)) == (404, "not_found")


def test_nobodys(anonymous: Client, asked: ApprovalRequest) -> None:
    assert refused(anonymous.get(PENDING)) == (401, "unauthenticated")
    assert refused(decide(anonymous, asked.public_id, approved=True)) == (401, "unauthenticated")


def test_a_link_to_the_job_gives_no_right(
    as_alice: Client, anonymous: Client, asked: ApprovalRequest
) -> None:
    sent = as_alice.post(
        "/ai-demo/chat/send",
        {"message": "hi", "session_id": "x", "workflow": "echo", "async": True},
        content_type="application/json",
    ).json()
    token = sent["stream_url"].partition("?")[2]
    answer = decide(anonymous, f"{asked.public_id}?{token}", approved=True)

    assert refused(answer) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"approved": "yes"},
        {"approved": 1},
        {"approved": None},
        {"approved": True, "reason": 5},
        {"approved": True, "reason": "x" * 1001},
        {"approved": True, "reason": "\0"},
        {"approved": True, "answer": []},
        {"approved": True, "answer": {"amount": 1}},
    ],
)
def test_what_is_wrong(as_alice: Client, asked: ApprovalRequest, fields: dict[str, Any]) -> None:
    assert refused(decide(as_alice, asked.public_id, **fields)) == (400, "invalid")
    asked.refresh_from_db()
    assert asked.decided_at is None


@pytest.mark.parametrize("public_id", ["x", "approval_%00", "approval_" + "f" * 32])
def test_unknown_ones(as_alice: Client, db: None, public_id: str) -> None:
    assert refused(decide(as_alice, public_id, approved=True)) == (404, "not_found")


def test_a_typed_answer(
    as_alice: Client, alice: User, make_job: MakeJob, run: Callable[[Job], Job]
) -> None:
    workflow("w")(lambda ctx: repr(ctx.approve("Which limit?", answer=Limit).answer))
    run(make_job(alice, workflow="w"))
    (found,) = as_alice.get(PENDING).json()["approvals"]
    assert found["schema"] == schema_of(Limit)

    wrong = decide(as_alice, found["approval_id"], approved=True, answer={"amount": "x"})
    assert refused(wrong) == (400, "invalid")
    assert list(wrong.json()["errors"]) == ["amount"]
    right = decide(as_alice, found["approval_id"], approved=True, answer={"amount": 5})
    job = run(Job.objects.get(public_id=right.json()["job_id"]))
    assert job.response == "Limit(amount=5)"


@pytest.mark.parametrize("name", ["approval", "action"])
def test_a_page_of_another_site(alice: User, asked: ApprovalRequest, name: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    urls = {
        "approval": f"/ai-demo/workflow/approval/{asked.public_id}",
        "action": "/ai-demo/chat/action",
    }
    answer = client.post(
        urls[name],
        '{"approved": true}',
        content_type="text/plain",
        headers={"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    )

    assert refused(answer) == (403, "forbidden")
    asked.refresh_from_db()
    assert asked.decided_at is None
