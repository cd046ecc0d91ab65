"""What the owner of an answer thinks of it."""

import pytest

from chatflow.workflows import services, workflow
from chatflow.workflows.models import Feedback, Job
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unkept")]


@pytest.fixture
def job(chat: Chat) -> Job:
    workflow("echo")(lambda ctx: "Echo")
    return chat.say(workflow="echo")


def test_the_last_word_counts(job: Job) -> None:
    services.give_feedback(job, value="up")
    given = services.give_feedback(job, value="down", comment="Too\0 short.")
    assert given == Feedback.objects.get()
    assert (given.value, "\0" in given.comment) == ("down", False)
    assert services.give_feedback(job, value=None) is None
    assert services.give_feedback(job, value=None) is None
    assert not Feedback.objects.exists()


def test_the_answer_is_deleted_at_that_moment(job: Job) -> None:
    services.delete_session(job.session)
    with pytest.raises(Job.DoesNotExist):
        services.give_feedback(job, value="up")
    assert not Feedback.objects.exists()
