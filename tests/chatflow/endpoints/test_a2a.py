"""A2A's calls, but for its streams: see test_a2a_streams.py. a2a-sdk's messages judge answers."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from a2a.types import AgentCard, ListTasksResponse, SendMessageResponse, Task
from a2a.utils.proto_utils import validate_proto_required_fields
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from chatflow.access.tokens import make_token
from chatflow.dialects.a2a import PROGRESS
from chatflow.endpoints.a2a import tasks
from chatflow.endpoints.a2a.calls import METHODS
from chatflow.wire.openings import ON_LOOP
from chatflow.workflows import Context, registry, services, workflow
from chatflow.workflows.exceptions import QuestionClosed
from chatflow.workflows.models import Job, Message, Session, State
from tests.chatflow.anything import any_json
from tests.chatflow.conftest import AGAIN, MakeJob
from tests.configure import configure

pytestmark = pytest.mark.django_db

CARD = "/.well-known/agent-card.json"
AT_ONCE = {"returnImmediately": True}
# A moment which there is not in UTC.
EARLIEST = urlsafe_b64encode(b'["0001-01-01T00:00:00+23:59","x"]').decode()
Run = Callable[[Job], Job]


def post(client: Client, body: Any, **how: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/a2a", content, content_type="application/json", **how)


def call(client: Client, method: str, **params: Any) -> Any:
    """Make a call, and return its answer."""
    body = {"jsonrpc": "2.0", "id": "c1", "method": method, "params": params}
    answer = post(client, body)
    assert answer.status_code == 200, answer.content
    said = answer.json()
    assert (said["jsonrpc"], said["id"]) == ("2.0", "c1")
    return said


def check(message: Any, shown: Any) -> Any:
    """Let pass only what the protocol knows, with all that it demands."""
    validate_proto_required_fields(ParseDict(shown, message))
    return shown


def said(text: str = "hello", **fields: Any) -> dict[str, Any]:
    return {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}], **fields}


def send(client: Client, text: str = "hello", workflow: str = "echo", **fields: Any) -> Any:
    """Send a message, and return the task without waiting for its end."""
    params = {"message": said(text, **fields), "configuration": AT_ONCE}
    answer = call(client, "SendMessage", **params, metadata={"workflow": workflow})
    return check(SendMessageResponse(), answer["result"])["task"]


def get(client: Client, task_id: str, **params: Any) -> Any:
    return check(Task(), call(client, "GetTask", id=task_id, **params)["result"])


def listed(client: Client, **params: Any) -> Any:
    """Return a page of the list."""
    page = call(client, "ListTasks", **params)["result"]
    # What the protocol demands may be an empty text, which its validator takes for nothing.
    assert page.keys() == {"tasks", "nextPageToken", "pageSize", "totalSize"}
    ParseDict(page, ListTasksResponse())
    for task in page["tasks"]:
        check(Task(), task)
    return page


def fault(client: Client, method: str, **params: Any) -> tuple[int, str]:
    error = call(client, method, **params)["error"]
    assert error["message"]
    (details,) = error["data"]
    assert details["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    return error["code"], details["reason"]


def state(task: Any) -> str:
    return str(task["status"]["state"].removeprefix("TASK_STATE_"))


def text(task: Any) -> str:
    return "".join(part["text"] for each in task["artifacts"] for part in each["parts"])


@pytest.fixture
def work(run: Run) -> Callable[[], Job]:
    """Return what does the newest job."""
    return lambda: run(Job.objects.latest("pk"))


# The card.


def test_anybody_may_read_the_card(anonymous: Client) -> None:
    card = check(AgentCard(), anonymous.get(CARD).json())
    assert card["supportedInterfaces"] == [
        {"url": "http://testserver/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    ]
    assert card["capabilities"]["streaming"] is True
    assert {each["id"] for each in card["skills"]} == {
        each.name for each in registry.all_workflows()
    }


# A task's life.


def test_a_message_begins_a_task(as_alice: Client, work: Callable[[], Job]) -> None:
    task = send(as_alice, contextId="mine")
    assert (state(task), task["contextId"]) == ("SUBMITTED", "mine")
    assert "artifacts" not in task

    job = work()

    assert job.public_id == task["id"]
    task = get(as_alice, job.public_id)
    assert (state(task), text(task)) == ("COMPLETED", "You said: hello")
    cited = task["artifacts"][0]["metadata"]
    assert cited["sources"] == [{"title": "You"}]
    assert cited["actions"][0]["label"] == AGAIN["label"]


def test_a_message_without_a_context_begins_one(as_alice: Client) -> None:
    one, other = send(as_alice), send(as_alice)
    assert one["contextId"] != other["contextId"]


def test_a_task_that_is_worked_on(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    Job.objects.filter(pk=job.pk).update(
        state=State.PROCESSING,
        progress=40,
        progress_message="Half",
        lease_until=timezone.now() + timedelta(minutes=1),
    )
    task = get(as_alice, job.public_id)
    assert state(task) == "WORKING"
    assert task["status"]["message"]["parts"] == [{"text": "Half"}]
    tracker = {"id": "job", "progress": 40, "total": 100, "message": "Half"}
    assert task["metadata"] == {PROGRESS: {"trackers": [tracker]}}


def test_a_task_that_failed(as_alice: Client, work: Callable[[], Job]) -> None:
    task_id = send(as_alice, workflow="fail")["id"]
    work()
    task = get(as_alice, task_id)
    assert state(task) == "FAILED"
    assert task["status"]["message"]["parts"] == [
        {"text": "The printer is on fire."},
        {"data": {"code": "fire"}},
    ]


def test_a_crash_gives_nothing_away(as_alice: Client, work: Callable[[], Job]) -> None:
    task_id = send(as_alice, workflow="crash")["id"]
    work()
    assert "secret" not in str(get(as_alice, task_id))


def test_a_question_and_its_answer_are_one_task(as_alice: Client, work: Callable[[], Job]) -> None:
    begun = send(as_alice, workflow="ask")
    work()
    asking = get(as_alice, begun["id"])
    assert state(asking) == "INPUT_REQUIRED"
    prompt, data = asking["status"]["message"]["parts"]
    assert (prompt["text"], data["data"]["kind"]) == ("What is your name?", "text")

    # Were it not named, it would be taken for another wish.
    task = send(as_alice, "help", workflow="", taskId=begun["id"])
    assert (task["id"], state(task)) == (begun["id"], "SUBMITTED")
    work()
    task = get(as_alice, begun["id"], historyLength=10)
    assert (state(task), text(task)) == ("COMPLETED", "Hello help.")
    assert [(each["role"], each["parts"][0]["text"]) for each in task["history"]] == [
        ("ROLE_USER", "hello"),
        ("ROLE_AGENT", "What is your name?"),
        ("ROLE_USER", "help"),
        ("ROLE_AGENT", "Hello help."),
    ]
    assert len(get(as_alice, begun["id"], historyLength=1)["history"]) == 1
    # The answer's own job leads there too.
    assert text(get(as_alice, Job.objects.latest("pk").public_id)) == "Hello help."


def test_a_history_has_its_bounds(as_alice: Client) -> None:
    begun = send(as_alice)
    job = Job.objects.get()
    rows = [Message(session=job.session, job=job, role="user", content="x") for _ in range(101)]
    Message.objects.bulk_create(rows)
    assert len(get(as_alice, begun["id"], historyLength=2**31 - 1)["history"]) == 100


def test_the_contexts_next_message_is_an_answer_too(
    as_alice: Client, work: Callable[[], Job]
) -> None:
    begun = send(as_alice, workflow="ask")
    work()
    assert send(as_alice, "Alice", contextId=begun["contextId"])["id"] == begun["id"]


@pytest.mark.parametrize("word", ["cancel", "CancelTask"])
def test_a_question_is_dropped(as_alice: Client, work: Callable[[], Job], word: str) -> None:
    begun = send(as_alice, workflow="ask")
    work()
    if word == "CancelTask":
        task = check(Task(), call(as_alice, word, id=begun["id"])["result"])
    else:
        task = send(as_alice, word, workflow="", taskId=begun["id"])
    assert (task["id"], state(task)) == (begun["id"], "CANCELED")
    assert state(get(as_alice, begun["id"])) == "CANCELED"
    assert Session.objects.get().open_job is None
    gone = (-32004, "UNSUPPORTED_OPERATION")
    assert (
        fault(as_alice, "SendMessage", message=said(taskId=begun["id"]), configuration=AT_ONCE)
        == gone
    )


def test_an_approval_is_answered_with_data(as_alice: Client, work: Callable[[], Job]) -> None:
    @workflow("pay")
    def pay(ctx: Context) -> str:
        approval = ctx.approve("Pay it?")
        return f"{approval.approved}: {approval.reason}"

    begun = send(as_alice, workflow="pay")
    work()
    decision = [{"data": {"approved": True, "reason": "fine"}}]
    send(as_alice, workflow="", taskId=begun["id"], parts=decision)
    work()
    assert text(get(as_alice, begun["id"])) == "True: fine"


@pytest.mark.parametrize("again", [False, True])
def test_an_approval_that_is_decided_meanwhile(
    as_alice: Client, work: Callable[[], Job], monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The words would begin a chat, or decide the approval that is asked for next."""

    @workflow("pay")
    def pay(ctx: Context) -> str:
        return f"{ctx.approve('Pay it?').approved} {ctx.approve('And that?').approved}"

    begun = send(as_alice, workflow="pay")
    work()
    state_of = tasks.state_of

    def decide_meanwhile(turn: Job) -> str:
        found = state_of(turn)
        monkeypatch.setattr(tasks, "state_of", state_of)
        if again:
            services.start(turn.user, "yes", session_key=turn.session.key)
            work()
        else:
            services.cancel(turn)
        return found

    monkeypatch.setattr(tasks, "state_of", decide_meanwhile)
    message = said("yes", taskId=begun["id"])
    error = call(as_alice, "SendMessage", message=message, configuration=AT_ONCE)["error"]
    assert error["message"] == str(QuestionClosed())
    assert Job.objects.count() == 1 + again


