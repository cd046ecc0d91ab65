"""/v1/responses, where nothing is waited for: the jobs run at once, or nobody runs them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from openai.types.responses import Response

from chatflow.endpoints.openai import kept
from chatflow.models import Token
from chatflow.workflows.models import ApprovalRequest, Job, Session
from tests.chatflow.conftest import MakeJob
from tests.chatflow.dialects.test_responses import data
from tests.chatflow.endpoints.openai.conftest import Ask

pytestmark = pytest.mark.django_db(transaction=True)


def create(ask: Ask, text: Any = "hello", model: str = "echo", **fields: Any) -> Any:
    return ask("responses", {"model": model, "input": text, **fields})


def events(answer: Any) -> list[Any]:
    assert answer["Content-Type"] == "text/event-stream"
    return [data(block + b"\n\n") for block in answer.content.split(b"\n\n")[:-1]]


def text_of(answer: Any) -> str:
    return Response.model_validate(answer.json()).output_text


@pytest.mark.usefixtures("inline")
def test_it_works(ask: Ask) -> None:
    answer = create(ask, metadata={"own": "yes"})
    assert answer.status_code == 200
    job = Job.objects.get()
    body = json.loads(answer.content)
    assert body["id"] == f"resp_{job.public_id.removeprefix('workflow_')}"
    assert (body["status"], body["model"], body["background"]) == ("completed", "echo", False)
    actions = json.loads(body["metadata"].pop("actions"))
    assert [each["label"] for each in actions] == ["Again"]
    assert body["metadata"] == {
        "own": "yes",
        "session_id": job.session.key,
        "job_id": job.public_id,
        "progress": "100",
        "status_message": "Completed",
    }
    assert text_of(answer) == "You said: hello"
    assert ask(f"responses/{body['id']}", method="GET").json() == answer.json()


@pytest.mark.usefixtures("inline")
def test_it_streams_and_streams_again(ask: Ask) -> None:
    streamed = events(create(ask, model="talk", stream=True))
    assert [each["sequence_number"] for each in streamed] == list(range(len(streamed)))
    assert [each["type"] for each in streamed[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    last = streamed[-1]["response"]
    url = f"responses/{last['id']}"
    assert ask(url, method="GET").json() == last
    assert events(ask(f"{url}?stream=true", method="GET")) == streamed
    for after in (0, 1, 7, len(streamed) - 1):
        again = ask(f"{url}?stream=true&starting_after={after}", method="GET")
        assert events(again) == streamed[after + 1 :]
    beyond = ask(f"{url}?stream=true&starting_after={len(streamed)}", method="GET")
    assert (beyond.status_code, beyond.json()["error"]["param"]) == (400, "starting_after")


@pytest.mark.usefixtures("inline")
def test_for_a_look_no_frames_are_made(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = create(ask)
    monkeypatch.setattr("chatflow.dialects.responses.sse.frame", None)
    assert ask(f"responses/{answer.json()['id']}", method="GET").json() == answer.json()


def test_in_the_background_it_is_queued(ask: Ask, run: Any) -> None:
    body = create(ask, background=True).json()
    assert (body["status"], body["background"], body["output"]) == ("queued", True, [])
    url = f"responses/{body['id']}"
    assert ask(url, method="GET").json() == body
    run(Job.objects.get())
    assert ask(url, method="GET").json()["status"] == "completed"


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("model", ["fail", "crash"])
def test_one_that_fails_says_so(ask: Ask, model: str) -> None:
    answer = create(ask, model=model)
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "failed"
    if model == "fail":
        assert body["error"] == {"code": "fire", "message": "The printer is on fire."}
    assert "secret" not in json.dumps(body)
    assert "message" not in [each["type"] for each in body["output"]]


@pytest.mark.usefixtures("inline")
def test_the_next_turn(ask: Ask) -> None:
    first = create(ask, metadata={"session_id": "mine"}).json()
    second = create(ask, "again", previous_response_id=first["id"]).json()
    assert second["previous_response_id"] == first["id"]
    assert second["metadata"]["session_id"] == first["metadata"]["session_id"] == "mine"
    third = create(ask, "else").json()
    assert third["metadata"]["session_id"] != "mine"
    assert create(ask, previous_response_id="").status_code == 200


@pytest.mark.usefixtures("inline")
def test_a_question_is_answered_by_words(ask: Ask) -> None:
    asked = create(ask, model="ask")
    assert text_of(asked) == "What is your name?"
    answer = create(ask, "Ann", "echo", previous_response_id=asked.json()["id"])
    assert text_of(answer) == "Hello Ann."


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("named", [True, False])
def test_a_question_is_answered_by_its_call(ask: Ask, named: bool) -> None:
    asked = create(ask, model="ask").json()
    (call,) = [each for each in asked["output"] if each["type"] == "function_call"]
    assert call["name"] == "ask"
    assert json.loads(call["arguments"])["prompt"] == "What is your name?"
    # As a message this would be a call for another workflow, or for help.
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "help"}
    more = {"previous_response_id": asked["id"]} if named else {}
    assert text_of(create(ask, [output], **more)) == "Hello help."
    again = create(ask, [output])
    assert again.status_code == 409
    assert again["x-should-retry"] == "false"
    assert again.json()["error"]["code"] == "question_closed"


@pytest.mark.usefixtures("inline")
def test_the_answer_of_another_client_is_a_response_of_its_own(ask: Ask, as_alice: Client) -> None:
    """What the question's client said of its response is not said of the next one."""
    first = create(ask).json()
    said = {"previous_response_id": first["id"], "metadata": {"own": "first"}}
    create(ask, model="pay", **said)
    approval = ApprovalRequest.objects.get()
    body = {"approved": True}
    url = f"/ai-demo/workflow/approval/{approval.public_id}"
    assert as_alice.post(url, body, "application/json").status_code == 202
    job = Job.objects.latest("pk")
    response = ask(f"responses/{kept.id_of(job)}", method="GET").json()
    assert (response["previous_response_id"], response["model"]) == (None, "chatflow")
    assert "own" not in response["metadata"]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("approve", [True, False])
