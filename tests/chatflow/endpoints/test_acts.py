"""POST chat/action."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pydantic import BaseModel

from chatflow.workflows import Context, workflow
from chatflow.workflows.models import Job
from tests.chatflow.conftest import MakeJob

URL = "/ai-demo/chat/action"
SEND = "/ai-demo/chat/send"
HISTORY = "/ai-demo/chat/history/s"


class Payment(BaseModel):
    amount: int


@pytest.fixture
def offered(alice: User, make_job: MakeJob, run: Callable[[Job], Job]) -> Job:
    """A job of Alice's that has offered a button, a form and a link that has expired."""

    def offer(ctx: Context) -> Any:
        pay = {"workflow": "pay", "input": {"invoice": "secret 7"}}
        return ctx.reply(
            "Done",
            actions=[
                {"type": "button", "label": "Pay", **pay},
                {"type": "form", "label": "Pay a part", **pay, "schema": Payment},
                {"type": "link", "label": "Open", "url": "/", "expires_in": 1e-6},
            ],
        )

    workflow("offer")(offer)
    workflow("pay")(lambda ctx: f"Paid {sorted(ctx.input.items())}")
    return run(make_job(alice, workflow="offer"))


@pytest.fixture
def ids(offered: Job) -> list[str]:
    return [action["id"] for action in offered.actions]


def act(client: Client, action_id: Any, headers: Any = None, **fields: Any) -> Any:
    body = {"session_id": "s", "action_id": action_id, **fields}
    return client.post(URL, body, content_type="application/json", headers=headers or {})


def refused(answer: Any) -> tuple[int, str]:
    body = answer.json()
    assert set(body) <= {"success", "error", "code", "errors"}
    assert (body["success"], bool(body["error"])) == (False, True)
    return answer.status_code, body["code"]


def test_it_works(as_alice: Client, ids: list[str]) -> None:
    answer = act(as_alice, ids[0])

    assert answer.status_code == 200
    job = Job.objects.get(workflow="pay")
    assert answer.json() == {
        "success": True,
        "response": "Paid [('invoice', 'secret 7')]",
        "actions": [],
        "sources": [],
        "session_id": "s",
        "job_id": job.public_id,
    }


def test_async(as_alice: Client, ids: list[str]) -> None:
    answer = act(as_alice, ids[0], **{"async": True})

    assert answer.status_code == 202
    assert answer.json()["status"] == "processing"
    assert answer.json()["job_id"] in answer.json()["stream_url"]


def test_a_form(as_alice: Client, ids: list[str]) -> None:
    wrong = act(as_alice, ids[1], data={"amount": "five", "to": "me"})
    assert refused(wrong) == (400, "invalid")
    assert set(wrong.json()["errors"]) == {"amount", "to"}

    right = act(as_alice, ids[1], data={"amount": 5})
    assert right.json()["response"] == "Paid [('amount', 5), ('invoice', 'secret 7')]"


def test_once_and_the_history_says_so(as_alice: Client, ids: list[str]) -> None:
    def states() -> list[str]:
        messages = as_alice.get(HISTORY).json()["messages"]
        return [action["state"] for action in messages[1]["actions"]]

    assert states() == ["offered", "offered", "expired"]
    act(as_alice, ids[0])
    assert states() == ["used", "offered", "expired"]
    assert refused(act(as_alice, ids[0])) == (409, "action_used")


def test_what_a_client_says_of_it_is_not_believed(as_alice: Client, ids: list[str]) -> None:
    answer = act(as_alice, ids[0], workflow="echo", input={"invoice": 8}, message="hello")

    assert answer.json()["response"] == "Paid [('invoice', 'secret 7')]"


def test_no_client_sees_what_it_does(as_alice: Client, ids: list[str]) -> None:
    job = Job.objects.get(workflow="offer")
    for url in (HISTORY, f"/ai-demo/workflow/status/{job.public_id}", "/ai-demo/workflow/jobs"):
        text = as_alice.get(url).content.decode()
        assert "secret" not in text
        assert '"pay"' not in text


def test_somebody_elses(as_bob: Client, as_alice: Client, ids: list[str]) -> None:
    assert refused(act(as_bob, ids[0])) == (404, "not_found")
    assert refused(act(as_alice, ids[0], session_id="other")) == (404, "not_found")
    assert refused(act(as_alice, "action_" + "0" * 32)) == (404, "not_found")
    assert act(as_alice, ids[0]).status_code == 200


def test_nobodys(anonymous: Client, ids: list[str]) -> None:
    assert refused(act(anonymous, ids[0])) == (401, "unauthenticated")


def test_idempotency(as_alice: Client, ids: list[str]) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = (act(as_alice, ids[0], headers=key) for _ in range(2))

    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    other = act(as_alice, ids[1], headers=key, data={"amount": 5})
    assert refused(other) == (409, "idempotency_conflict")


def test_a_busy_session(as_alice: Client, alice: User, make_job: MakeJob, ids: list[str]) -> None:
    job = make_job(alice)
    assert refused(act(as_alice, ids[0], on_busy="reject")) == (409, "session_busy")
    job.delete()
    assert act(as_alice, ids[0]).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"action_id": None},
        {"action_id": 5},
        {"action_id": ["action_"]},
        {"action_id": "a\0"},
        {"session_id": None},
        {"session_id": 5},
        {"session_id": "\0"},
        {"data": []},
        {"data": "x"},
        {"data": {"amount": 5}},
        {"async": "yes"},
        {"on_busy": "never"},
    ],
)
def test_what_is_wrong(as_alice: Client, ids: list[str], fields: dict[str, Any]) -> None:
    body = {"session_id": "s", "action_id": ids[0], **fields}
    answer = as_alice.post(URL, body, content_type="application/json")

    assert refused(answer) == (400, "invalid")
    assert act(as_alice, ids[0]).status_code == 200


def test_a_link_is_not_posted(as_alice: Client, ids: list[str]) -> None:
    assert refused(act(as_alice, ids[2])) == (400, "invalid")


def test_deep_data(as_alice: Client, ids: list[str]) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]

    assert refused(act(as_alice, ids[1], data={"amount": deep})) == (400, "invalid")


def test_only_post(as_alice: Client) -> None:
    assert refused(as_alice.get(URL)) == (405, "method_not_allowed")