def test_a_task_is_cancelled(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    waiting = send(as_alice)["id"]
    assert state(call(as_alice, "CancelTask", id=waiting)["result"]) == "CANCELED"
    assert fault(as_alice, "CancelTask", id=waiting) == (-32002, "TASK_NOT_CANCELABLE")

    job = make_job(alice)
    Job.objects.filter(pk=job.pk).update(state=State.PROCESSING, lease_until=timezone.now())
    assert state(call(as_alice, "CancelTask", id=job.public_id)["result"]) == "WORKING"
    job.refresh_from_db()
    assert job.cancel_code == "cancelled"


def test_a_task_that_does_not_ask_takes_no_message(
    as_alice: Client, work: Callable[[], Job]
) -> None:
    task = send(as_alice)
    message = said(taskId=task["id"])
    for _ in range(2):
        found = fault(as_alice, "SendMessage", message=message, configuration=AT_ONCE)
        assert found == (-32004, "UNSUPPORTED_OPERATION")
        work()
    assert Job.objects.count() == 1


def test_a_message_that_is_sent_again(as_alice: Client, work: Callable[[], Job]) -> None:
    """The call's own id may be another one."""

    def again(key: str, call_id: int, words: str, **fields: Any) -> Any:
        params = {"message": said(words, **fields), "configuration": AT_ONCE}
        params["metadata"] = {"workflow": "ask"}
        body = {"jsonrpc": "2.0", "id": call_id, "method": "SendMessage", "params": params}
        return post(as_alice, body, headers={"Idempotency-Key": key}).json()

    begun = again("k1", 1, "go")["result"]["task"]["id"]
    assert again("k1", 2, "go")["result"]["task"]["id"] == begun
    assert again("k1", 3, "no")["error"]["code"] == -32004
    work()
    again("k2", 4, "Alice", taskId=begun)
    assert state(again("k2", 5, "Alice", taskId=begun)["result"]["task"]) == "SUBMITTED"
    assert again("k3", 6, "Alice", taskId=begun)["error"]["code"] == -32004
    assert Job.objects.count() == 2
    # A key is known for a day.
    Job.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert again("k2", 7, "cancel", taskId=begun)["error"]["code"] == -32004
    assert state(get(as_alice, begun)) == "SUBMITTED"


# The list.


def test_tasks_are_listed_by_how_they_stand(
    as_alice: Client, as_bob: Client, work: Callable[[], Job]
) -> None:
    begun = {}
    for workflow_name, word in (
        ("echo", "COMPLETED"),
        ("fail", "FAILED"),
        ("ask", "INPUT_REQUIRED"),
        ("ask", "CANCELED"),
    ):
        task = send(as_alice, workflow=workflow_name)
        begun[word] = task["id"]
        work()
    services.cancel(Job.objects.get(public_id=begun["CANCELED"]))
    begun["SUBMITTED"] = send(as_alice)["id"]
    send(as_bob)

    def ids(**params: Any) -> list[str]:
        found = listed(as_alice, **params)
        assert found["totalSize"] == len(found["tasks"])
        return [task["id"] for task in found["tasks"]]

    for word, task_id in begun.items():
        assert ids(status=f"TASK_STATE_{word}") == [task_id]
    assert ids(status="TASK_STATE_WORKING") == []
    assert ids(status="TASK_STATE_REJECTED") == []
    assert set(ids()) == set(begun.values())
    assert ids(contextId=task["contextId"]) == [task["id"]]
    assert ids(statusTimestampAfter=(timezone.now() + timedelta(days=1)).isoformat()) == []
    assert set(ids(statusTimestampAfter="2020-01-01T00:00:00.123456789Z")) == set(ids())


def test_tasks_come_by_pages(as_alice: Client, work: Callable[[], Job]) -> None:
    begun = [send(as_alice, f"hello {number}")["id"] for number in range(5)]
    work()
    found: list[Any] = []
    params: dict[str, Any] = {"pageSize": 2, "includeArtifacts": True}
    while True:
        page = listed(as_alice, **params)
        assert (page["pageSize"], page["totalSize"]) == (2, 5)
        found += page["tasks"]
        if not page["nextPageToken"]:
            break
        params["pageToken"] = page["nextPageToken"]
    assert [task["id"] for task in found] == [begun[4], *reversed(begun[:4])]
    assert [text(task) for task in found if "artifacts" in task] == ["You said: hello 4"]


def test_a_task_is_listed_once_with_its_latest_turn(
    as_alice: Client, work: Callable[[], Job]
) -> None:
    begun = send(as_alice, workflow="ask")
    work()
    send(as_alice, "Alice", workflow="", taskId=begun["id"])
    work()
    (task,) = call(as_alice, "ListTasks")["result"]["tasks"]
    assert (task["id"], state(task)) == (begun["id"], "COMPLETED")


# Who may see what.


def test_somebody_elses_task_is_not_there(as_alice: Client, as_bob: Client) -> None:
    task_id = send(as_alice)["id"]
    missing = (-32001, "TASK_NOT_FOUND")
    for name in (task_id, f"workflow_{'0' * 32}", "x", "", "workflow_\0", "workflow_" + "٣" * 32):
        for method in ("GetTask", "CancelTask"):
            assert fault(as_bob, method, id=name) == missing
    params = {"message": said(taskId=task_id), "configuration": AT_ONCE}
    assert fault(as_bob, "SendMessage", **params) == missing
    assert call(as_bob, "ListTasks")["result"]["tasks"] == []
    assert call(as_bob, "ListTasks", contextId="s\0")["result"]["tasks"] == []


def test_a_token_for_one_workflow_knows_that_one_only(as_alice: Client, alice: User) -> None:
    _, token = make_token(alice, name="n", workflow="echo")
    limited = Client(headers={"Authorization": f"Bearer {token}"})
    own, other = send(as_alice), send(as_alice, workflow="ask")
    assert get(limited, own["id"])["id"] == own["id"]
    assert fault(limited, "GetTask", id=other["id"])[0] == -32001
    assert [each["id"] for each in call(limited, "ListTasks")["result"]["tasks"]] == [own["id"]]
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage"}
    params = {"message": said(metadata={"workflow": "ask"}), "configuration": AT_ONCE}
    refused = post(limited, body | {"params": params})
    assert (refused.status_code, refused.json()["error"]["data"]["code"]) == (403, "forbidden")


def test_without_a_credential_there_is_nothing(anonymous: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        answer = post(
            anonymous, {"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}, headers=headers
        )
        assert answer.status_code == 401
        assert answer.json()["error"]["data"] == {"code": "unauthenticated"}
        assert answer["WWW-Authenticate"] == "Bearer"


def test_messages_have_a_rate(as_alice: Client, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(1, 60))
    send(as_alice)
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage"}
    answer = post(as_alice, body | {"params": {"message": said(), "configuration": AT_ONCE}})
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert answer.json()["error"]["data"] == {"code": "rate_limited"}


# What is no good.


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("message/send", -32601),
        ("CreateTaskPushNotificationConfig", -32003),
        ("GetExtendedAgentCard", -32007),
    ],
)
def test_what_is_not_offered(as_alice: Client, method: str, code: int) -> None:
    assert fault(as_alice, method)[0] == code


def test_another_version(as_alice: Client) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}
    for version, code in (("0.3", -32009), ("1.1", -32009), ("1.0", None), ("1.0.3", None)):
        answer = post(as_alice, body, headers={"A2A-Version": version}).json()
        assert answer.get("error", {}).get("code") == code


