"""The workflow that a message begins, for clients that name one each time. See test_jobs.py too."""

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import Context, workflow
from chatflow.workflows.exceptions import UnknownWorkflow
from tests.workflows.chat import Chat

pytestmark = pytest.mark.django_db


@pytest.fixture
def chat(alice: User) -> Chat:
    def ask(ctx: Context) -> str:
        return f"Hello {ctx.ask('What is your name?')}."

    for name in ("ask", "other"):
        workflow(name, triggers=[f"begin {name}"])(ask)
    return Chat(alice)


def test_it_begins_what_is_named(chat: Chat) -> None:
    job = chat.say("anything", begins="other")
    assert (job.workflow, job.explicit) == ("other", True)


def test_an_open_question_is_answered_all_the_same(chat: Chat) -> None:
    asked = chat.say("go", begins="ask")
    job = chat.say("Alice", begins="other")
    assert (job.workflow, job.root, job.response) == ("ask", asked, "Hello Alice.")


def test_a_message_beside_its_own_question_does_not_begin_the_workflow_once_more(
    chat: Chat,
) -> None:
    asked = chat.say("go", begins="ask")
    job = chat.say("What do you want it for?", begins="ask")
    assert (job.workflow, job.root) == ("chat", None)
    asked.session.refresh_from_db()
    assert asked.session.open_job == asked


def test_a_message_beside_the_question_begins_another_workflow(chat: Chat) -> None:
    chat.say("go", begins="ask")
    job = chat.say("What do you want it for?", begins="other")
    assert (job.workflow, job.root) == ("other", None)


def test_there_must_be_one_of_that_name(chat: Chat) -> None:
    with pytest.raises(UnknownWorkflow):
        chat.say("go", begins="none")
