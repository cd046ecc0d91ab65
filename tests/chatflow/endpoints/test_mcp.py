"""POST /mcp: the workflows as tools."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from mcp_types import methods
from pydantic import BaseModel, Field

from chatflow.access.tokens import make_token
from chatflow.asgi import application
from chatflow.endpoints.mcp import MODERN as MODERN_METHODS
from chatflow.endpoints.mcp.protocol import CAPABILITIES, LEGACY, MODERN, TASKS, VERSION
from chatflow.models import Token
from chatflow.wire.openings import ON_LOOP
from chatflow.workflows import Context, services, workflow
from chatflow.workflows.models import ApprovalRequest, Job, State
from chatflow.workflows.store.events import append
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.anything import any_json
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_job import begin
from tests.chatflow.test_web import pool  # noqa: F401  (a fixture)
from tests.configure import configure
from tests.conftest import Bearer
from tests.workflows.chat import claimed

pytestmark = pytest.mark.django_db

Run = Callable[[Job], Job]

URL = "/mcp"
WITH_TASKS: dict[str, Any] = {"extensions": {TASKS: {}}}
# What a client sends with each call since 2026-07-28.
META = {VERSION: MODERN, CAPABILITIES: {}}


def call(method: str, params: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    """Return a call of the version without a handshake."""
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": {**(params or {}), "_meta": {**META, **meta}},
    }


def headers_of(body: Any) -> dict[str, str]:
    """Return the headers that repeat what a call says."""
    params = body.get("params", {})
    name = params.get("name") or params.get("taskId")
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": body["method"]}
    return {**headers, **({"Mcp-Name": name} if isinstance(name, str) else {})}


def post(client: Client, body: Any, **headers: str) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post(URL, content, "application/json", headers=headers)
    return answer.status_code, answer.json() if answer.content else None


def ask(client: Client, method: str, params: dict[str, Any] | None = None, **meta: Any) -> Any:
    """Return the result of a call."""
    body = call(method, params, **meta)
    status, answer = post(client, body, **headers_of(body))
    assert status == 200, answer
    assert answer["id"] == 1
    assert answer["result"]["_meta"].keys() == {"io.modelcontextprotocol/serverInfo"}
    return answer["result"]


def fault(client: Client, method: str, params: Any = None, **meta: Any) -> tuple[int, int]:
    """Return the HTTP status and the code of a call that goes wrong."""
    body = call(method, params, **meta)
    status, answer = post(client, body, **headers_of(body))
    assert answer["id"] == 1
    return status, answer["error"]["code"]


def legacy(client: Client, method: str, params: dict[str, Any] | None = None) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    status, answer = post(client, body, **{"MCP-Protocol-Version": LEGACY[0]})
    assert status == 200, answer
    return answer["result"] if "result" in answer else answer["error"]["code"]


def task(client: Client, method: str, task_id: Any, **params: Any) -> Any:
    given = {"taskId": task_id, **params}
    return ask(client, f"tasks/{method}", given, **{CAPABILITIES: WITH_TASKS})


def begun(client: Client, name: str, message: str = "hello", **arguments: Any) -> str:
    """Return the id of the task of a tool's call."""
    params = {"name": name, "arguments": {"message": message, **arguments}}
    result = ask(client, "tools/call", params, **{CAPABILITIES: WITH_TASKS})
    assert result["resultType"] == "task"
    assert result["status"] == "working"
    return str(result["taskId"])


def latest() -> Job:
    return Job.objects.latest("pk")


# What there is.


def test_it_works(as_alice: Client, run: Run) -> None:
    task_id = begun(as_alice, "echo", session_id="s")
    assert task(as_alice, "get", task_id)["status"] == "working"
    run(latest())

    done = task(as_alice, "get", task_id)

    assert done["status"] == "completed"
    assert done["resultType"] == "complete"
    assert done["result"]["content"] == [{"type": "text", "text": "You said: hello"}]
    told = done["result"]["structuredContent"]
    assert (told["response"], told["session_id"]) == ("You said: hello", "s")
    assert told["sources"] == [{"title": "You"}]
    assert told["job_id"] == task_id
    assert done["result"]["isError"] is False


