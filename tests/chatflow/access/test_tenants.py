"""Alice acts for two organisations, Bob for one of them, Charlie for a third: none sees the others.

Every address of the URLconf is asked with whatever it names, so a new one is asked too; what is
named in a body stands in a table below.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client

from chatflow.asgi import application
from chatflow.wire.openings import ON_LOOP
from chatflow.workflows import Context, services, workflow
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import ApprovalRequest, Job, Message, Session, State
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_user import finish, is_session, until
from tests.chatflow.test_strangers import METHODS, addresses, is_none, is_out
from tests.chatflow.threads import close_streams
from tests.configure import configure
from tests.conftest import Bearer, make_user

pytestmark = pytest.mark.django_db

HOOKS = "tests.chatflow.organisations"
SECRET, SESSION = "hers-in-a", "talk"
As = Callable[..., Client]
Ids = dict[str, str]
# Lists, which have nothing of "a" for others.
EMPTY = {
    "/ai-demo/workflow/jobs": "jobs",
    "/ai-demo/workflow/approvals": "approvals",
    "/ai-demo/chat/sessions": "sessions",
    f"/ai-demo/chat/sessions?q={SECRET}": "sessions",
    "/ai-demo/knowledge/documents": "documents",
}


@pytest.fixture(autouse=True)
def _organisations(settings: Any, flows: None) -> None:
    configure(settings, TENANT=f"{HOOKS}.tenant_of")

    @workflow("pay", triggers=["pay now"])
    def pay(ctx: Context) -> Any:
        again = {"type": "button", "label": "Again", "workflow": "pay"}
        ctx.step("Looking", str, ctx.tenant)
        approval = ctx.approve(f"Pay {SECRET}?")
        return ctx.reply(f"{approval.approved} for {ctx.tenant!r}", actions=[again])


@pytest.fixture
def acting(bearer: Bearer) -> As:
    """Return what makes a client of a user's who acts for an organisation; "" is none."""

    def acting(user: User, tenant: str, *, by: str = "token") -> Client:
        headers = {"X-Tenant": tenant} if tenant else {}
        client = Client(raise_request_exception=False)
        if by == "token":
            headers |= bearer(user)
        else:
            client.force_login(user)
        client.defaults |= {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers.items()}
        client.defaults[ON_LOOP] = "yes"
        return client

    return acting


@pytest.fixture
def charlie(db: None) -> User:
    """Return one who is a member of another organisation."""
    return make_user("charlie")


@pytest.fixture
def ids(alice: User, make_job: MakeJob, run: Any) -> Ids:
    """Return the ids of what is Alice's in "a": it asks for approval, and it has offered."""
    offers = {"text": SECRET, "session": SESSION, "workflow": "echo", "tenant": "a"}
    offering = run(make_job(alice, **offers))
    job = run(make_job(alice, SECRET, session=SESSION, workflow="pay", tenant="a"))
    markdown = f"# {SECRET}\n\n{SECRET}".encode()
    document, _ = store(markdown, "text/markdown", owner=alice, tenant="a")
    return {
        "session_id": SESSION,
        "thread_id": SESSION,
        "job_id": job.public_id,
        "response_id": f"resp_{job.public_id.removeprefix('workflow_')}",
        "approval_id": ApprovalRequest.objects.get().public_id,
        "document_id": str(document.pk),
        "action_id": offering.actions[0]["id"],
        "message_id": str(Message.objects.earliest("pk").pk),
        "pk": str(job.pk),
        "object_id": str(job.pk),
        "id": str(alice.pk),
        "app_label": "chatflow_workflows",
        "content_type_id": "1",
        "url": "x",
    }


def others(alice: User, bob: User, charlie: User, acting: As) -> Iterator[tuple[str, Client]]:
    yield "Alice for b, by a token", acting(alice, "b")
    yield "Alice for b, by a cookie", acting(alice, "b", by="cookie")
    yield "Alice for none", acting(alice, "")
    yield "Bob for a", acting(bob, "a")
    yield "Charlie for c", acting(charlie, "c")


def world() -> Any:
    """Return all of Alice's in "a"."""
    jobs = Job.objects.filter(tenant="a", user__username="alice").order_by("pk")
    talks = Session.objects.filter(tenant="a", user__username="alice")
    requests = ApprovalRequest.objects.filter(session__in=talks)
    return (
        list(jobs.values_list("pk", "state", "cancel_code", "forgotten", "feedback")),
        list(talks.values_list("pk", "title", "pinned", "open_job", "updated_at", "changed")),
        list(Message.objects.filter(session__in=talks).values_list("pk", "cut").order_by("pk")),
        list(requests.values_list("pk", "approved")),
    )


