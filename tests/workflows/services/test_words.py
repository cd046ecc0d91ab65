"""What jobs have said so far."""

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import services
from chatflow.workflows.models import Event, Job
from chatflow.workflows.store.events import append
from tests.workflows.chat import Chat

pytestmark = pytest.mark.django_db


def write(job: Job, *words: str) -> None:
    Job.objects.filter(pk=job.pk).update(state="processing", attempt=1, lease_until=job.created_at)
    for word in words:
        append(job.pk, 1, Event.Type.DELTA, data={"delta": word})


def test_the_words_that_stand(alice: User) -> None:
    one, other, silent = (Chat(alice, key).send() for key in "abc")
    write(one, "Hello", " you")
    write(other, "Hello", " yo")
    append(other.pk, 1, Event.Type.RESTARTED, data={"attempt": 1, "text_length": 5})
    append(other.pk, 1, Event.Type.DELTA, data={"delta": " Bob"})

    assert services.shown_words([one, other, silent]) == {
        one.pk: "Hello you",
        other.pk: "Hello Bob",
    }
    assert services.shown_words([]) == {}