DEEP: Any = "x"
for _ in range(50):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "message",
    [
        None,
        "hello",
        [],
        {},
        said(parts=[]),
        said(parts=None),
        said(parts={"text": "hello"}),
        said(parts=["hello"]),
        said(parts=[{"text": 7}]),
        said(parts=[{"text": "  "}]),
        said(parts=[{"text": "a\0b"}]),
        said(parts=[{"text": DEEP}]),
        said(messageId=""),
        said(messageId=7),
        said(contextId=7),
        said(contextId="x" * 256),
        said(contextId="a\0b"),
        said(contextId=".."),
        said(taskId=["a"]),
        said(metadata="echo"),
        said(metadata={"workflow": 7}),
        said(metadata={"workflow": "nothing"}),
    ],
)
def test_messages_that_are_no_good(as_alice: Client, message: Any) -> None:
    found = fault(as_alice, "SendMessage", message=message, configuration=AT_ONCE)
    assert found == (-32602, "INVALID_PARAMS")
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("SendMessage", {"configuration": {"returnImmediately": "yes"}}),
        ("SendMessage", {"configuration": {"historyLength": -1}}),
        ("SendMessage", {"configuration": 7}),
        ("SendMessage", {"metadata": []}),
        ("GetTask", {"id": 7}),
        ("GetTask", {"historyLength": -1}),
        ("GetTask", {"historyLength": True}),
        ("GetTask", {"historyLength": 10**30}),
        ("SubscribeToTask", {"id": {}}),
        ("ListTasks", {"pageSize": 0}),
        ("ListTasks", {"pageSize": 101}),
        ("ListTasks", {"pageSize": "2"}),
        ("ListTasks", {"status": 3}),
        ("ListTasks", {"includeArtifacts": 1}),
        ("ListTasks", {"statusTimestampAfter": "yesterday"}),
        ("ListTasks", {"statusTimestampAfter": "2026-01-13T13:45:00"}),
        ("ListTasks", {"statusTimestampAfter": "0001-01-01T00:00:00+09:00"}),
        ("ListTasks", {"pageToken": "x"}),
        ("ListTasks", {"pageToken": "é"}),
        ("ListTasks", {"pageToken": "W10="}),
        ("ListTasks", {"pageToken": "WzEsMl0="}),
        ("ListTasks", {"pageToken": EARLIEST}),
    ],
)
def test_params_that_are_no_good(as_alice: Client, method: str, params: Any) -> None:
    assert fault(as_alice, method, **{"message": said(), **params})[0] == -32602