def rpc(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def said(text: str, **fields: Any) -> dict[str, Any]:
    return {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}], **fields}


def bodies(ids: Ids) -> list[tuple[str, dict[str, Any]]]:
    """Return calls that name in their bodies what is Alice's in "a"."""
    job, approval = ids["job_id"], ids["approval_id"]
    later = {"async": True, "session_id": SESSION}
    approves = {
        "type": "dynamic-tool",
        "toolName": "approve",
        "toolCallId": approval,
        "state": "approval-responded",
        "approval": {"id": approval, "approved": True},
    }
    run = {"threadId": SESSION, "messages": [{"id": "1", "role": "user", "content": "hello"}]}
    approved = {"type": "mcp_approval_response", "approval_request_id": approval, "approve": True}
    return [
        ("/ai-demo/chat/action", {**later, "action_id": ids["action_id"]}),
        ("/ai-demo/chat/send", {**later, "message": "hello", "files": [ids["document_id"]]}),
        ("/ai-demo/chat/send", {**later, "message": "x", "edits": int(ids["message_id"])}),
        ("/ai-demo/chat/send", {**later, "message": "yes", "workflow": "echo"}),
        (f"/ai-demo/workflow/approval/{approval}", {"approved": True}),
        *(("/a2a", rpc(method, id=job)) for method in ("GetTask", "CancelTask", "SubscribeToTask")),
        ("/a2a", rpc("ListTasks")),
        ("/a2a", rpc("SendMessage", message=said("yes", taskId=job))),
        *(("/mcp", rpc(f"tasks/{name}", taskId=job)) for name in ("get", "cancel", "result")),
        ("/v1/responses", {"input": "yes", "background": True, "previous_response_id": job}),
        ("/v1/responses", {"input": [approved], "previous_response_id": ids["response_id"]}),
        ("/ag-ui/", {**run, "runId": job}),
        ("/api/chat", {"id": SESSION, "messages": [{"role": "assistant", "parts": [approves]}]}),
    ]


def test_every_address(alice: User, bob: User, charlie: User, acting: As, ids: Ids) -> None:
    before = world()
    named = [ids[name].encode() for name in ("job_id", "approval_id", "document_id", "action_id")]
    shown = 0
    for path, is_hers in addresses(ids).items():
        if is_hers and not is_out(path):
            shown += SECRET.encode() in acting(alice, "a").get(path).content
    assert shown >= 6, "Alice sees what is hers."
    for who, client in others(alice, bob, charlie, acting):
        for path, is_hers in addresses(ids).items():
            for method in METHODS:
                if path.startswith(("/admin/", "/accounts/logout/")):
                    continue
                answer = client.generic(method, path, b"{}", content_type="application/json")
                where = f"{who}: {method} {path}: {answer.status_code} {answer.content[:200]!r}"
                assert answer.status_code < 500 or is_out(path), where
                content = answer.content.replace(path.encode(), b"")
                assert SECRET.encode() not in content, where
                assert not any(each in content for each in named), where
                if is_hers and method != "OPTIONS" and not is_out(path):
                    assert answer.status_code in (302, 404, 405) or is_none(answer, path), where
        for path, name in EMPTY.items():
            assert client.get(path).json()[name] == [], f"{who}: {path}"
    assert world() == before


def test_what_is_named_in_bodies(
    alice: User, bob: User, charlie: User, acting: As, ids: Ids
) -> None:
    before = world()
    for who, client in others(alice, bob, charlie, acting):
        for path, body in bodies(ids):
            answer = client.post(path, json.dumps(body), "application/json")
            content = answer.content or getattr(answer, "_first", b"")
            where = f"{who}: {path} {body}: {answer.status_code} {content[:300]!r}"
            assert answer.status_code < 500, where
            assert SECRET.encode() not in content, where
            Job.objects.exclude(tenant="a", user=alice).delete()
    assert world() == before
    # Where she may, the same calls do something.
    path, body = bodies(ids)[4]
    assert acting(alice, "a").post(path, json.dumps(body), "application/json").status_code == 202