def test_a_server_is_discovered(as_alice: Client) -> None:
    found = ask(as_alice, "server/discover")
    assert found["supportedVersions"] == ["2026-07-28", "2025-11-25"]
    # A client takes nothing else for the extension.
    assert found["capabilities"] == {"tools": {}, "extensions": {TASKS: {}}}
    methods.validate_server_result("server/discover", MODERN, found)


def test_each_workflow_is_a_tool(as_alice: Client) -> None:
    found = ask(as_alice, "tools/list")
    methods.validate_server_result("tools/list", MODERN, found)
    tools = {tool["name"]: tool for tool in found["tools"]}
    assert {"ask", "chat", "create_invoice", "echo"} <= tools.keys()
    assert list(tools) == sorted(tools)
    assert tools["chat"]["title"] == "Chat"
    assert tools["echo"]["description"] == "Say again what was said."
    assert tools["echo"]["inputSchema"]["required"] == ["message"]


def test_the_message_may_decide(as_alice: Client) -> None:
    begun(as_alice, "chatflow", "create an invoice")
    assert latest().workflow == "create_invoice"


def test_a_handshake(as_alice: Client) -> None:
    greeting = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    found = legacy(as_alice, "initialize", greeting)
    methods.validate_server_result("initialize", "2025-11-25", found)
    assert found["protocolVersion"] == "2025-11-25"
    assert found["capabilities"] == {"tools": {}}
    assert (
        legacy(as_alice, "initialize", {"protocolVersion": "1999-01-01"})["protocolVersion"]
        == "2025-11-25"
    )
    assert legacy(as_alice, "ping") == {}
    assert "echo" in {tool["name"] for tool in legacy(as_alice, "tools/list")["tools"]}
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert post(as_alice, note) == (202, None)
    # What belongs to the other version.
    assert legacy(as_alice, "server/discover") == -32601
    assert legacy(as_alice, "tasks/get", {"taskId": "x"}) == -32601
    assert fault(as_alice, "ping") == (404, -32601)


# What is refused.


def test_a_call_says_the_same_as_its_headers(as_alice: Client) -> None:
    body = call("tools/call", {"name": "echo", "arguments": {"message": "hello"}})
    right = headers_of(body)
    for name in right:
        for wrong in ({}, {name: "x"}):
            kept = {key: value for key, value in right.items() if key != name}
            status, answer = post(as_alice, body, **kept, **wrong)
            assert (status, answer["error"]["code"]) == (400, -32020), (name, wrong)
    assert not Job.objects.exists()


def test_a_name_may_be_encoded(as_alice: Client) -> None:
    body = call("tools/call", {"name": "Grüße", "arguments": {}})
    headers = headers_of(call("tools/call"))
    encoded = base64.b64encode("Grüße".encode()).decode()
    _, answer = post(as_alice, body, **headers, **{"Mcp-Name": f"=?base64?{encoded}?="})
    assert answer["error"] == {"code": -32602, "message": "There is no such tool."}
    for broken in ("%%%", "/w=="):
        _, answer = post(as_alice, body, **headers, **{"Mcp-Name": f"=?base64?{broken}?="})
        assert answer["error"]["code"] == -32020


@pytest.mark.parametrize(
    "meta", [None, [], {}, {VERSION: MODERN}, {CAPABILITIES: {}}, {**META, CAPABILITIES: None}]
)
def test_a_call_says_who_calls(as_alice: Client, meta: Any) -> None:
    body = {**call("tools/list"), "params": {"_meta": meta}}
    status, answer = post(as_alice, body, **headers_of(body))
    assert (status, answer["error"]["code"]) == (400, -32602)


