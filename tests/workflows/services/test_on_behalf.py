"""What members of the staff say for users."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.exceptions import InvalidForm, QuestionClosed, StillRunning
from chatflow.workflows.models import STAFF, Job, Message, State
from chatflow.workflows.services import offers, on_behalf
from tests.workflows.chat import Chat, run_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]

SCHEMA = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 1}},
    "required": ["count"],
}


@pytest.fixture(autouse=True)
def _order() -> None:
    @workflow("offer")
    def offer(ctx: Context) -> Any:
        form = {"type": "form", "label": "Order", "schema": SCHEMA, "workflow": "order"}
        return ctx.reply("Look:", actions=[{**form, "input": {"what": "pens"}}])

    @workflow("order")
    def order(ctx: Context) -> str:
        given = ctx.input or {}
        return f"{given['count']} {given['what']}"


@pytest.fixture
def maria(db: None) -> User:
    return User.objects.create(username="maria", is_staff=True)


def said(job: Job) -> str:
    return Message.objects.get(job=job, role=Message.Role.USER).content


def done(job: Job) -> Job:
    run_waiting()
    job.refresh_from_db()
    return job


def test_an_answer(chat: Chat, maria: User) -> None:
    asking = chat.say(workflow="ask")

    new = done(on_behalf.answer(asking, "Ann", by=maria))

    assert new.response == "Hello Ann."
    assert (new.user, said(new)) == (chat.user, "Ann\n\n(Answered by maria.)")
    assert new.options[STAFF] == {"by": "maria", "act": "answered"}
    with pytest.raises(QuestionClosed):
        on_behalf.answer(asking, "Bob", by=maria)


def test_no_later_job_takes_over_who_answered(chat: Chat, maria: User) -> None:
    asking = chat.say(workflow="ask", options={"memory": True})
    new = done(on_behalf.answer(asking, "Ann", by=maria))
    assert new.flags == {"memory": True}


def test_other_words(chat: Chat, maria: User) -> None:
    failed = chat.say("first", workflow="fail")
    Job.objects.filter(pk=failed.pk).update(workflow="echo")
    failed.refresh_from_db()

    new = done(on_behalf.send_again(failed, "second", by=maria))

    assert (new.response, said(new)) == ("second", "second\n\n(Sent by maria.)")
    assert new.options[STAFF]["instead_of"] == failed.public_id
    assert not Job.objects.failures().exists()


def test_a_turn_of_a_conversation_begins_that_anew(chat: Chat, maria: User) -> None:
    chat.say(workflow="ask")
    last = chat.say("Ann")

    new = done(on_behalf.send_again(last, "go on", by=maria))

    assert (new.root, new.response) == (None, "What is your name?")


def test_what_still_runs_is_not_sent_again(chat: Chat, maria: User) -> None:
    job = chat.send(workflow="echo")
    with pytest.raises(StillRunning):
        on_behalf.send_again(job, "again", by=maria)
    assert Job.objects.get().state == State.QUEUED


def test_the_input_of_a_form_is_checked_by_its_schema(chat: Chat, maria: User) -> None:
    offering = chat.say(workflow="offer")
    (action,) = offering.offers or {}
    job = done(offers.act(chat.user, "s", action, data={"count": 2}).job)
    assert job.response == "2 pens"

    for wrong in ({"count": 0}, {"what": "cars"}, {"count": "x"}):
        with pytest.raises(InvalidForm):
            on_behalf.send_again(job, job.text, by=maria, input=wrong)
    # What the action itself gave is not the form's to change.
    new = on_behalf.send_again(job, job.text, by=maria, input={"count": 3, "what": "cars"})

    assert done(new).response == "3 pens"
    with pytest.raises(InvalidForm):
        on_behalf.send_again(offering, "go", by=maria, input={"count": 3})


def test_without_other_input_it_keeps_its_own(chat: Chat, maria: User) -> None:
    job = services.start(
        chat.user, "x", session_key="s", workflow="order", input={"count": 1, "what": "a"}
    ).job
    done(job)
    assert done(on_behalf.send_again(job, "y", by=maria)).response == "1 a"
