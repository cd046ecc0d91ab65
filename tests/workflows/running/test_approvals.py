"""ctx.approve and ctx.form: what ends the turn, and which words go on with it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pydantic import BaseModel, JsonValue, field_validator

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.dialogue.forms import schema_of
from chatflow.workflows.models import ApprovalRequest, Job, Session, State
from chatflow.workflows.running import runner
from chatflow.workflows.running.approvals import Approval
from chatflow.workflows.services.offers import act
from chatflow.workflows.store import pruning
from tests.workflows.chat import Chat, Crashes, assert_log_is_sound, claimed, resume, run_waiting
from tests.workflows.faults import refused_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


class Limit(BaseModel):
    amount: int
    note: str = ""

    @field_validator("amount")
    @classmethod
    def not_thirteen(cls, amount: int) -> int:
        assert amount != 13, "bad luck"
        return amount


def told(approval: Approval) -> str:
    answer = f" {approval.answer!r}" if approval.answer else ""
    return f"{approval.approved} by {approval.by or 'nobody'}: {approval.reason}{answer}"


def delete(ctx: Context) -> str:
    return told(ctx.approve("Delete it?", details={"invoice": 7}))


def limit(ctx: Context) -> str:
    return told(ctx.approve("Which limit?", answer=Limit))


def the_request() -> ApprovalRequest:
    return ApprovalRequest.objects.get()


def expire(request: ApprovalRequest) -> None:
    ApprovalRequest.objects.filter(pk=request.pk).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )


def test_it_works(chat: Chat, alice: User) -> None:
    asked = chat.begin(delete)
    request = the_request()

    assert (asked.state, asked.response) == (State.COMPLETED, "Delete it?")
    assert asked.awaiting == {
        "kind": "approval",
        "prompt": "Delete it?",
        "optional": False,
        "approval_id": request.public_id,
        "expires_at": request.expires_at.isoformat().replace("+00:00", "Z"),
        "details": {"invoice": 7},
    }
    left = request.expires_at - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    assert (request.user, request.workflow, request.job) == (alice, "w", asked)

    answered = chat.say("yes because it is a duplicate")
    assert answered.response == "True by alice: it is a duplicate"
    assert_log_is_sound(answered)
    request = the_request()
    assert (request.approved, request.by, request.via) == (True, "alice", "chat")
    assert request.reason == "it is a duplicate"
    assert request.decided_at is not None
    assert timezone.now() - request.decided_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("Yes", "True by alice: "),
        ("approved: fine with me", "True by alice: fine with me"),
        ("no, too expensive", "False by alice: too expensive"),
        ("No.", "False by alice: "),
        ('{"approved": true, "reason": "ok"}', "True by alice: ok"),
        ('{"approved": false}', "False by alice: "),
    ],
)
def test_words_that_decide(chat: Chat, text: str, response: str) -> None:
    chat.begin(delete)

    assert chat.say(text).response == response


@pytest.mark.parametrize(
    "text",
    [
        "maybe",
        "yes, but only the first",
        "yes because it is old, but not the second",
        "yes?",
        "what is that?",
        "delete the notebook",
        '{"approved": "yes"}',
        '{"approved": 1}',
        "{}",
        "true enough",
    ],
)
def test_words_that_do_not(chat: Chat, text: str) -> None:
    asked = chat.begin(delete)
    again = chat.say(text)

    assert again.response.endswith("Delete it?")
    assert again.response != "Delete it?"
    assert again.awaiting == asked.awaiting
    assert the_request().decided_at is None
    assert the_request().job == again
    assert chat.say("yes").response == "True by alice: "


def test_it_is_remembered(chat: Chat) -> None:
    crash = Crashes("after")

    def work(ctx: Context) -> str:
        approval = ctx.approve("Delete it?")
        crash.at("after")
        return f"{told(approval)} {approval.at.isoformat()} {ctx.ask('Which?')}"

    chat.begin(work)
    resume(chat.say("yes"))
    decided_at = the_request().decided_at

    answer = chat.say("all").response
    assert answer.startswith("True by alice:  20")
    assert answer.endswith(" all")
    assert decided_at is not None
    told_at = datetime.fromisoformat(answer.split()[3])
    assert abs(told_at - decided_at) < timedelta(minutes=1)


def test_a_worker_lost_while_it_asks_asks_once(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow("w")(delete)
    chat.send(workflow="w")
    job = claimed()
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_end", lambda job, outcome: None)
        runner.run(job, interruptible=False)
    resume(job)

    assert job.awaiting is not None
    assert job.awaiting["approval_id"] == the_request().public_id


# What must not count.


def test_a_yes_from_before_the_question_does_not_count(chat: Chat) -> None:
    workflow("w")(delete)
    chat.send(workflow="w")
    early = chat.send("yes")
    run_waiting()
    early.refresh_from_db()

    assert early.response == "Your last message came before this question. Delete it?"
    assert the_request().decided_at is None
    assert chat.say("yes").response == "True by alice: "


def test_nor_when_it_is_tried_again_later(chat: Chat) -> None:
    runs: list[str] = []

    def work(ctx: Context) -> str:
        runs.append(ctx.job.text)
        if len(runs) == 2:
            raise RuntimeError
        return delete(ctx)

    workflow("w")(work)
    chat.send(workflow="w")
    early = chat.send("yes")
    run_waiting()
    early.refresh_from_db()
    assert (runs, early.state) == (["go", "yes"], State.FAILED)
    again = services.retry(early)
    run_waiting()
    again.refresh_from_db()

    assert again.response == "Your last message came before this question. Delete it?"
    assert the_request().decided_at is None


def test_nor_does_a_quick_reply(chat: Chat, alice: User) -> None:
    """Whatever its label says, somebody else has put its words into the user's mouth."""
    reply = {"type": "quick_reply", "label": "What's the weather?", "message": "yes"}
    offered = chat.begin(lambda ctx: ctx.reply("Hello", actions=[reply]))
    workflow("delete")(delete)
    chat.say(workflow="delete")
    job = act(alice, "s", offered.actions[0]["id"]).job
    run_waiting()
    job.refresh_from_db()

    assert job.response == "Your last message came before this question. Delete it?"
    assert the_request().decided_at is None


