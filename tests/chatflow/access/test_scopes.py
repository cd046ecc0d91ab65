"""What the messages of a limited token may not touch of their session's work."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.access.tokens import make_token
from chatflow.wire.openings import ON_LOOP
from chatflow.workflows import Context, registry, workflow
from chatflow.workflows.models import ApprovalRequest, Job, Message, Session
from tests.chatflow.conftest import MakeJob
from tests.workflows.chat import claimed

pytestmark = pytest.mark.django_db

SEND = "/ai-demo/chat/send"
APPROVED = json.dumps({"approved": True, "reason": "fine"})
# What a token for "ask" may send to a session, and would end or leave another workflow's work by.
LEAVING: list[dict[str, Any]] = [
    {"message": "go"},
    {"message": "go", "workflow": "ask"},
    {"message": "go", "actions": False},
    {"message": "cancel"},
    {"message": "cancel", "workflow": "ask"},
    {"message": "go", "on_busy": "interrupt"},
    {"message": "go", "on_busy": "reject"},
]


def refund(ctx: Context) -> str:
    approval = ctx.approve("Pay it back?")
    return f"{approval.approved}: {approval.reason}"


@pytest.fixture(autouse=True)
def _refund(flows: None) -> None:
    workflow("refund", triggers=["refund"])(refund)


@pytest.fixture
def whole(alice: User) -> Client:
    return client_of(alice)


@pytest.fixture
def ask_only(alice: User) -> Client:
    return client_of(alice, workflow="ask")


@pytest.fixture
def refund_only(alice: User) -> Client:
    return client_of(alice, workflow="refund")


@pytest.fixture
def sender(alice: User) -> Client:
    return client_of(alice, scope="send")


def client_of(user: User, **limits: Any) -> Client:
    _, secret = make_token(user, **limits)
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def send(client: Client, message: str = "hello", *, key: str = "", **fields: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"message": message, "session_id": "s", **fields}
    return client.post(SEND, body, "application/json", headers=headers)


def later(client: Client, message: str = "hello", **fields: Any) -> Any:
    fields["async"] = True
    return send(client, message, **fields)


def state() -> Any:
    """Return all that a message of somebody's could change."""
    return (
        list(Job.objects.order_by("pk").values("pk", "state", "cancel_code", "workflow")),
        list(Message.objects.order_by("pk").values("pk", "cut")),
        list(Session.objects.order_by("pk").values("pk", "open_job", "updated_at", "changed")),
        list(ApprovalRequest.objects.values("pk", "approved", "decided_at", "job")),
    )


def assert_refused(call: Callable[[], Any]) -> None:
    """Check that *call* is answered 403, and changes nothing."""
    before = state()
    answer = call()
    assert (answer.status_code, answer.json()) == (
        403,
        {"success": False, "error": "This token may not do that.", "code": "forbidden"},
    )
    assert state() == before


# One workflow, beside the work of another.


@pytest.mark.parametrize("fields", [{"message": "cancel"}, {"on_busy": "interrupt"}])
@pytest.mark.parametrize("runs", [False, True])
def test_it_ends_no_other_job(
    alice: User, ask_only: Client, make_job: MakeJob, fields: dict[str, Any], runs: bool
) -> None:
    other = make_job(alice)
    if runs:
        assert claimed() == other
    make_job(alice, workflow="ask")

    assert_refused(lambda: later(ask_only, **fields))
    assert_refused(lambda: send(ask_only, **fields))


def test_other_jobs_are_waited_for(alice: User, ask_only: Client, make_job: MakeJob) -> None:
    other = make_job(alice)

    assert later(ask_only, on_busy="enqueue").status_code == 202
    assert later(ask_only, on_busy="reject").json()["code"] == "session_busy"
    other.refresh_from_db()
    assert (other.state, other.cancel_code) == ("queued", "")


def test_its_own_jobs_are_ended(ask_only: Client) -> None:
    first = later(ask_only).json()["job_id"]
    second = later(ask_only, on_busy="interrupt").json()["job_id"]
    assert send(ask_only, "cancel").json()["response"] == "Cancelled."

    ended = Job.objects.filter(public_id__in=[first, second]).order_by("pk")
    assert list(ended.values_list("code", flat=True)) == ["interrupted", "cancelled"]


@pytest.mark.parametrize("fields", LEAVING)
def test_it_leaves_no_other_question(
    alice: User, whole: Client, refund_only: Client, fields: dict[str, Any]
) -> None:
    send(whole, workflow="ask")
    if "workflow" in fields:
        fields = {**fields, "workflow": "refund"}

    assert_refused(lambda: send(refund_only, **fields))
    assert_refused(lambda: later(refund_only, **fields))
    assert send(whole, "Alice").json()["response"] == "Hello Alice."


@pytest.mark.parametrize("fields", LEAVING)
def test_it_leaves_no_other_approval(
    whole: Client, ask_only: Client, fields: dict[str, Any]
) -> None:
    send(whole, workflow="refund")

    assert_refused(lambda: send(ask_only, **fields))
    assert_refused(lambda: later(ask_only, **fields))
    assert_refused(lambda: send(ask_only, **{**fields, "message": APPROVED}))
    assert send(whole, "yes").json()["response"] == "True: "


