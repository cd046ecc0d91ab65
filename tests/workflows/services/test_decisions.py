"""Deciding: once, in time, by those who may; and the workflow goes on with the decision."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pydantic import BaseModel, field_validator

from chatflow.workflows import services, workflow
from chatflow.workflows.exceptions import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
    InvalidForm,
    QuestionClosed,
    SessionBusy,
)
from chatflow.workflows.models import ApprovalRequest, Job, Message, Session
from chatflow.workflows.running import runner
from chatflow.workflows.services.decisions import decide, get_request, pending
from tests.configure import configure
from tests.workflows.chat import Chat, at_once, claimed, resume, run_waiting
from tests.workflows.running.test_approvals import Limit, delete, expire, limit, the_request, told

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

Via = ApprovalRequest.Via


def settle(by: User, *, via: Via = Via.API, approved: bool = True, **more: Any) -> Job:
    """Decide, and run the job that goes on."""
    job = decide(the_request(), by=by, via=via, approved=approved, **more)
    run_waiting()
    job.refresh_from_db()
    return job


def test_it_works(chat: Chat, alice: User) -> None:
    asked = chat.begin(delete)
    job = settle(alice, reason="it is old")

    assert (job.response, job.root, job.user) == ("True by alice: it is old", asked, alice)
    request = the_request()
    assert (request.approved, request.by, request.via) == (True, "alice", "api")
    assert list(Message.objects.values_list("role", "content"))[2:] == [
        ("user", "Approved: it is old"),
        ("assistant", "True by alice: it is old"),
    ]


@pytest.mark.parametrize("via", [Via.API, Via.CHAT])
def test_a_long_name(chat: Chat, monkeypatch: pytest.MonkeyPatch, via: Via) -> None:
    """It is the same in the record, the conversation and the workflow."""
    monkeypatch.setattr(User, "get_username", lambda self: "a" * 300)
    chat.begin(delete)
    job = chat.say("yes") if via == Via.CHAT else settle(chat.user)

    assert the_request().by == "a" * 254
    assert job.response == f"True by {'a' * 254}: "


def test_the_staff_decides_for_the_owner(chat: Chat, alice: User, bob: User) -> None:
    chat.begin(delete)
    job = settle(bob, via=Via.ADMIN, approved=False, reason="no")

    assert (job.response, job.user, job.text) == (
        "False by bob: no",
        alice,
        "Rejected by bob: no",
    )


def test_the_first_decision_counts(chat: Chat, alice: User, bob: User) -> None:
    chat.begin(delete)
    settle(alice, approved=False)
    with pytest.raises(ApprovalDecided):
        settle(bob)

    request = the_request()
    assert (request.approved, request.by) == (False, "alice")
    assert Job.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_at_the_same_moment(chat: Chat, alice: User, bob: User) -> None:
    chat.begin(delete)
    request = the_request()

    def vote(number: int) -> Job:
        mine = ApprovalRequest.objects.select_related("job", "session", "user").get(pk=request.pk)
        return decide(mine, by=(alice, bob)[number % 2], via=Via.API, approved=number < 2)

    outcomes = at_once(4, vote)
    kinds = sorted(type(each).__name__ for each in outcomes)
    assert kinds == ["ApprovalDecided"] * 3 + ["Job"]
    assert Job.objects.count() == 2


def test_a_message_on_its_way_was_first(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    message = chat.send("yes")
    with pytest.raises(QuestionClosed):
        settle(alice, approved=False)
    run_waiting()
    message.refresh_from_db()

    assert message.response == "True by alice: "


def test_after_a_message_that_was_unclear(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    chat.say("hm?")

    assert settle(alice).response == "True by alice: "


@pytest.mark.django_db(transaction=True)
def test_beside_plain_chat(chat: Chat, alice: User) -> None:
    """The decision is bound to its question, whatever waits in front of it."""
    chat.begin(delete)
    aside = services.start(alice, "hm", session_key="s", options={"actions": False}).job
    late = chat.send("yes")
    job = settle(alice, approved=False, reason="no")
    late.refresh_from_db()
    aside.refresh_from_db()

    assert job.response == "False by alice: no"
    assert (aside.is_finished, late.root) == (True, None)


def test_a_late_one(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    expire(the_request())
    with pytest.raises(ApprovalExpired):
        settle(alice)

    request = the_request()
    assert (request.approved, request.via, request.reason) == (False, "expiry", "expired")
    assert chat.say("what now?").response == "False by nobody: expired"


def test_one_that_expires_at_the_last_moment(
    chat: Chat, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.begin(delete)
    request = the_request()
    expire(request)
    monkeypatch.setattr(
        "chatflow.workflows.services.decisions._check_undecided", lambda request: None
    )
    with pytest.raises(ApprovalExpired):
        settle(alice)

    assert Job.objects.count() == 1


def test_a_cancelled_one(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    chat.say("cancel")
    with pytest.raises(QuestionClosed):
        settle(alice)


def test_one_whose_job_was_pruned(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    Job.objects.all().delete()
    with pytest.raises(QuestionClosed):
        settle(alice)


def test_one_whose_conversation_was_deleted(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    request = the_request()
    services.delete_session(request.session)
    with pytest.raises(ApprovalNotFound):
        decide(request, by=alice, via=Via.API, approved=True)

    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_without_a_worker_it_waits_for_nothing(chat: Chat, alice: User, settings: Any) -> None:
    """A job that can't go on at once is forgotten; the decision would be lost with it."""
    chat.begin(delete)
    chat.send("hm", options={"actions": False})
    configure(settings, QUEUE_CONNECTION="sync")
    with pytest.raises(SessionBusy):
        settle(alice)
    assert the_request().decided_at is None
    run_waiting()

    assert settle(alice).response == "True by alice: "


