"""Two hosts, and the clock of one is ten minutes off: all goes by the database's."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from chatflow.auth import revoked, sign_link
from chatflow.models import Tally, Token
from chatflow.workflows import Context, workflow
from chatflow.workflows.models import Job
from chatflow.workflows.testing.time_travel import set_clock
from tests.chatflow.conftest import MakeJob
from tests.chatflow.test_auth import code, grant_of
from tests.configure import configure
from tests.conftest import Bearer

Elsewhere = Callable[[], AbstractContextManager[None]]

pytestmark = pytest.mark.django_db
JOBS = "/ai-demo/workflow/jobs"


@pytest.fixture(params=[-600, 600], ids=["behind", "ahead"])
def elsewhere(request: pytest.FixtureRequest) -> Elsewhere:
    """Return what sets this host's clock wrong, for a while."""
    return lambda: set_clock(timedelta(seconds=request.param))


@pytest.fixture(autouse=True)
def _keep_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's transaction is its connection's."""
    monkeypatch.setattr("chatflow.streams.of_job.close_old_connections", lambda: None)


def send(client: Client) -> Any:
    body = {"message": "hello", "workflow": "echo", "async": True, "session_id": "s"}
    return client.post("/ai-demo/chat/send", body, "application/json")


def call(*args: Any) -> str:
    out = StringIO()
    call_command(*args, stdout=out)
    return out.getvalue().strip()


def age(seconds: float) -> None:
    """Let the jobs be older."""
    Job.objects.update(created_at=F("created_at") - timedelta(seconds=seconds))


def history_link(client: Client) -> str:
    return str(client.get("/ai-demo/chat/history/s").json()["active_job"]["status_url"])


def test_a_rate(as_alice: Client, settings: Any, elsewhere: Elsewhere) -> None:
    configure(settings, RATE_LIMIT_SEND=(3, 60.0))
    assert send(as_alice).status_code == 202
    with elsewhere():
        assert send(as_alice).status_code == 202
    assert send(as_alice).status_code == 202
    refused = [send(as_alice)]
    with elsewhere():
        refused.append(send(as_alice))
    assert [answer.status_code for answer in refused] == [429, 429]
    assert all(50 <= int(answer["Retry-After"]) <= 60 for answer in refused)
    Tally.objects.update(ends_at=F("ends_at") - 61)
    assert send(as_alice).status_code == 202


def test_a_token(alice: User, elsewhere: Elsewhere) -> None:
    here = call("create_token", "alice", "--days", "1")
    with elsewhere():
        there = call("create_token", "alice", "--days", "1")
    clients = [Client(headers={"Authorization": f"Bearer {token}"}) for token in (here, there)]

    def look() -> list[int]:
        found = [client.get(JOBS).status_code for client in clients]
        with elsewhere():
            return found + [client.get(JOBS).status_code for client in clients]

    Token.objects.update(expiry=F("expiry") - timedelta(hours=23, minutes=55))
    assert look() == [200] * 4
    Token.objects.update(expiry=F("expiry") - timedelta(minutes=10))
    assert look() == [401] * 4


def test_only_expired_tokens_are_cleared_away(
    alice: User, bearer: Bearer, elsewhere: Elsewhere
) -> None:
    for minutes in (5, -5):
        bearer(alice)
        newest = Token.objects.latest("created")
        Token.objects.filter(pk=newest.pk).update(expiry=Now() + timedelta(minutes=minutes))
    with elsewhere():
        call("create_token", "alice")
    assert Token.objects.count() == 2
    assert not Token.objects.filter(expiry__lt=Now()).exists()


def test_a_link(
    anonymous: Client, alice: User, make_job: MakeJob, settings: Any, elsewhere: Elsewhere
) -> None:
    configure(settings, STREAM_LINK_TTL=300)
    jobs = [make_job(alice)]
    with elsewhere():
        # Behind another one of its session, and alone in a session.
        jobs += [make_job(alice), make_job(alice, session="t")]
    links = [sign_link(job) for job in jobs]
    rights = {grant_of(job, link=True).right for job in jobs}

    def look() -> tuple[list[int], int]:
        codes = [code(anonymous, job, link) for job, link in zip(jobs, links, strict=True)]
        return codes, len(revoked(rights))

    assert look() == ([200] * 3, 0)
    with elsewhere():
        assert look() == ([200] * 3, 0)
    configure(settings, STREAM_LINK_TTL=0)
    assert look()[0] == [401] * 3
    with elsewhere():
        assert look()[0] == [401] * 3


def test_a_link_of_the_history_is_new(
    as_alice: Client,
    anonymous: Client,
    alice: User,
    make_job: MakeJob,
    settings: Any,
    elsewhere: Elsewhere,
) -> None:
    configure(settings, STREAM_LINK_TTL=300)
    make_job(alice)
    age(301)
    here = history_link(as_alice)
    with elsewhere():
        there = history_link(as_alice)
        assert anonymous.get(here).status_code == 200
    assert anonymous.get(there).status_code == 200


def test_a_revocation(
    anonymous: Client, alice: User, make_job: MakeJob, bearer: Bearer, elsewhere: Elsewhere
) -> None:
    job = make_job(alice)
    old = sign_link(job)
    with elsewhere():
        old_there = history_link(Client(headers=bearer(alice)))
        call("revoke_tokens", "alice")
    assert code(anonymous, job, old) == anonymous.get(old_there).status_code == 401
    new = make_job(alice)
    assert code(anonymous, new, sign_link(new)) == 200
    assert anonymous.get(history_link(Client(headers=bearer(alice)))).status_code == 200


def test_an_action(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any, elsewhere: Elsewhere
) -> None:
    again = {"type": "quick_reply", "label": "Again", "message": "hi", "expires_in": 300}

    @workflow("offers")
    def offer(ctx: Context) -> Any:
        return ctx.reply("Again?", actions=[again])

    def states() -> list[str]:
        messages = as_alice.get("/ai-demo/chat/history/s").json()["messages"]
        return [action["state"] for message in messages for action in message["actions"]]

    run(make_job(alice, workflow="offers"))
    with elsewhere():
        run(make_job(alice, workflow="offers"))
        assert states() == ["offered"] * 2
    assert states() == ["offered"] * 2
