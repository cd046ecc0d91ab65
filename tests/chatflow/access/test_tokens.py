"""Bearer tokens: what each may do, when it was used, and how it ends."""

import importlib
import json
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import get_resolver

from chatflow.access.scopes import OF_ONE_WORKFLOW, SENDING
from chatflow.access.tokens import MOST, TooManyTokens, make_token
from chatflow.api import urlpatterns
from chatflow.models import Token
from chatflow.workflows.exceptions import UnknownWorkflow
from chatflow.workflows.models import Job
from tests.chatflow.conftest import MakeJob

pytestmark = pytest.mark.django_db

SEND = "/ai-demo/chat/send"
JOBS = "/ai-demo/workflow/jobs"


def client_of(user: User, **limits: Any) -> Client:
    _, secret = make_token(user, **limits)
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def send(client: Client, message: str = "hello", **fields: Any) -> Any:
    body = {"message": message, "session_id": "s", **fields}
    return client.post(SEND, body, "application/json")


def refused(answer: Any) -> bool:
    return (answer.status_code, answer.json().get("code")) == (403, "forbidden")


# Scopes.


def test_it_works(alice: User) -> None:
    client = client_of(alice)
    assert send(client, workflow="echo").status_code == 200
    assert client.get(JOBS).status_code == 200


def test_reading_only(alice: User, make_job: MakeJob) -> None:
    client, job = client_of(alice, scope="read"), make_job(alice)
    for path in (
        "workflow/jobs",
        f"workflow/status/{job}",
        "chat/history/s",
        "chat/session/s/export",
        "workflow/approvals",
        "knowledge/documents",
        "tokens",
    ):
        assert client.get(f"/ai-demo/{path}").status_code == 200, path
    answers = [
        send(client),
        client.post(f"/ai-demo/workflow/cancel/{job}"),
        client.post(f"/ai-demo/workflow/retry/{job}"),
        client.delete("/ai-demo/chat/session/s"),
        client.delete("/ai-demo/chat/session/s/export"),
        client.post("/ai-demo/knowledge/documents", {"text": "x"}, "application/json"),
        client.delete(f"/ai-demo/tokens/{Token.objects.get().public_id}"),
        client.post("/ai-demo/chat/action", {}, "application/json"),
        client.post("/ai-demo/workflow/approval/approval_1", {}, "application/json"),
    ]
    assert all(map(refused, answers))
    assert Job.objects.get().state == "queued"


def test_sending_only(alice: User, make_job: MakeJob) -> None:
    client, job = client_of(alice, scope="send"), make_job(alice)
    assert send(client, session_id="t", workflow="echo").status_code == 200
    assert client.get(f"/ai-demo/workflow/status/{job}").status_code == 200
    assert client.post(f"/ai-demo/workflow/cancel/{job}").status_code == 200
    assert client.post(f"/ai-demo/workflow/retry/{job}").status_code == 202
    for path in ("workflow/jobs", "chat/history/s", "chat/session/s/export", "tokens"):
        assert refused(client.get(f"/ai-demo/{path}")), path
    assert refused(client.delete("/ai-demo/chat/session/s"))
    assert refused(client.get("/ai-demo/knowledge/documents"))


def test_every_endpoint_is_of_some_scope() -> None:
    """Whoever adds an endpoint decides: one that scopes.py doesn't name is for whole tokens."""
    names = {each.name for each in urlpatterns}
    assert names >= SENDING | OF_ONE_WORKFLOW
    assert get_resolver().reverse_dict


def test_a_refusal_says_so(alice: User) -> None:
    answer = send(client_of(alice, scope="read"))
    assert answer.json() == {
        "success": False,
        "error": "This token may not do that.",
        "code": "forbidden",
    }


# One workflow.


def test_one_workflow(alice: User, make_job: MakeJob) -> None:
    client = client_of(alice, workflow="echo")
    mine, other = make_job(alice), make_job(alice, workflow="fail", session="f")
    assert send(client, session_id="t").json()["response"] == "You said: hello"
    assert send(client, session_id="t", workflow="echo").status_code == 200
    assert refused(send(client, session_id="t", workflow="fail"))
    assert client.get(f"/ai-demo/workflow/status/{mine}").status_code == 200
    for verb in ("status", "cancel", "retry"):
        method = client.get if verb == "status" else client.post
        assert method(f"/ai-demo/workflow/{verb}/{other}").status_code == 404, verb
    assert client.get("/ai-demo/workflow/status/a%00b").status_code == 404
    listed = client.get(JOBS).json()["jobs"]
    assert {job["workflow"] for job in listed} == {"echo"}
    for path in ("chat/history/t", "chat/session/t/export", "knowledge/documents", "tokens"):
        assert refused(client.get(f"/ai-demo/{path}")), path
    assert refused(client.post("/ai-demo/chat/action", {}, "application/json"))


def test_one_workflow_and_its_questions(alice: User) -> None:
    client = client_of(alice, workflow="ask")
    assert send(client).json()["awaiting"]["prompt"] == "What is your name?"
    assert send(client, "Alice").json()["response"] == "Hello Alice."
    # A question of another workflow is neither answered nor dropped.
    assert send(client_of(alice), workflow="ask", session_id="o").status_code == 200
    other = client_of(alice, workflow="echo")
    assert refused(send(other, "Alice", session_id="o"))
    assert send(client, "Alice", session_id="o").json()["response"] == "Hello Alice."


def test_a_word_that_cancels(alice: User) -> None:
    client = client_of(alice, workflow="ask")
    send(client)
    assert send(client, "cancel").json()["response"] == "Cancelled."