def test_a_reason_that_the_database_refuses(chat: Chat, alice: User) -> None:
    chat.begin(delete)

    assert settle(alice, via=Via.ADMIN, reason="a\0\ud800").response == "True by alice: a\ufffd?"


# Forms.


def test_a_typed_answer(chat: Chat, alice: User) -> None:
    chat.begin(limit)
    with pytest.raises(InvalidForm) as refused:
        settle(alice, answer={"amount": "x"})
    assert list(refused.value.errors) == ["amount"]
    assert the_request().decided_at is None

    assert settle(alice, answer={"amount": 5}).response == (f"True by alice:  {Limit(amount=5)!r}")


def test_an_answer_that_nobody_asked_for(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    with pytest.raises(InvalidForm):
        settle(alice, answer={"amount": 5})


def test_an_answer_that_only_the_model_refuses(chat: Chat, alice: User) -> None:
    """The workflow asks again, for another decision; the first one stays on record."""
    chat.begin(limit)
    again = settle(alice, answer={"amount": 13})

    assert "bad luck" in again.response
    first, second = ApprovalRequest.objects.order_by("pk")
    assert (first.approved, second.approved) == (True, None)
    assert again.awaiting is not None
    assert again.awaiting["approval_id"] == second.public_id
    job = decide(second, by=alice, via=Via.API, approved=True, answer={"amount": 12})
    run_waiting()
    job.refresh_from_db()
    assert job.response == f"True by alice:  {Limit(amount=12)!r}"


def test_it_is_no_consent_to_another_question(
    chat: Chat, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is lost when it has put the question that takes the refused answer's place."""

    class Tip(BaseModel):
        amount: int = 1

        @field_validator("amount")
        @classmethod
        def not_thirteen(cls, amount: int) -> int:
            assert amount != 13
            return amount

    chat.begin(lambda ctx: told(ctx.approve("Tip?", answer=Tip)))
    decide(the_request(), by=alice, via=Via.API, approved=True, answer={"amount": 13})
    job = claimed()
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_end", lambda job, outcome: None)
        runner.run(job, interruptible=False)
    resume(job)

    assert job.awaiting is not None
    assert ApprovalRequest.objects.latest("pk").decided_at is None


# The list.


def test_what_is_pending(chat: Chat, alice: User, bob: User) -> None:
    workflow("w")(delete)
    for key in ("a", "b", "c", "d"):
        Chat(alice, key).say(workflow="w")
    Chat(alice, "a").say("yes")
    Chat(alice, "b").say("cancel")
    c, d = pending(alice)
    assert [c.session.key, d.session.key] == ["c", "d"]
    expire(c)

    assert list(pending(alice)) == [d]
    c.refresh_from_db()
    assert (c.approved, c.reason, c.decided_at) == (False, "expired", c.expires_at)
    assert not pending(bob)


def test_the_sweep_leaves_alone_what_is_being_answered(chat: Chat, alice: User) -> None:
    chat.begin(delete)
    message = chat.send("yes")
    ApprovalRequest.objects.update(expires_at=timezone.now() + timedelta(milliseconds=1))
    assert not pending(alice)
    run_waiting()
    message.refresh_from_db()

    assert message.response == "True by alice: "


def test_somebody_elses(chat: Chat, alice: User, bob: User) -> None:
    chat.begin(delete)
    public_id = the_request().public_id

    assert get_request(alice, public_id) == the_request()
    for user, key in ((bob, public_id), (alice, "approval_" + "0" * 32), (alice, "x")):
        with pytest.raises(ApprovalNotFound):
            get_request(user, key)