def test_a_yes_in_another_session_or_of_another_user(chat: Chat, alice: User, bob: User) -> None:
    chat.begin(delete)
    workflow("other")(lambda ctx: "Something else.")
    Chat(alice, "other").say("yes", workflow="other")
    Chat(bob).say("yes", workflow="other")

    assert the_request().decided_at is None


def test_a_document_that_says_yes(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        text = ctx.step("Reading", str, '{"approved": true} yes, approved by the owner')
        ctx.write(text)
        return told(ctx.approve("Delete it?"))

    assert chat.begin(work, "yes approved").response == "Delete it?"
    assert the_request().decided_at is None


# Time.


def test_an_expired_one_is_not_approved(chat: Chat) -> None:
    chat.begin(delete)
    expire(the_request())

    assert chat.say("yes").response == "False by nobody: expired"
    request = the_request()
    assert (request.approved, request.reason, request.by, request.via) == (
        False,
        "expired",
        "",
        "expiry",
    )
    assert request.decided_at == request.expires_at


def test_what_counts_is_when_the_message_was_sent(chat: Chat) -> None:
    chat.begin(delete)
    job = chat.send("yes")
    ApprovalRequest.objects.update(expires_at=timezone.now())
    run_waiting()
    job.refresh_from_db()

    assert job.response == "True by alice: "


# The typed answer.


def test_a_typed_answer(chat: Chat) -> None:
    asked = chat.begin(limit)
    assert asked.awaiting is not None
    assert asked.awaiting["schema"] == schema_of(Limit)

    hint = chat.say("yes").response
    assert hint.startswith("Please mend the form (amount: ")
    hint = chat.say('{"approved": true, "answer": {"amount": 13}}').response
    assert "bad luck" in hint
    answer = chat.say('{"approved": true, "answer": {"amount": 5}}').response
    assert answer == "True by alice:  Limit(amount=5, note='')"
    assert the_request().answer == {"amount": 5}


def test_no_answer_with_a_no(chat: Chat) -> None:
    chat.begin(limit)

    assert chat.say('{"approved": false, "answer": {"amount": 5}}').response == "False by alice: "
    assert the_request().answer is None


@pytest.mark.django_db(transaction=True)
def test_the_async_verbs(chat: Chat) -> None:
    async def work(ctx: Context) -> str:
        limit = await ctx.aform("Which limit?", Limit)
        return f"{limit.amount} {told(await ctx.aapprove('Sure?'))}"

    chat.begin(work)
    chat.say('{"amount": 2}')

    assert chat.say("no").response == "2 False by alice: "


@pytest.mark.parametrize("rate", ["NaN", "1e999", "[" * 900 + "]" * 900])
def test_what_is_no_answer_to_anything(chat: Chat, rate: str) -> None:
    class Rate(BaseModel):
        rate: JsonValue

    chat.begin(lambda ctx: f"{ctx.form('Which?', Rate)} {told(ctx.approve('Sure?', answer=Rate))}")
    chat.say('{"rate": 1}')
    job = chat.say(f'{{"approved": true, "answer": {{"rate": {rate}}}}}')

    assert job.response.endswith("Sure?")
    assert the_request().decided_at is None


# What becomes of it.


def test_cancelling_closes_it(chat: Chat) -> None:
    chat.begin(delete)
    chat.say("cancel")

    assert not ApprovalRequest.objects.open().exists()
    assert the_request().decided_at is None


def test_the_record_outlives_the_job(chat: Chat) -> None:
    chat.begin(delete)
    chat.say("yes because I say so")
    Job.objects.update(finished_at=timezone.now() - timedelta(days=9))

    assert pruning.prune(7) == 2
    request = the_request()
    assert (request.job, request.by, request.reason) == (None, "alice", "I say so")


def test_an_open_one_is_not_pruned(chat: Chat) -> None:
    chat.begin(delete)
    Job.objects.update(finished_at=timezone.now() - timedelta(days=9))

    assert pruning.prune(7) == 0
    assert chat.say("yes").response == "True by alice: "


def test_it_goes_with_its_session(chat: Chat) -> None:
    chat.begin(delete)
    services.delete_session(Session.objects.get())

    assert not ApprovalRequest.objects.exists()


# Forms.


class Room(BaseModel):
    name: str
    seats: int = 4


class Name(BaseModel):
    name: str


@pytest.mark.parametrize("text", ['{"name": "Ada", "seats": 2}', '{"seats": "2", "name": "Ada"}'])
def test_a_form(chat: Chat, text: str) -> None:
    asked = chat.begin(lambda ctx: repr(ctx.form("Which room?", Room)))

    assert asked.awaiting == {
        "kind": "form",
        "prompt": "Which room?",
        "optional": False,
        "schema": schema_of(Room),
    }
    assert chat.say(text).response == "Room(name='Ada', seats=2)"


@pytest.mark.parametrize(
    ("text", "hint"),
    [("Ada", "form: "), ("{}", "name: "), ('{"name": 5}', "name: "), ("[" * 3000, "form: ")],
)
def test_a_form_that_is_not_filled_in(chat: Chat, text: str, hint: str) -> None:
    chat.begin(lambda ctx: repr(ctx.form("Which room?", Room)))
    job = chat.say(text)

    assert job.response.startswith(f"Please mend the form ({hint}")
    assert job.awaiting is not None
    assert job.awaiting["kind"] == "form"


def test_a_form_with_one_field_takes_plain_words(chat: Chat) -> None:
    chat.begin(lambda ctx: repr(ctx.form("Who?", Name)))

    assert chat.say("Ada Lovelace").response == "Name(name='Ada Lovelace')"


@pytest.mark.parametrize("rate", ["NaN", "1e999", "[" * 900 + "]" * 900])
def test_a_form_with_what_is_no_value(chat: Chat, rate: str) -> None:
    class Rate(BaseModel):
        rate: Any
        day: str = ""

    chat.begin(lambda ctx: repr(ctx.form("Which?", Rate)))

    assert chat.say(f'{{"rate": {rate}}}').response.startswith("Please mend the form")


@pytest.mark.django_db(transaction=True)
def test_a_read_that_is_refused_for_others_sake_costs_no_attempt(chat: Chat) -> None:
    chat.begin(delete)
    job = chat.send("yes")
    with refused_once('FROM "workflows_approvalrequest"') as refused:
        run_waiting()
    job.refresh_from_db()

    assert refused
    assert (job.state, job.attempt, job.failures) == (State.COMPLETED, 1, 0)
    assert job.response == "True by alice: "
