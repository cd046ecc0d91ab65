"""The verbs of the engine, the edge, the commands and the admin, for users of a team's own model.

``test_people.py`` runs these in a process of its own for each of the models.
"""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client

from chatflow.auth import revoked, sign_link
from chatflow.workflows import Context, services, testing, workflow
from chatflow.workflows.ai import budget
from chatflow.workflows.knowledge.models import Document, audience_of
from chatflow.workflows.knowledge.search import search
from chatflow.workflows.models import ApprovalRequest, DailyUsage, Job, Session
from chatflow.workflows.services import decisions, offers
from chatflow.workflows.services.deactivation import stop_work
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.pruning import prune
from tests.chatflow.conftest import MakeJob
from tests.chatflow.streams.test_of_job import signed_in
from tests.chatflow.test_auth import code, grant_of
from tests.configure import configure
from tests.conftest import Bearer
from tests.workflows.chat import Chat, claimed, run_waiting
from workflows.invoicing.models import InvoiceCounter

pytestmark = pytest.mark.django_db
# The workflows echo, fail and so on, and jobs without a watchdog.
pytest_plugins = ["tests.chatflow.conftest"]

SEND = "/ai-demo/chat/send"
ANN = "ann@example.com"


def person(email: str, **fields: Any) -> Any:
    return get_user_model()._default_manager.create_user(email=email, password="pw", **fields)


@pytest.fixture
def alice(db: None) -> Any:
    return person("alice@example.com")


@pytest.fixture
def bob(db: None) -> Any:
    return person("bob@example.com")