def test_an_approval(ask: Ask, ask_as_bob: Ask, approve: bool) -> None:
    asked = create(ask, model="pay", metadata={"own": "first"}).json()
    item = asked["output"][-1]
    assert (item["type"], item["name"]) == ("mcp_approval_request", "pay")
    decision = {
        "type": "mcp_approval_response",
        "approval_request_id": item["id"],
        "approve": approve,
        "reason": "Because",
    }
    assert create(ask_as_bob, [decision]).status_code == 404
    answer = create(ask, [decision], previous_response_id=asked["id"], metadata={"own": "2"})
    assert text_of(answer) == f"{approve}: Because"
    body = answer.json()
    assert (body["metadata"]["own"], body["previous_response_id"]) == ("2", asked["id"])
    again = create(ask, [decision])
    assert (again.status_code, again["x-should-retry"]) == (409, "false")
    assert again.json()["error"]["code"] == "approval_decided"
    # A question that wants none.
    other = create(ask, model="ask").json()["id"].replace("resp_", "mcpr_")
    assert create(ask, [{**decision, "approval_request_id": other}]).status_code == 404


def test_cancel(ask: Ask) -> None:
    made = create(ask, background=True).json()
    for _ in range(2):
        body = ask(f"responses/{made['id']}/cancel").json()
        assert (body["status"], body["error"]) == ("cancelled", None)
    streamed = events(ask(f"responses/{made['id']}?stream=true", method="GET"))
    assert streamed[-1]["type"] == "response.incomplete"
    assert streamed[-1]["response"]["status"] == "cancelled"


@pytest.mark.usefixtures("inline")
def test_what_has_ended_is_not_cancelled(ask: Ask) -> None:
    made = create(ask, model="ask").json()
    assert ask(f"responses/{made['id']}/cancel").json() == made
    assert Session.objects.get().open_job is not None


def calls(ask: Ask, response_id: str) -> list[Any]:
    """Make every call that names a response."""
    url = f"responses/{response_id}"
    output = {"type": "function_call_output", "call_id": f"call_{response_id[5:]}", "output": "x"}
    return [
        ask(url, method="GET"),
        ask(f"{url}?stream=true", method="GET"),
        ask(f"{url}/cancel"),
        ask(f"{url}/input_items", method="GET"),
        ask(url, method="DELETE"),
        create(ask, previous_response_id=response_id),
        create(ask, [output]),
    ]


def test_delete(ask: Ask, as_alice: Client) -> None:
    made = create(ask, background=True).json()
    answer = ask(f"responses/{made['id']}", method="DELETE")
    assert answer.json() == {"id": made["id"], "object": "response", "deleted": True}
    job = Job.objects.get()
    assert job.state == "cancelled"
    for refused in calls(ask, made["id"]):
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "response_not_found"
    key = made["metadata"]["session_id"]
    assert len(as_alice.get(f"/ai-demo/chat/history/{key}").json()["messages"]) == 1
    # The same work again is another response.
    again = as_alice.post(f"/ai-demo/workflow/retry/{job.public_id}").json()["job_id"]
    url = f"responses/resp_{again.removeprefix('workflow_')}"
    assert ask(url, method="GET").json()["status"] == "queued"