def test_pictures_alone_are_not_understood(as_alice: Client) -> None:
    message = said(parts=[{"url": "https://a.example/a.png", "mediaType": "image/png"}])
    found = fault(as_alice, "SendMessage", message=message, configuration=AT_ONCE)
    assert found == (-32005, "CONTENT_TYPE_NOT_SUPPORTED")


def test_a_task_of_another_context(as_alice: Client) -> None:
    message = said(taskId=send(as_alice)["id"], contextId="other")
    found = fault(as_alice, "SendMessage", message=message, configuration=AT_ONCE)
    assert found == (-32602, "INVALID_PARAMS")


def test_push_notifications(as_alice: Client) -> None:
    wanted = {**AT_ONCE, "taskPushNotificationConfig": {"url": "https://a.example/"}}
    found = fault(as_alice, "SendMessage", message=said(), configuration=wanted)
    assert found == (-32003, "PUSH_NOTIFICATION_NOT_SUPPORTED")


@pytest.mark.parametrize("body", [b"{", b"[]", b'[{"jsonrpc":"2.0"}]', b"7"])
def test_what_is_no_call(as_alice: Client, body: bytes) -> None:
    answer = post(as_alice, body)
    assert (answer.status_code, answer.json()["id"]) == (200, None)
    assert answer.json()["error"]["code"] in (-32700, -32600)