def test_one_session_id_and_one_key_in_two_organisations(alice: User, acting: As) -> None:
    sent = {"message": "hello", "session_id": SESSION, "workflow": "echo", "async": True}
    headers = {"Idempotency-Key": "k"}

    jobs = {
        tenant: [
            acting(alice, tenant)
            .post("/ai-demo/chat/send", sent, "application/json", headers=headers)
            .json()["job_id"]
            for _ in range(2)
        ]
        for tenant in ("a", "b", "")
    }

    assert all(len(set(each)) == 1 for each in jobs.values())
    found = Job.objects.values_list("tenant", "session__tenant", "public_id")
    assert set(found) == {(tenant, tenant, each[0]) for tenant, each in jobs.items()}
    assert Session.objects.filter(user=alice, key=SESSION).count() == 3
    for tenant, (job, _) in jobs.items():
        listed = acting(alice, tenant).get("/ai-demo/workflow/jobs").json()["jobs"]
        assert [each["job_id"] for each in listed] == [job]
        assert acting(alice, tenant).get(f"/ai-demo/workflow/status/{job}").status_code == 200


def test_the_job_keeps_its_organisation(alice: User, acting: As, ids: Ids, run: Any) -> None:
    approval = f"/ai-demo/workflow/approval/{ids['approval_id']}"
    acting(alice, "a").post(approval, {"approved": True}, "application/json")

    assert run(Job.objects.latest("pk")).response == "True for 'a'"


def test_a_link_opens_its_one_job(alice: User, acting: As, anonymous: Client) -> None:
    sent = {"message": "hello", "session_id": SESSION, "workflow": "echo", "async": True}
    told = acting(alice, "a").post("/ai-demo/chat/send", sent, "application/json").json()

    assert anonymous.get(told["status_url"]).status_code == 200


def test_who_is_no_member_is_refused(bob: User, acting: As) -> None:
    for path in EMPTY:
        assert acting(bob, "b").get(path).status_code == 403
    sent = {"message": "hello"}
    answer = acting(bob, "b").post("/ai-demo/chat/send", sent, "application/json")
    assert answer.status_code == 403
    assert not Job.objects.exists()


def test_what_is_no_key_stores_nothing(alice: User, acting: As, settings: Any) -> None:
    configure(settings, TENANT=f"{HOOKS}.too_long")

    answer = acting(alice, "").post("/ai-demo/chat/send", {"message": "x"}, "application/json")

    assert answer.status_code == 500
    assert not Session.objects.exists()


def test_it_is_asked_once(
    alice: User, acting: As, monkeypatch: pytest.MonkeyPatch, ids: Ids
) -> None:
    asked = []

    def tenant_of(user: Any, request: Any) -> str:
        asked.append(user)
        return "a"

    monkeypatch.setattr(f"{HOOKS}.tenant_of", tenant_of)
    client = acting(alice, "a")

    assert client.get(f"/ai-demo/chat/history/{SESSION}").status_code == 200
    assert asked == [alice]


# Documents.


def test_documents_of_an_organisation(alice: User, bob: User, charlie: User, acting: As) -> None:
    for tenant in ("", "a", "c"):
        store(f"# For {tenant or 'all'}\n\nX".encode(), "text/markdown", owner=None, tenant=tenant)

    def titles(user: User, tenant: str) -> set[str]:
        listed = acting(user, tenant).get("/ai-demo/knowledge/documents").json()["documents"]
        return {each["title"] for each in listed}

    assert titles(alice, "a") == titles(bob, "a") == {"For all", "For a"}
    assert titles(alice, "b") == titles(alice, "") == {"For all"}
    assert titles(charlie, "c") == {"For all", "For c"}


def test_an_upload_belongs_to_the_organisation(alice: User, acting: As) -> None:
    sent = {"text": "# Mine\n\nX", "session_id": SESSION}
    for tenant in ("a", "b", "a"):
        path = "/ai-demo/knowledge/documents"
        acting(alice, tenant).post(path, sent, "application/json")

    talks = Session.objects.filter(documents__title="Mine")
    assert sorted(talks.values_list("tenant", "documents__tenant")) == [("a", "a"), ("b", "b")]


# Streams.


@pytest_asyncio.fixture
async def listening() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    yield
    await close_streams()