@pytest.mark.parametrize(
    "name", ["resp_" + "0" * 32, "resp_", "resp_" + "A" * 32, "workflow_x", "resp_%00", "x" * 3000]
)
def test_what_there_is_not(ask: Ask, name: str) -> None:
    for answer in calls(ask, name)[:6]:
        assert answer.status_code == 404, answer.content


def test_somebody_elses_is_nothing(ask: Ask, ask_as_bob: Ask) -> None:
    made = create(ask, background=True).json()
    for answer in calls(ask_as_bob, made["id"]):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "response_not_found"
    assert Job.objects.get().state == "queued"


def test_a_token_for_another_workflow_sees_nothing(ask: Ask, alice: User) -> None:
    made = create(ask, background=True).json()
    _, token = Token.objects.create(alice, expiry=timedelta(hours=1), workflow="talk")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get(f"/v1/responses/{made['id']}").status_code == 404
    body = {"model": "echo", "input": "hello", "background": True}
    assert client.post("/v1/responses", body, "application/json").status_code == 403
    body = {**body, "model": "talk"}
    assert client.post("/v1/responses", body, "application/json").status_code == 200


def test_a_token_that_does_not_decide(ask: Ask, alice: User, run: Any) -> None:
    made = create(ask, model="pay", background=True).json()
    run(Job.objects.get())
    _, token = Token.objects.create(alice, expiry=timedelta(hours=1), scope="send")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    item = {
        "type": "mcp_approval_response",
        "approval_request_id": made["id"].replace("resp_", "mcpr_"),
        "approve": True,
    }
    body = {"input": [item], "background": True}
    assert client.post("/v1/responses", body, "application/json").status_code == 403


def test_the_input(ask: Ask) -> None:
    made = create(ask, background=True).json()
    body = ask(f"responses/{made['id']}/input_items", method="GET").json()
    name = f"msg_{made['id'].removeprefix('resp_')}_input"
    assert (body["object"], body["has_more"]) == ("list", False)
    assert body["first_id"] == body["last_id"] == name
    assert body["data"] == [
        {
            "type": "message",
            "id": name,
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_text", "text": "hello"}],
        }
    ]


def test_what_is_not_stored_is_not_remembered(ask: Ask) -> None:
    create(ask, background=True, store=False)
    assert Job.objects.get().options["memory"] is False


def test_a_job_of_another_dialect_is_a_response(ask: Ask, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    url = f"responses/resp_{job.public_id.removeprefix('workflow_')}"
    assert ask(url, method="GET").json()["model"] == "chatflow"
    assert ask(f"{url}/cancel").json()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"conversation": "c"}, "conversation"),
        ({"conversation": {"id": "c"}}, "conversation"),
        ({"stream": 1}, "stream"),
        ({"background": "yes"}, "background"),
        ({"store": []}, "store"),
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"previous_response_id": {}}, "previous_response_id"),
        ({"model": []}, "model"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {"a": None}}, "metadata"),
        ({"metadata": {"a": "\0"}}, "metadata"),
        ({"metadata": {"a" * 65: ""}}, "metadata"),
        ({"metadata": {"a": "b" * 513}}, "metadata"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"session_id": ".."}}, "metadata"),
        ({"input": None}, "input"),
        ({"input": [[[]]]}, "input"),
        ({"input": "x\0"}, "input"),
    ],
)
def test_what_is_wrong_is_named(ask: Ask, fields: dict[str, Any], param: str) -> None:
    answer = ask("responses", {"model": "echo", "input": "x", "background": True, **fields})
    assert answer.status_code == 400, answer.content
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=yes", "stream"),
        ("stream=true&starting_after=-2", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
        ("stream=true&starting_after=99999999999999999999", "starting_after"),
        ("stream=true&starting_after=%C2%B2", "starting_after"),
        ("stream=true&starting_after=2", "starting_after"),
        ("stream=true&starting_after=", "starting_after"),
    ],
)
def test_a_cursor_that_is_none(ask: Ask, query: str, param: str) -> None:
    made = create(ask, background=True).json()
    answer = ask(f"responses/{made['id']}?{query}", method="GET")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_a_method_that_is_not_allowed(ask: Ask) -> None:
    answer = ask("responses", method="PUT")
    assert answer.status_code == 405
    assert answer.json()["error"]["type"] == "invalid_request_error"
