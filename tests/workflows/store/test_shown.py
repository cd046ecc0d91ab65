"""The words that a job has shown."""

import pytest

from chatflow.workflows.models import Event, Job
from chatflow.workflows.store import events
from chatflow.workflows.store.shown import read_words
from tests.workflows.chat import Chat, claimed

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(chat: Chat) -> Job:
    chat.send()
    return claimed()


def test_it_works(job: Job) -> None:
    """Those that stand, and no other's."""

    def append(type: Event.Type, **data: object) -> None:
        events.append(job.pk, job.attempt, type, data=data)

    append(Event.Type.DELTA, delta="one ")
    append(Event.Type.PROGRESS, said=[10, "Ten"])
    append(Event.Type.DELTA, delta="twa")
    append(Event.Type.RESTARTED, text_length=4, attempt=1)
    append(Event.Type.DELTA, delta="two")

    assert read_words(job) == "one two"
    assert read_words(Job(pk=job.pk + 1)) == ""