def test_an_unknown_version(as_alice: Client) -> None:
    newer: dict[str, Any] = {VERSION: "2031-01-01"}
    body = call("tools/list", **newer)
    unsupported = {"supported": ["2026-07-28", "2025-11-25"], "requested": "2031-01-01"}
    headers = {**headers_of(body), "MCP-Protocol-Version": "2031-01-01"}
    status, answer = post(as_alice, body, **headers)
    assert (status, answer["error"]["code"]) == (400, -32022)
    assert answer["error"]["data"] == unsupported
    plain = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    status, answer = post(as_alice, plain, **headers)
    assert (status, answer["error"]["data"]) == (400, unsupported)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[" * 5000, -32700),
        (b'"\xff"', -32700),
        ([], -32600),
        ([call("tools/list")], -32600),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, -32600),
        ({**call("tools/list"), "id": None}, -32600),
        ({**call("tools/list"), "id": {}}, -32600),
        ({**call("tools/list"), "params": None}, -32602),
    ],
)
def test_what_is_no_call(as_alice: Client, body: Any, code: int) -> None:
    status, answer = post(as_alice, body)
    assert (status, answer["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -32602),
        ({"name": "nothing"}, -32602),
        ({"name": ""}, -32602),
        ({"name": ["echo"]}, -32602),
        ({"name": "echo\0"}, -32602),
        ({"name": "echo", "arguments": []}, -32602),
        ({"name": "echo", "arguments": None}, -32602),
    ],
)
def test_a_call_of_no_tool(as_alice: Client, params: Any, code: int) -> None:
    body = call("tools/call", params, **{CAPABILITIES: WITH_TASKS})
    headers = {name: value.replace("\0", "") for name, value in headers_of(body).items()}
    status, answer = post(as_alice, body, **headers)
    assert status == 400
    assert answer["error"]["code"] in (code, -32020)
    assert legacy(as_alice, "tools/call", params) == code


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"message": None},
        {"message": 5},
        {"message": " "},
        {"message": "\0"},
        {"message": "hello", "session_id": 5},
        {"message": "hello", "session_id": ""},
        {"message": "hello", "session_id": "."},
        {"message": "hello", "session_id": "x" * 256},
    ],
)
def test_wrong_arguments_are_a_tools_error(as_alice: Client, arguments: Any) -> None:
    """So that the model that has called it reads what it may mend."""
    params = {"name": "echo", "arguments": arguments}
    result = ask(as_alice, "tools/call", params, **{CAPABILITIES: WITH_TASKS})
    assert result["isError"] is True
    assert result["structuredContent"]["code"] == "invalid"
    assert result["content"][0]["text"]
    methods.validate_server_result("tools/call", MODERN, result)
    assert not Job.objects.exists()


NAMES = st.sampled_from(
    [
        *("name", "arguments", "message", "session_id", "_meta", "progressToken", "taskId"),
        *("inputResponses", "action", "content", "answer", "protocolVersion", TASKS, "extensions"),
    ]
)
ANYTHING = any_json(NAMES)


@pytest.mark.parametrize("method", [*MODERN_METHODS, "initialize"])
def test_any_params(as_alice: Client, run: Run, settings: Any, method: str) -> None:
    configure(settings, RATE_LIMIT_SEND=(10_000, 60))
    environ: Any = as_alice.defaults
    environ[ON_LOOP] = True
    known = begun(as_alice, "ask")
    (key,) = task(as_alice, "get", run(latest()).public_id)["inputRequests"]

    @rules(
        max_examples=10,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        params=st.dictionaries(NAMES, ANYTHING, max_size=6),
        inner=ANYTHING,
        knows=st.booleans(),
        handshake=st.booleans(),
    )
    def attack(params: Any, inner: Any, knows: bool, handshake: bool) -> None:
        params["_meta"] = {**META, CAPABILITIES: WITH_TASKS}
        if knows:
            params |= {"taskId": known, "inputResponses": {key: inner}, "arguments": inner}
            params |= {"name": "echo"}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        said = {} if handshake else headers_of(body)
        said = {name: value for name, value in said.items() if value.isprintable()}
        said = {name: value for name, value in said.items() if value.isascii()}
        if handshake:
            params["_meta"] = inner
        answer = as_alice.post(URL, json.dumps(body), "application/json", headers=said)
        assert answer.status_code in (200, 400)
        # A stream begins.
        if answer.content:
            assert answer.json().keys() in ({"jsonrpc", "id", "error"}, {"jsonrpc", "id", "result"})

    attack()


@pytest.mark.parametrize("token", [1.5, True, [], {}, "x" * 256, 2**70])
def test_a_token_is_a_name(as_alice: Client, token: Any) -> None:
    assert fault(as_alice, "tools/list", progressToken=token) == (400, -32602)


