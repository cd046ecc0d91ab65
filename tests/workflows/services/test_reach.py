"""The reach of a credential, where others act at the same moment."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from chatflow.workflows import services, workflow
from chatflow.workflows.exceptions import JobNotFound, QuestionClosed, TokenRefused
from chatflow.workflows.models import Job, Session, State
from chatflow.workflows.services import Reach
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Outcome
from tests.workflows.chat import NET, Chat, at_once, claimed, until_a_lock_is_waited_for

pytestmark = pytest.mark.django_db(transaction=True)

MINE = Reach(workflow="mine", decides=False)
QUESTION = Outcome(State.COMPLETED, response="Name?", awaiting={"kind": "text", "prompt": "Name?"})


@pytest.fixture(autouse=True)
def _flows() -> None:
    for name in ("mine", "other"):
        workflow(name)(lambda ctx: ctx.message)


def test_it_works(chat: Chat) -> None:
    assert chat.send(reach=MINE).workflow == "mine"
    busy = Chat(chat.user, key="t")
    busy.send(workflow="other")
    with pytest.raises(TokenRefused):
        busy.send("cancel", reach=MINE)


@pytest.mark.parametrize("sent", [{"text": "cancel"}, {"on_busy": "interrupt"}])
def test_another_message_at_the_same_moment(alice: User, sent: dict[str, Any]) -> None:
    for number in range(8):
        chat = Chat(alice, f"s{number}")

        def both(which: int, chat: Chat = chat) -> Job:
            return chat.send(**sent, reach=MINE) if which else chat.send(workflow="other")

        _, mine = at_once(2, both)
        # It was first, or it was refused.
        assert isinstance(mine, Job | TokenRefused), mine
        other = Job.objects.get(workflow="other", session__key=chat.key)
        assert (other.state, other.cancel_code) == (State.QUEUED, "")


@pytest.mark.postgresql  # SQLite has one writer.
@pytest.mark.parametrize("sent", [{"text": "cancel"}, {"on_busy": "interrupt"}])
def test_what_is_committed_while_it_waits_for_the_session(chat: Chat, sent: dict[str, Any]) -> None:
    services.open_session(chat.user, chat.key)
    held = threading.Event()

    def both(which: int) -> Job | None:
        if which:
            assert held.wait(NET)
            return chat.send(**sent, reach=MINE)
        with transaction.atomic():
            chat.send(workflow="other")
            held.set()
            until_a_lock_is_waited_for()
        return None

    other, mine = at_once(2, both)
    assert other is None
    assert isinstance(mine, TokenRefused)
    assert Job.objects.get().state == State.QUEUED


def test_a_question_at_the_same_moment(alice: User) -> None:
    for number in range(8):
        chat = Chat(alice, f"s{number}")
        chat.send(workflow="other")
        asking = claimed()

        def both(which: int, chat: Chat = chat, asking: Job = asking) -> Any:
            return chat.send(reach=MINE) if which else lifecycle.end(asking, QUESTION)

        _, mine = at_once(2, both)
        assert isinstance(mine, Job | TokenRefused), mine
        assert Session.objects.get(key=chat.key).open_job == asking
        Job.objects.filter(workflow="mine").delete()


def test_an_answer_belongs_to_its_question(chat: Chat) -> None:
    chat.send(workflow="other")
    others = claimed()
    lifecycle.end(others, QUESTION)
    with pytest.raises(TokenRefused):
        chat.send(reach=MINE, answers_to=others)
    chat.send("cancel")
    chat.send(workflow="mine")
    asking = claimed()
    lifecycle.end(asking, QUESTION)
    assert chat.send(reach=MINE, answers_to=asking).root == asking
    # It is closed, and this no message that begins something else.
    with pytest.raises(QuestionClosed):
        chat.send(reach=MINE, answers_to=asking)


def test_a_question_that_a_retry_would_leave(chat: Chat) -> None:
    failed = chat.send(workflow="mine")
    services.cancel(failed, reach=MINE)
    chat.send(workflow="other")
    lifecycle.end(claimed(), QUESTION)

    with pytest.raises(TokenRefused):
        services.retry(failed, reach=MINE)
    chat.send("cancel")
    assert services.retry(failed, reach=MINE).workflow == "mine"


def test_a_job_that_another_workflow_has_taken_over(chat: Chat) -> None:
    """The request came when it still was one of the token's."""
    job = chat.send(workflow="mine")
    Job.objects.update(workflow="other")

    for verb in (services.cancel, services.retry):
        with pytest.raises(JobNotFound):
            verb(job, reach=MINE)
    job.refresh_from_db()
    assert job.state == State.QUEUED
