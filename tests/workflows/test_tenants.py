"""The key of an organisation, and what the engine keeps apart by it."""

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.exceptions import AlreadyQueued
from chatflow.workflows.models import DeletedSession, Job, Session
from chatflow.workflows.services import conversations
from chatflow.workflows.tenants import LENGTH, check_tenant
from tests.workflows.chat import run_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]


def start(user: User, tenant: str, key: str = "s", name: str = "echo") -> Job:
    return services.start(user, "x", session_key=key, workflow=name, tenant=tenant).job


@pytest.mark.parametrize("key", [None, "", "acme", "Grüße & Co. ", "x" * LENGTH])
def test_what_is_a_key(key: str | None) -> None:
    assert check_tenant(key) == (key or "")


@pytest.mark.parametrize("key", [7, b"acme", "x" * (LENGTH + 1), "a\0", "a\n", "\ud800", True])
def test_what_is_none(key: object) -> None:
    with pytest.raises(ValueError, match="at most 64 printable characters"):
        check_tenant(key)


def test_a_retry_and_an_answer_stay_there(alice: User) -> None:
    start(alice, "a", name="ask")
    run_waiting()
    services.start(alice, "Ada", session_key="s", tenant="a")
    start(alice, "a", key="t", name="fail")
    run_waiting()

    services.retry(Job.objects.get(workflow="fail"))

    assert [job.tenant for job in Job.objects.all()] == ["a"] * 4
    assert Session.objects.count() == 2
    assert Job.objects.filter(workflow="ask", response="Hello Ada.").exists()


def test_an_answer_elsewhere_is_none(alice: User) -> None:
    start(alice, "a", name="ask")
    run_waiting()

    services.start(alice, "Ada", session_key="s", tenant="b")

    assert Session.objects.get(tenant="a").open_job is not None
    assert Job.objects.get(tenant="b").workflow == "chat"


def test_a_unique_key_counts_in_one_organisation(alice: User, bob: User) -> None:
    @workflow("once", unique_key=lambda user, text: "INV-1")
    def once(ctx: Context) -> str:
        return "done"

    for tenant in ("a", "b", ""):
        start(alice, tenant, name="once")
    with pytest.raises(AlreadyQueued):
        start(bob, "a", name="once")


@pytest.mark.django_db(transaction=True)
def test_changes_and_deletions_are_told_there(alice: User) -> None:
    for tenant in ("a", "b"):
        start(alice, tenant)
    services.delete_session(Session.objects.get(tenant="b"))

    told = {tenant: conversations.look(alice.pk, 0, 0, tenant=tenant) for tenant in ("a", "b", "")}

    assert [len(each.changed) for each in told.values()] == [1, 0, 0]
    assert [len(each.deleted) for each in told.values()] == [0, 1, 0]
    assert DeletedSession.objects.get().tenant == "b"
    assert [len(conversations.under_way(alice, tenant=each)) for each in told] == [1, 0, 0]