@pytest.mark.django_db(transaction=True)
async def test_a_users_stream_tells_of_one_organisation(
    alice: User,
    bearer: Bearer,
    listening: None,
) -> None:
    start = sync_to_async(services.start)
    headers = {**await sync_to_async(bearer)(alice), "X-Tenant": "a"}
    before = (await start(alice, "x", session_key="before", workflow="echo", tenant="b")).job
    async with Exchange(application, "/ai-demo/chat/stream", headers=headers) as exchange:
        frames = exchange.frames()
        await anext(frames)
        await sync_to_async(finish)(before)
        away = (await start(alice, "x", session_key="b", workflow="echo", tenant="b")).job
        await sync_to_async(services.delete_session)(away.session)
        job = (await start(alice, "x", session_key="a", workflow="echo", tenant="a")).job
        (told,) = await until(frames, is_session(session_id="a"))
        assert told["data"]["active_job"]["job_id"] == job.public_id


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("tenant", "status"), [("a", 200), ("b", 404), ("", 404)])
async def test_a_jobs_stream(
    alice: User,
    bearer: Bearer,
    listening: None,
    tenant: str,
    status: int,
) -> None:
    start = sync_to_async(services.start)
    job = (await start(alice, "x", session_key="s", workflow="echo", tenant="a")).job
    headers = await sync_to_async(bearer)(alice)
    headers |= {"X-Tenant": tenant} if tenant else {}
    path = f"/ai-demo/workflow/stream/{job.public_id}"
    async with Exchange(application, path, headers=headers) as exchange:
        assert await exchange.start() == status


# Workflows.


@pytest.fixture
def _paid(settings: Any) -> None:
    configure(settings, MAY_USE=f"{HOOKS}.may_use")


@pytest.mark.usefixtures("_paid")
def test_a_workflow_that_one_may_not_use_is_unknown(alice: User, acting: As) -> None:
    def send(tenant: str, **fields: Any) -> Any:
        sent = {"message": "hello", "async": True, **fields}
        return acting(alice, tenant).post("/ai-demo/chat/send", sent, "application/json")

    refused, unknown = send("b", workflow="pay"), send("b", workflow="nope")
    assert refused.status_code == unknown.status_code
    assert refused.json()["code"] == unknown.json()["code"]
    assert refused.content.replace(b"pay", b"nope") == unknown.content
    assert send("a", workflow="pay").status_code == 202
    # By its trigger.
    assert {
        tenant: Job.objects.get(public_id=send(tenant, message="pay now").json()["job_id"]).workflow
        for tenant in ("a", "b")
    } == {"a": "pay", "b": "chat"}


@pytest.mark.usefixtures("_paid")
@pytest.mark.parametrize("tenant", ["a", "b"])
def test_a_workflow_is_offered_to_who_may_use_it(alice: User, acting: As, tenant: str) -> None:
    client, by_cookie = acting(alice, tenant), acting(alice, tenant, by="cookie")
    tools = client.post("/mcp", rpc("tools/list"), "application/json").json()["result"]["tools"]
    models = client.get("/v1/models").json()["data"]
    names = {each["name"] for each in tools}, {each["id"] for each in models}

    assert all("echo" in each for each in names)
    assert [("pay" in each) for each in names] == [tenant == "a"] * 2
    assert client.get("/v1/models/pay").status_code == (200 if tenant == "a" else 404)
    for page in ("/ai-demo/chat/", "/accounts/tokens/"):
        assert (b"Pay" in by_cookie.get(page).content) == (tenant == "a"), page
    asked = {"name": "n", "workflow": "pay"}
    made = by_cookie.post("/ai-demo/tokens", asked, "application/json")
    assert made.status_code == (201 if tenant == "a" else 400), made.content
    assert client.get("/.well-known/agent-card.json").json()["skills"] == []


@pytest.mark.usefixtures("_paid")
def test_what_has_begun_goes_on_and_is_not_begun_again(
    alice: User, acting: As, ids: Ids, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{HOOKS}.may_use", lambda user, workflow, tenant: workflow != "pay")
    client = acting(alice, "a")
    approval = f"/ai-demo/workflow/approval/{ids['approval_id']}"
    assert client.post(approval, {"approved": True}, "application/json").status_code == 202
    job = run(Job.objects.latest("pk"))
    assert job.state == State.COMPLETED

    used = {"session_id": SESSION, "action_id": job.actions[0]["id"], "async": True}
    refused = client.post("/ai-demo/chat/action", used, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_workflow")
    Job.objects.filter(pk=job.pk).update(state=State.FAILED)
    again = client.post(f"/ai-demo/workflow/retry/{job.public_id}")
    assert (again.status_code, again.json()["code"]) == (400, "unknown_workflow")
    past = client.get(f"/ai-demo/chat/history/{SESSION}").json()["messages"]
    assert [each["turn"]["can_retry"] for each in past if "turn" in each] == [False] * 3