def test_nobody_is_let_in_without_a_credential(anonymous: Client, charlie: User) -> None:
    status, answer = post(anonymous, call("tools/list"))
    assert status == 401
    assert answer["error"]["data"] == {"code": "unauthenticated"}
    anonymous.force_login(charlie)
    assert post(anonymous, call("tools/list"))[0] == 401


def test_only_post_is_answered(as_alice: Client) -> None:
    for method in ("GET", "DELETE", "PUT"):
        answer = as_alice.generic(method, URL)
        assert answer.status_code == 405
        assert set(answer["Allow"].split(", ")) == {"POST", "OPTIONS"}
        assert answer.json()["error"]["data"] == {"code": "method_not_allowed"}


def test_pages_of_other_sites_are_refused(as_alice: Client, alice: User, settings: Any) -> None:
    body = call("tools/list")

    def status(client: Client, **headers: str) -> int:
        return post(client, body, **headers_of(body), **headers)[0]

    assert status(as_alice, Origin="http://testserver") == 200
    assert status(as_alice, Origin="https://evil.example") == 403
    assert status(as_alice, Origin="null") == 403
    assert status(Client(), Origin="https://evil.example") == 403
    settings.CORS_ALLOWED_ORIGINS = ["https://ide.example"]
    assert status(as_alice, Origin="https://ide.example") == 200
    # A cookie is for pages of this site only.
    page = Client(enforce_csrf_checks=True)
    page.force_login(alice)
    assert status(page, Origin="http://testserver") == 200
    assert status(page) == 403


def test_messages_have_a_rate(as_alice: Client, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(1, 60))
    begun(as_alice, "echo")
    body = call("tools/call", {"name": "echo", "arguments": {"message": "more"}})
    body["params"]["_meta"][CAPABILITIES] = WITH_TASKS
    content = json.dumps(body).encode()
    answer = as_alice.post(URL, content, "application/json", headers=headers_of(body))
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert answer.json()["error"]["data"] == {"code": "rate_limited"}


def test_a_key_begins_one_job(as_alice: Client) -> None:
    body = call("tools/call", {"name": "echo", "arguments": {"message": "hello"}})
    body["params"]["_meta"][CAPABILITIES] = WITH_TASKS
    sent = {**headers_of(body), "Idempotency-Key": "k"}
    first = post(as_alice, body, **sent)[1]["result"]
    body["id"] = 2
    second = post(as_alice, body, **sent)[1]["result"]
    assert first["taskId"] == second["taskId"]
    body["params"]["arguments"]["message"] = "other"
    assert post(as_alice, body, **sent)[1]["result"]["structuredContent"]["code"] == (
        "idempotency_conflict"
    )


# Tasks.


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
def test_tasks_are_for_those_who_know_them(as_alice: Client, method: str) -> None:
    body = call(f"tasks/{method}", {"taskId": "x", "inputResponses": {}})
    status, answer = post(as_alice, body, **headers_of(body))
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"] == {"requiredCapabilities": WITH_TASKS}


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
def test_other_peoples_tasks_are_none(
    as_alice: Client, bob: User, make_job: MakeJob, run: Run, method: str
) -> None:
    mine = Client(headers=_headers(bob))
    theirs = run(make_job(bob, workflow="ask")).public_id
    begun(mine, "ask", "Bob", session_id="s")
    turn = latest().public_id
    known = task(mine, "get", theirs)
    strange: list[Any] = ["workflow_x", "x", f"job_{theirs[9:]}", "", None, 5, "\0", []]
    for task_id in (theirs, turn, *strange):
        params: dict[str, Any] = {"taskId": task_id, "inputResponses": {}}
        body = call(f"tasks/{method}", params, **{CAPABILITIES: WITH_TASKS})
        headers = {key: value for key, value in headers_of(body).items() if key != "Mcp-Name"}
        status, answer = post(as_alice, body, **headers)
        assert (status, answer["error"]["code"]) == (400, -32602)
    assert task(mine, "get", theirs) == known