def test_its_own_question(ask_only: Client) -> None:
    """It is answered, also with "help" and the like; left, where the workflow is named."""
    send(ask_only)
    first = Session.objects.get().open_job
    assert send(ask_only, workflow="ask").json()["awaiting"]["kind"] == "text"
    assert Session.objects.get().open_job != first
    assert send(ask_only, "cancel").json()["response"] == "Cancelled."
    assert Session.objects.get().open_job is None
    assert send(ask_only).json()["awaiting"]["kind"] == "text"
    assert send(ask_only, "help").json()["response"] == "Hello help."


def test_its_messages_are_handed_over_to_no_other(alice: User, make_job: MakeJob) -> None:
    """As those that name their workflow: a model has no choice."""
    later(client_of(alice, workflow="echo"), session_id="idle")
    make_job(alice, session="busy")
    later(client_of(alice, workflow="echo"), session_id="busy")

    jobs = Job.objects.filter(workflow="echo", text="hello")
    assert list(jobs.values_list("explicit", flat=True)) == [True, True, True]


def test_its_workflow_is_gone(alice: User) -> None:
    workflow("old")(lambda ctx: "")
    client = client_of(alice, workflow="old")
    del registry._workflows["old"]
    answer = send(client)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_workflow")


# Approvals.


@pytest.mark.parametrize(
    "words",
    ["yes", "ok", "no", "no, too expensive", "yes because it is old", APPROVED, f" \n{APPROVED}"],
)
def test_who_only_sends_decides_nothing(whole: Client, sender: Client, words: str) -> None:
    send(whole, workflow="refund")

    assert_refused(lambda: send(sender, words))
    assert_refused(lambda: later(sender, words, on_busy="interrupt"))


def test_who_only_sends_may_do_the_rest(whole: Client, sender: Client) -> None:
    send(whole, workflow="refund")

    # Words that decide nothing are what they were.
    assert "yes or no" in send(sender, "perhaps").json()["response"]
    assert send(sender, "yes", actions=False, workflow="echo").status_code == 200
    send(whole, workflow="refund")
    assert send(sender, "cancel").json()["response"] == "Cancelled."
    assert ApprovalRequest.objects.exclude(decided_at=None).count() == 0
    # Other questions are answered.
    send(sender, workflow="ask")
    assert send(sender, "yes").json()["response"] == "Hello yes."


@pytest.mark.parametrize("words", [APPROVED, "yes", "no", "perhaps", "help"])
def test_with_one_workflow_no_approval_is_answered(refund_only: Client, words: str) -> None:
    assert send(refund_only).json()["awaiting"]["kind"] == "approval"

    assert_refused(lambda: send(refund_only, words))
    # It is its own, to be left.
    assert send(refund_only, workflow="refund").json()["awaiting"]["kind"] == "approval"
    assert send(refund_only, "cancel").json()["response"] == "Cancelled."


def test_a_decision_is_not_brought_back(whole: Client, sender: Client, refund_only: Client) -> None:
    """One that its owner cancelled before it was read; who may decide may also retry it."""
    send(whole, workflow="refund")
    said = later(whole, "yes").json()["job_id"]
    whole.post(f"/ai-demo/workflow/cancel/{said}")
    retry = f"/ai-demo/workflow/retry/{said}"

    assert_refused(lambda: sender.post(retry))
    assert_refused(lambda: refund_only.post(retry))
    assert whole.post(retry).status_code == 202


# Idempotency keys.


@pytest.mark.parametrize("mode", [False, True])
def test_a_key_of_another_workflow(whole: Client, ask_only: Client, mode: bool) -> None:
    body: dict[str, Any] = {"message": "a refund", "key": "k", "async": mode}
    assert send(whole, **body).status_code in (200, 202)

    answer = send(ask_only, **body)
    assert answer.status_code == 409
    assert answer.json() == {
        "success": False,
        "error": "This Idempotency-Key was used with another request body.",
        "code": "idempotency_conflict",
    }
    assert Job.objects.count() == 1


def test_a_key_of_its_own(alice: User, ask_only: Client) -> None:
    for words in ("hello", "Alice", "hello again", "cancel"):
        first = send(ask_only, words, key=words)
        again = send(client_of(alice, workflow="ask"), words, key=words)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.json() == first.json()


# Other dialects.


def call_a2a(client: Client, method: str, **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return client.post("/a2a", body, "application/json")


def test_one_that_sends_lists_nothing_and_reads_no_conversation(
    sender: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, "the secret", session="talk"))
    job = run(make_job(alice, "hello", session="talk"))

    assert call_a2a(sender, "ListTasks").status_code == 403
    seen = call_a2a(sender, "GetTask", id=job.public_id, historyLength=10)
    assert seen.json()["result"]["id"] == job.public_id
    assert "history" not in seen.json()["result"]
    sender.defaults[ON_LOOP] = True  # type: ignore[assignment]
    thread = sender.get("/ag-ui/threads/talk/stream")
    assert b"hello" in thread.content
    assert b"the secret" not in thread.content


def test_a_conversation_without_its_workflow_is_unknown_to_one_for_a_workflow(
    ask_only: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, "hello", session="talk"))
    for path in ("/ag-ui/threads/{}/cancel", "/api/chat/{}/stop"):
        told, unknown = (ask_only.post(path.format(key)) for key in ("talk", "none"))
        assert told.status_code == unknown.status_code == 404
        assert told.json() == unknown.json()