@pytest.fixture(autouse=True)
def _keep_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's transaction is its connection's."""
    monkeypatch.setattr("chatflow.streams.of_job.close_old_connections", lambda: None)


@pytest.fixture
def chat(alice: Any) -> Chat:
    return Chat(alice)


def call(*args: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def send(client: Client, message: str = "hello", **fields: Any) -> Any:
    body = {"message": message, "session_id": "s", **fields}
    return client.post(SEND, body, "application/json")


def test_the_testing_kit(bob: Any) -> None:
    @workflow("refund")
    def refund(ctx: Context) -> str:
        return f"{ctx.user}: {ctx.approve('Refund it?').by}"

    answers = [testing.Approve(by=bob)]
    turn = testing.run("refund", answers=answers)
    assert turn.response == "alice@example.com: bob@example.com"


def test_no_migration_is_missing() -> None:
    call("makemigrations", check=True, dry_run=True)
    call("check")


# The edge.


def test_a_sync_send(as_alice: Client, as_bob: Client, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(2, 60.0))
    answers = [send(as_alice), send(as_alice, workflow="echo"), send(as_alice)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert send(as_bob).status_code == 200
    assert Session.objects.filter(key="s").count() == 2


def test_an_async_send(
    as_alice: Client, as_bob: Client, anonymous: Client, alice: Any, run: Any
) -> None:
    how: dict[str, Any] = {"workflow": "echo", "async": True}
    started = send(as_alice, **how).json()
    job = Job.objects.get(public_id=started["job_id"])
    assert job.user == alice
    assert run(job).state == "completed"
    for url in (started["status_url"], started["status_url"].partition("?")[0]):
        assert as_alice.get(url).json()["data"]["response"] == "You said: hello"
    assert as_bob.get(f"/ai-demo/workflow/status/{job}").status_code == 404
    assert anonymous.get(started["status_url"]).status_code == 200
    assert as_alice.get("/ai-demo/chat/history/s").status_code == 200
    assert as_alice.get("/ai-demo/chat/session/s/export").status_code == 200
    assert len(as_alice.get("/ai-demo/workflow/jobs").json()["jobs"]) == 1
    assert as_bob.get("/ai-demo/workflow/jobs").json()["jobs"] == []


def test_a_replay(as_alice: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"message": "hello", "workflow": "echo"}
    for replayed in (False, True):
        answer = as_alice.post(SEND, body, "application/json", headers=headers)
        assert answer.status_code == 200
        assert ("Idempotency-Replayed" in answer) is replayed


def test_open_streams(alice: Any, bob: Any, bearer: Bearer, make_job: MakeJob) -> None:
    job = make_job(alice)
    rights = [
        grant_of(job, link=True).right,
        grant_of(job, headers=bearer(alice)).right,
        grant_of(job, headers={"Cookie": signed_in(alice)}).right,
    ]
    his = grant_of(make_job(bob), headers=bearer(bob)).right
    assert not revoked([*rights, his])
    alice.set_password("another one")
    alice.save()
    assert revoked([*rights, his]) == set(rights)
    call("revoke_tokens", "bob@example.com")
    assert revoked([his]) == {his}


def test_a_deactivated_user(alice: Any, anonymous: Client, make_job: MakeJob) -> None:
    if not any(field.name == "is_active" for field in alice._meta.get_fields()):
        pytest.skip("These users are never deactivated.")
    job = make_job(alice)
    right = grant_of(job, link=True).right
    alice.is_active = False
    alice.save()
    assert code(anonymous, job, sign_link(job)) == 401
    assert revoked([right]) == {right}


def test_signing_in(alice: Any, client: Client) -> None:
    fields = {"username": "alice@example.com", "password": "pw", "next": "/ai-demo/chat/"}
    answer = client.post("/accounts/login/", fields)
    assert (answer.status_code, answer["Location"]) == (302, "/ai-demo/chat/")
    page = client.get("/ai-demo/chat/").content.decode()
    assert f'data-user="{alice.pk}"' in page
    assert "alice@example.com" in page


def test_documents(as_alice: Client, as_bob: Client, alice: Any, bob: Any, tmp_path: Path) -> None:
    body = {"text": "# Coffee\nThe machine is descaled on Mondays.", "title": "Kitchen"}
    url = "/ai-demo/knowledge/documents"
    assert as_alice.post(url, body, "application/json").status_code == 201
    (tmp_path / "tea.md").write_text("# Tea\nThe kettle whistles at four.")
    call("ingest", str(tmp_path), user="alice@example.com")
    for words in ("When is the machine descaled?", "When does the kettle whistle?"):
        assert search(words, user=alice)
        assert not search(words, user=bob)
    assert len(as_alice.get(url).json()["documents"]) == 2
    assert as_bob.get(url).json()["documents"] == []
    for document in Document.objects.all():
        assert as_bob.delete(f"{url}/{document.pk}").status_code == 404
        assert as_alice.delete(f"{url}/{document.pk}").status_code == 200


def test_the_audience_of_a_document(alice: Any, bob: Any) -> None:
    words = {audience_of(key) for key in (None, alice.pk, bob.pk, 1, 2, "zoe")}
    assert len(words) == 6
    assert all(word.isalnum() and len(word) <= 30 for word in words)


def test_an_invoice(as_alice: Client, alice: Any) -> None:
    answer = send(as_alice, "Create invoice for Acme with 3 laptops at 1200")
    assert "Acme" in answer.json()["response"]
    assert [InvoiceCounter.next_number(alice.pk) for _ in range(2)] == ["INV-000001", "INV-000002"]


# The engine.


def test_a_job_is_claimed(chat: Chat, alice: Any) -> None:
    # The first in one statement, where the database can; the second in several.
    jobs = [chat.send("one", workflow="echo"), chat.send("two", workflow="echo")]
    job = claimed()
    assert (job, job.user_id, job.user) == (jobs[0], alice.pk, alice)
    lifecycle.give_back(job)
    run_waiting()
    assert [each.state for each in Job.objects.order_by("pk")] == ["completed"] * 2


def test_a_cancelled_job_is_retried(chat: Chat) -> None:
    job = chat.send(workflow="echo")
    assert services.cancel(job).state == "cancelled"
    new = services.retry(job)
    assert new.user == chat.user
    run_waiting()
    new.refresh_from_db()
    assert new.state == "completed"


def test_an_action(chat: Chat) -> None:
    job = chat.say(workflow="echo")
    [action] = job.actions
    assert offers.act(chat.user, "s", action["id"]).job.text == "hello"


def test_an_approval(chat: Chat, bob: Any) -> None:
    @workflow("pay")
    def pay(ctx: Context) -> str:
        approval = ctx.approve("Pay?")
        return f"{approval.approved} by {approval.by}"

    boss = person(f"{'b' * 180}@example.com")
    chat.say(workflow="pay")
    [request] = decisions.pending(chat.user)
    assert not decisions.pending(bob)
    decisions.decide(request, by=boss, via=ApprovalRequest.Via.ADMIN, approved=True)
    run_waiting()
    assert Job.objects.latest("pk").response.startswith("True by bbb")
    # And in the conversation.
    chat.say(workflow="pay")
    assert chat.say("yes").response == "True by alice@example.com"


def test_a_daily_budget(chat: Chat, settings: Any) -> None:
    configure(settings, AI_DAILY_REQUESTS=100_000, AI_DAILY_TOKENS=100_000)
    reservation = budget.reserve(chat.user.pk, 10)
    budget.settle(reservation, 7)
    assert DailyUsage.objects.get(user=chat.user).tokens == 7


def test_deletions(as_alice: Client, chat: Chat, alice: Any) -> None:
    chat.say(workflow="echo")
    assert as_alice.delete("/ai-demo/chat/session/s").json()["jobs"] == 1
    chat.say(workflow="echo")
    assert prune(30) == 0
    alice.delete()
    assert not Job.objects.exists()


# The commands and the admin.


def test_tokens() -> None:
    with pytest.raises(CommandError, match="--create"):
        call("create_token", ANN)
    with pytest.raises(CommandError, match="'nobody' can't sign in"):
        call("create_token", "nobody", create=True)
    token = call("create_token", ANN, create=True).splitlines()[-1]
    call("create_token", ANN)
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get("/ai-demo/workflow/jobs").status_code == 200
    assert call("revoke_tokens", ANN).startswith("Revoked 2 tokens")
    assert client.get("/ai-demo/workflow/jobs").status_code == 401


def test_a_manager_that_needs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_user(email: str, badge: int) -> None: ...

    manager = get_user_model()._default_manager
    monkeypatch.setattr(type(manager), "create_user", staticmethod(create_user))
    with pytest.raises(CommandError, match="in another way"):
        call("create_token", ANN, create=True)


def test_the_queues_commands(chat: Chat) -> None:
    job = chat.say(workflow="fail")
    assert "alice@example.com" in call("queue_failed")
    call("queue_retry", job.public_id)
    call("queue_monitor")
    run_waiting()
    assert call("queue_flush") == "Forgot 1 failed job.\n"


def test_seed_demo() -> None:
    assert call("seed_demo").count("The password of ") == 2
    assert "The password of " not in call("seed_demo")
    assert call("create_token", "demo")


def test_a_link_that_signs_in(client: Client) -> None:
    call("create_token", ANN, create=True)
    assert client.get(call("sign_in_link", ANN).strip())["Location"] == "/ai-demo/chat/"


def test_tokens_of_ones_own(alice: Any, client: Client) -> None:
    client.force_login(alice)
    form = {"name": "robot", "scope": "read", "days": "7"}
    assert "shown this once" in client.post("/accounts/tokens/", form).content.decode()
    assert "robot" in client.get("/accounts/tokens/").content.decode()


def test_the_deploy_check() -> None:
    call("check", deploy=True)


def test_deactivated_work_stops(chat: Chat, alice: Any) -> None:
    job = chat.send(workflow="echo")
    known = any(field.name == "is_active" for field in alice._meta.get_fields())
    if known:
        get_user_model()._base_manager.update(is_active=False)
    stop_work()
    job.refresh_from_db()
    assert job.code == ("deactivated" if known else "")


def test_the_admin(client: Client, chat: Chat, make_job: MakeJob) -> None:
    chat.say(workflow="echo")
    users = get_user_model()
    boss = users._default_manager.create_superuser("root@example.com", "pw")
    client.force_login(boss)
    person = users._meta.model_name
    for page in (
        "chatflow_workflows/job",
        "chatflow_workflows/session",
        "chatflow_workflows/dailyusage",
        "chatflow_workflows/approvalrequest",
        "chatflow_workflows/cluster",
        "chatflow_knowledge/document",
        "invoicing/invoice",
        "invoicing/customer",
        "chatflow/token",
        "django_q/success",
        f"people/{person}",
    ):
        for query in ("", "?q=alice@example.com", "?q=alice"):
            assert client.get(f"/admin/{page}/{query}").status_code == 200, page
    found = client.get("/admin/chatflow_workflows/job/?q=alice@example.com").content.decode()
    assert chat.user.email in found
    assert f"/job/{Job.objects.get().pk}/change/" in found
    job = Job.objects.get()
    assert client.get(f"/admin/chatflow_workflows/job/{job.pk}/change/").status_code == 200
    assert client.get("/admin/chatflow_knowledge/document/add/").status_code == 200