def test_one_workflow_read_only(alice: User, make_job: MakeJob) -> None:
    client, job = client_of(alice, workflow="echo", scope="read"), make_job(alice)
    assert client.get(f"/ai-demo/workflow/status/{job}").status_code == 200
    assert refused(send(client))


# How long.


def change_password(user: User) -> None:
    user.set_password("another one")
    user.save()


def change_password_by_command(user: User) -> None:
    from django.contrib.auth.forms import AdminPasswordChangeForm

    data = {"password1": "quite another 1", "password2": "quite another 1"}
    form = AdminPasswordChangeForm(user, data)
    assert form.is_valid()
    form.save()


def withdraw_password(user: User) -> None:
    user.set_unusable_password()
    user.save()


def withdraw_password_alone(user: User) -> None:
    user.set_unusable_password()
    user.save(update_fields=["password"])


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()
    # They don't come back with the user.
    user.is_active = True
    user.save()


def deactivate_at_once(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def delete(user: User) -> None:
    user.delete()


@pytest.mark.parametrize(
    "end",
    [
        change_password,
        change_password_by_command,
        withdraw_password,
        withdraw_password_alone,
        deactivate,
        deactivate_at_once,
        delete,
    ],
)
def test_how_tokens_end(alice: User, bob: User, end: Callable[[User], None]) -> None:
    client, his = client_of(alice), client_of(bob)
    assert client.get(JOBS).status_code == 200
    end(alice)
    assert client.get(JOBS).status_code == 401
    assert his.get(JOBS).status_code == 200


def test_other_changes_end_no_token(alice: User, settings: Any) -> None:
    alice.set_password("secret")
    alice.save()
    client = client_of(alice)
    alice.first_name = "Alice"
    alice.save()
    # The same password, hashed anew as after an upgrade of Django.
    fresh = User.objects.get()
    hashed = fresh.password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert fresh.check_password("secret")
    assert User.objects.get().password != hashed
    assert client.get(JOBS).status_code == 200


def test_a_user_without_a_password_keeps_the_tokens(alice: User) -> None:
    """They have come by single sign-on, say, and are saved at each sign-in."""
    alice.set_unusable_password()
    alice.save()
    client = client_of(alice)
    for user in (alice, User.objects.get()):
        user.first_name = "Alice"
        user.save()
    assert client.get(JOBS).status_code == 200


# When it was used.


def test_the_last_use_is_kept_now_and_then(alice: User, django_assert_num_queries: Any) -> None:
    client = client_of(alice)
    assert Token.objects.get().last_used_at is None
    client.get(JOBS)
    first = Token.objects.get().last_used_at
    assert first is not None
    # Not at each use: this is the hot path.
    with django_assert_num_queries(2):
        client.get(JOBS)
    assert Token.objects.get().last_used_at == first
    Token.objects.update(last_used_at=F("last_used_at") - timedelta(minutes=6))
    client.get(JOBS)
    assert Token.objects.get().last_used_at >= first


# Making them.


def test_a_user_has_so_many(alice: User) -> None:
    for number in range(MOST):
        make_token(alice, name=str(number))
    with pytest.raises(TooManyTokens):
        make_token(alice)
    Token.objects.filter(name="7").update(expiry=F("created") - timedelta(days=1))
    make_token(alice)


def test_an_unknown_workflow(alice: User) -> None:
    with pytest.raises(UnknownWorkflow):
        make_token(alice, workflow="nothing")
    with pytest.raises(CommandError, match="nothing"):
        call_command("create_token", "alice", workflow="nothing")


def test_a_limited_token_by_command(alice: User) -> None:
    call_command("create_token", "alice", name="robot", scope="send", workflow="echo")
    row = Token.objects.get()
    assert (row.name, row.scope, row.workflow) == ("robot", "send", "echo")
    call_command("create_token", "alice", name="other")
    call_command("create_token", "alice", name="robot", replace=True)
    assert sorted(Token.objects.values_list("name", "scope")) == [
        ("other", "all"),
        ("robot", "all"),
    ]


def test_no_token_shows_in_its_row_or_answers(alice: User) -> None:
    row, secret = make_token(alice)
    assert secret not in json.dumps(list(Token.objects.values()), default=str)
    assert (
        row.digest
        not in Client(headers={"Authorization": f"Bearer {secret}"})
        .get("/ai-demo/tokens")
        .content.decode()
    )


def test_earlier_tokens_are_taken_over(alice: User) -> None:
    """Those of Knox's own table, which goes."""
    migration = importlib.import_module("chatflow.migrations.0003_tokens")
    row, secret = make_token(alice)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE knox_authtoken AS SELECT {migration.COLUMNS} FROM chatflow_token"
        )
    Token.objects.all().delete()
    migration.take_over_tokens(None, SimpleNamespace(connection=connection))
    found = Token.objects.get()
    assert (found.digest, found.scope, found.expiry) == (row.digest, "all", row.expiry)
    assert found.public_id.startswith("token_")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get(JOBS).status_code == 200
    assert "knox_authtoken" not in connection.introspection.table_names()


def test_a_project_that_uses_knox_keeps_its_table(settings: Any) -> None:
    migration = importlib.import_module("chatflow.migrations.0003_tokens")
    del settings.KNOX_TOKEN_MODEL
    # Any question to the database would fail.
    migration.take_over_tokens(None, SimpleNamespace(connection=None))


def test_scripts_that_know_knox_make_our_tokens(alice: User) -> None:
    from knox.models import AuthToken, get_token_model

    _, secret = AuthToken.objects.create(alice)
    assert get_token_model() is Token
    assert Token.objects.get().scope == "all"
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get(JOBS).status_code == 200