def _headers(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {Token.objects.create(user)[1]}"}


def test_a_question_and_its_answer_are_one_task(as_alice: Client, run: Run) -> None:
    task_id = begun(as_alice, "ask", session_id="s")
    asking = run(latest())
    waiting = task(as_alice, "get", task_id)
    key = f"ask_{asking.public_id.removeprefix('workflow_')}"
    assert waiting["status"] == "input_required"
    assert waiting["inputRequests"] == {
        key: {
            "method": "elicitation/create",
            "params": {
                "mode": "form",
                "message": "What is your name?",
                "requestedSchema": {
                    "type": "object",
                    "properties": {"answer": {"type": "string"}},
                    "required": ["answer"],
                },
            },
        }
    }

    answer = {"action": "accept", "content": {"answer": "Is it Ada?"}}
    assert task(as_alice, "update", task_id, inputResponses={key: answer})["resultType"] == (
        "complete"
    )

    assert task(as_alice, "get", task_id)["status"] == "working"
    run(latest())
    done = task(as_alice, "get", task_id)
    assert done["result"]["structuredContent"]["response"] == "Hello Is it Ada?."
    assert done["result"]["structuredContent"]["job_id"] != task_id
    # What comes too late, or belongs to no question, is let pass.
    task(as_alice, "update", task_id, inputResponses={key: answer, "other": 5})
    assert Job.objects.count() == 2


def test_a_message_of_the_chat_answers_too(
    as_alice: Client, alice: User, make_job: MakeJob, run: Run
) -> None:
    task_id = begun(as_alice, "ask", session_id="s")
    run(latest())
    run(make_job(alice, "Ada", workflow=None))
    assert task(as_alice, "get", task_id)["result"]["content"][0]["text"] == "Hello Ada."


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_question_may_be_dropped(as_alice: Client, run: Run, action: str) -> None:
    task_id = begun(as_alice, "ask", session_id="s")
    run(latest())
    (key,) = task(as_alice, "get", task_id)["inputRequests"]
    task(as_alice, "update", task_id, inputResponses={key: {"action": action}})
    assert task(as_alice, "get", task_id)["status"] == "cancelled"
    late = {"action": "accept", "content": {"answer": "Ada"}}
    task(as_alice, "update", task_id, inputResponses={key: late})
    assert task(as_alice, "get", task_id)["status"] == "cancelled"


@pytest.mark.parametrize(
    "response",
    [
        5,
        [],
        {},
        {"action": "do"},
        {"action": ["accept"]},
        {"action": "accept", "content": "Ada"},
        {"action": "accept"},
        {"action": "accept", "content": {"answer": 5}},
        {"action": "accept", "content": {"answer": " "}},
        {"action": "accept", "content": {"answer": "\0"}},
    ],
)
def test_what_is_no_answer(as_alice: Client, run: Run, response: Any) -> None:
    task_id = begun(as_alice, "ask", session_id="s")
    run(latest())
    (key,) = task(as_alice, "get", task_id)["inputRequests"]
    params = {"taskId": task_id, "inputResponses": {key: response}}
    assert fault(as_alice, "tasks/update", params, **{CAPABILITIES: WITH_TASKS}) == (400, -32602)
    params["inputResponses"] = [key]
    assert fault(as_alice, "tasks/update", params, **{CAPABILITIES: WITH_TASKS}) == (400, -32602)
    assert task(as_alice, "get", task_id)["status"] == "input_required"


class Trip(BaseModel):
    town: str = Field(title="Where to?")
    days: int


class Limit(BaseModel):
    amount: int


def questions(ctx: Context) -> str:
    """Ask in every way."""
    size = ctx.choose("Which size?", [("s", "Small"), (2, "Large")])
    sure = ctx.confirm("Sure?")
    note = ctx.ask("A note?", optional=True)
    trip = ctx.form("Where?", Trip)
    return f"{size!r} {sure} {note} {trip.town} {trip.days}"


def test_every_kind_of_question(as_alice: Client, run: Run) -> None:
    workflow("questions")(questions)
    task_id = begun(as_alice, "questions", session_id="s")

    def answer(content: dict[str, Any]) -> dict[str, Any]:
        run(latest())
        ((key, request),) = task(as_alice, "get", task_id)["inputRequests"].items()
        said = {key: {"action": "accept", "content": content}}
        task(as_alice, "update", task_id, inputResponses=said)
        return cast(dict[str, Any], request["params"]["requestedSchema"])

    assert answer({"answer": "2"})["properties"]["answer"] == {
        "type": "string",
        "oneOf": [{"const": "s", "title": "Small"}, {"const": "2", "title": "Large"}],
    }
    assert answer({"answer": True})["properties"] == {"answer": {"type": "boolean"}}
    assert answer({})["required"] == []
    assert answer({"town": "Rome", "days": "many"})["properties"]["town"]["title"] == "Where to?"
    # The workflow has found a mistake, and asks again.
    assert answer({"town": "Rome", "days": 3})["required"] == ["town", "days"]
    run(latest())
    done = task(as_alice, "get", task_id)
    assert done["result"]["structuredContent"]["response"] == "2 True None Rome 3"


def risky(ctx: Context) -> str:
    about = {"Table": "orders", "Rows": [1, None]}
    approval = ctx.approve("Delete?", details=about, answer=Limit)
    limit = cast(Limit, approval.answer).amount if approval.answer else None
    return f"{approval.approved} by {approval.by}: {approval.reason} {limit}"


@pytest.fixture
def asked(as_alice: Client, run: Run) -> tuple[str, str]:
    """Return a task that waits for an approval, and the approval's id."""
    workflow("risky")(risky)
    task_id = begun(as_alice, "risky", session_id="s")
    run(latest())
    return task_id, ApprovalRequest.objects.get().public_id


def decide(client: Client, task_id: str, key: str, **content: Any) -> None:
    said = {key: {"action": "accept", "content": content}}
    task(client, "update", task_id, inputResponses=said)


def test_an_approval(as_alice: Client, run: Run, asked: tuple[str, str]) -> None:
    task_id, key = asked
    waiting = task(as_alice, "get", task_id)["inputRequests"][key]["params"]
    prompt, *details = waiting["message"].split("\n")
    assert prompt == "Delete?"
    assert set(details) == {"Table: orders", "Rows: [1, null]"}
    schema = waiting["requestedSchema"]
    assert schema["required"] == ["approved"]
    assert {name: field["type"] for name, field in schema["properties"].items()} == {
        "approved": "boolean",
        "reason": "string",
        "answer.amount": "integer",
    }
    content = {"approved": True, "reason": "Old.", "answer.amount": "many"}
    params = {"taskId": task_id, "inputResponses": {key: {"action": "accept", "content": content}}}
    assert fault(as_alice, "tasks/update", params, **{CAPABILITIES: WITH_TASKS}) == (400, -32602)

    decide(as_alice, task_id, key, approved=True, reason="Old.", **{"answer.amount": 7})

    request = ApprovalRequest.objects.get()
    assert (request.via, request.by, request.approved) == ("api", "alice", True)
    run(latest())
    done = task(as_alice, "get", task_id)
    assert done["result"]["structuredContent"]["response"] == "True by alice: Old. 7"
    # Another one's decision stands.
    decide(as_alice, task_id, key, approved=False)
    assert ApprovalRequest.objects.get().approved


def test_a_rejection(as_alice: Client, run: Run, asked: tuple[str, str]) -> None:
    task_id, key = asked
    decide(as_alice, task_id, key, approved=False, reason="No.", **{"answer.amount": 7})
    run(latest())
    done = task(as_alice, "get", task_id)
    assert done["result"]["structuredContent"]["response"] == "False by alice: No. None"


def test_a_question_asked_again_is_the_same(
    as_alice: Client, alice: User, make_job: MakeJob, run: Run, asked: tuple[str, str]
) -> None:
    """A client takes another one of the same name for a fault."""
    task_id, _ = asked
    before = task(as_alice, "get", task_id)["inputRequests"]
    run(make_job(alice, "perhaps", workflow=None))
    assert task(as_alice, "get", task_id)["inputRequests"] == before


def test_a_limited_token_decides_nothing(alice: User, asked: tuple[str, str]) -> None:
    task_id, key = asked
    for limits in ({"scope": Token.Scope.SEND}, {"workflow": "risky"}):
        _, token = make_token(alice, name="limited", **limits)
        client = Client(headers={"Authorization": f"Bearer {token}"})
        said = {key: {"action": "accept", "content": {"approved": True}}}
        body = call("tasks/update", {"taskId": task_id, "inputResponses": said})
        body["params"]["_meta"][CAPABILITIES] = WITH_TASKS
        status, answer = post(client, body, **headers_of(body))
        assert (status, answer["error"]["data"]) == (403, {"code": "forbidden"})
    assert ApprovalRequest.objects.get().approved is None


def test_a_token_for_one_workflow_knows_no_other(as_alice: Client, alice: User, run: Run) -> None:
    _, token = make_token(alice, name="limited", workflow="ask")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert [tool["name"] for tool in ask(client, "tools/list")["tools"]] == ["ask"]
    params = {"name": "echo", "arguments": {"message": "hello"}}
    assert fault(client, "tools/call", params, **{CAPABILITIES: WITH_TASKS}) == (400, -32602)
    other = begun(as_alice, "echo")
    params = {"taskId": other}
    assert fault(client, "tasks/get", params, **{CAPABILITIES: WITH_TASKS}) == (400, -32602)
    task_id = begun(client, "ask", session_id="own")
    run(latest())
    (key,) = task(client, "get", task_id)["inputRequests"]
    said = {key: {"action": "accept", "content": {"answer": "Ada"}}}
    task(client, "update", task_id, inputResponses=said)
    assert latest().text == "Ada"
    assert latest().root is not None
    # A turn that another workflow has taken over is out of its reach.
    Job.objects.filter(pk=latest().pk).update(workflow="echo", progress_message="secret")
    assert "secret" not in str(task(client, "get", task_id))
    _, token = make_token(alice, name="reads", scope=Token.Scope.READ)
    reader = Client(headers={"Authorization": f"Bearer {token}"})
    assert post(reader, call("tools/list"))[0] == 403


@pytest.mark.parametrize(("name", "error"), [("fail", "The printer is on fire."), ("crash", "")])
def test_a_failed_job_is_a_tools_error(as_alice: Client, run: Run, name: str, error: str) -> None:
    task_id = begun(as_alice, name)
    run(latest())
    done = task(as_alice, "get", task_id)
    assert done["status"] == "completed"
    assert done["result"]["isError"] is True
    assert "secret" not in json.dumps(done)
    assert error in done["result"]["content"][0]["text"]


def test_a_task_is_cancelled(as_alice: Client, run: Run) -> None:
    task_id = begun(as_alice, "echo")
    for _ in range(2):
        assert task(as_alice, "cancel", task_id)["resultType"] == "complete"
    assert task(as_alice, "get", task_id)["status"] == "cancelled"
    ended = begun(as_alice, "echo")
    run(latest())
    task(as_alice, "cancel", ended)
    assert task(as_alice, "get", ended)["status"] == "completed"
    asking = begun(as_alice, "ask")
    run(latest())
    task(as_alice, "cancel", asking)
    assert task(as_alice, "get", asking)["status"] == "cancelled"


def test_a_task_tells_what_it_does(as_alice: Client) -> None:
    task_id = begun(as_alice, "echo")
    job = claimed()
    append(job.pk, job.attempt, "progress", progress=30, message="Counting...")
    assert task(as_alice, "get", task_id)["statusMessage"] == "Counting..."


# Streams.


@pytest_asyncio.fixture
async def token(alice: User, bearer: Bearer) -> str:
    return (await sync_to_async(bearer)(alice))["Authorization"]


@pytest_asyncio.fixture
async def opened(pool: Any, token: str) -> Callable[..., Exchange]:  # noqa: F811
    """Return what calls a tool, and reads the stream of its work."""
    # As a server does when it starts.
    await listeners.open()

    def call_tool(name: str, *, version: str = MODERN, **meta: Any) -> Exchange:
        params = {"name": name, "arguments": {"message": "hello", "session_id": "s"}}
        body = call("tools/call", params, **meta)
        headers = {"Authorization": token, "Content-Type": "application/json"}
        if version == MODERN:
            headers |= headers_of(body)
        else:
            body["params"]["_meta"] = meta
            headers["MCP-Protocol-Version"] = version
        sent = json.dumps(body).encode()
        return Exchange(application, URL, method="POST", headers=headers, body=sent)

    return call_tool


async def read(frames: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    """Return the next message, past the signs of life."""
    return cast(dict[str, Any], (await anext(frames))["data"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("version", [MODERN, LEGACY[0]])
async def test_a_call_is_followed(opened: Callable[..., Exchange], run: Run, version: str) -> None:
    async with opened("echo", version=version, progressToken="t") as exchange:
        assert await exchange.start() == 200
        assert exchange.headers["content-type"] == "text/event-stream"
        assert "mcp-session-id" not in exchange.headers
        job = await sync_to_async(latest)()
        await sync_to_async(run)(job)
        *told, last = [frame["data"] async for frame in exchange.frames()]
    assert exchange.complete
    assert [each["params"]["progressToken"] for each in told] == ["t"] * len(told)
    assert told
    assert last["id"] == 1
    assert last["result"]["structuredContent"]["response"] == "You said: hello"
    assert ("resultType" in last["result"]) == (version == MODERN)


@pytest.mark.django_db(transaction=True)
async def test_who_leaves_cancels(opened: Callable[..., Exchange]) -> None:
    async with opened("echo") as exchange:
        await exchange.start()
        job = await sync_to_async(latest)()
        await sync_to_async(begin)(job)
        exchange.hang_up()
        await asyncio.wait_for(exchange.task, 10)
    assert (await sync_to_async(latest)()).cancel_code == "cancelled"


@pytest.mark.django_db(transaction=True)
async def test_who_leaves_a_waiting_job_ends_it(opened: Callable[..., Exchange]) -> None:
    async with opened("echo") as exchange:
        await exchange.start()
    assert (await sync_to_async(latest)()).state == State.CANCELLED


@pytest.mark.django_db(transaction=True)
async def test_a_handshakes_client_may_lose_its_stream(opened: Callable[..., Exchange]) -> None:
    """That version has another word for a cancellation."""
    async with opened("echo", version=LEGACY[0]) as exchange:
        await exchange.start()
    assert (await sync_to_async(latest)()).state == State.QUEUED


@pytest.mark.django_db(transaction=True)
async def test_a_server_that_stops_cancels_nothing(opened: Callable[..., Exchange]) -> None:
    async with opened("echo") as exchange:
        await exchange.start()
        listeners.cut_all()
        exchange.hang_up()
        await asyncio.wait_for(exchange.task, 10)
        assert not exchange.complete
    job = await sync_to_async(latest)()
    assert (job.state, job.cancel_code) == (State.QUEUED, "")


@pytest.mark.django_db(transaction=True)
async def test_a_question_stays_open_behind_its_stream(
    opened: Callable[..., Exchange], run: Run
) -> None:
    """Who has the answer leaves as well, and cancels nothing by that."""
    async with opened("ask") as exchange:
        await exchange.start()
        await sync_to_async(partial(lambda: run(latest())))()
        (last,) = [frame["data"] async for frame in exchange.frames()]
    told = last["result"]["structuredContent"]
    assert told["awaiting"]["kind"] == "text"
    job = await sync_to_async(Job.objects.select_related("session").get)()
    assert job.session.open_job_id == job.pk


@pytest.mark.django_db(transaction=True)
async def test_a_user_has_so_many_streams(opened: Callable[..., Exchange], settings: Any) -> None:
    configure(settings, STREAMS_PER_USER=1)
    async with opened("echo") as first:
        await first.start()
        async with opened("echo") as second:
            assert await second.start() == 429
            assert (await second.json())["error"]["data"] == {"code": "rate_limited"}
        assert await sync_to_async(Job.objects.count)() == 1


@pytest.mark.django_db(transaction=True)
async def test_a_call_that_nobody_lets_leave_is_cancelled_by_hand(
    opened: Callable[..., Exchange],
) -> None:
    async with opened("echo") as exchange:
        await exchange.start()
        await sync_to_async(lambda: services.cancel(latest()))()
        (last,) = [frame["data"] async for frame in exchange.frames()]
    assert last["result"]["isError"] is True
    assert last["result"]["structuredContent"]["code"] == "cancelled"