NAMES = st.sampled_from(
    [
        *("message", "configuration", "metadata", "id", "taskId", "contextId", "messageId"),
        *("parts", "text", "data", "workflow", "returnImmediately", "historyLength", "status"),
        *("pageSize", "pageToken", "statusTimestampAfter", "includeArtifacts"),
    ]
)
JSON = any_json(NAMES)


@pytest.mark.parametrize("method", METHODS)
def test_any_params(as_alice: Any, settings: Any, method: str) -> None:
    configure(settings, RATE_LIMIT_SEND=(10_000, 60))
    as_alice.defaults[ON_LOOP] = True
    task_id = send(as_alice)["id"]

    @rules(
        max_examples=10,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        params=st.dictionaries(NAMES, JSON, max_size=6),
        message=st.dictionaries(NAMES, JSON, max_size=6),
        known=st.booleans(),
    )
    def attack(params: Any, message: Any, known: bool) -> None:
        if known:
            params |= {"message": said(taskId=task_id) | message, "id": task_id}
        answer = post(as_alice, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert answer.status_code == 200
        # A stream, or a wait, begins.
        if answer.content:
            assert answer.json().keys() in ({"jsonrpc", "id", "error"}, {"jsonrpc", "id", "result"})

    attack()


def test_it_is_posted_only(as_alice: Client) -> None:
    answer = as_alice.get("/a2a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, -32000)
