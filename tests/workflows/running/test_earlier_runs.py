"""The traces of earlier runs, as a later one reads them."""

import pytest
from pytest_django import DjangoAssertNumQueries

from chatflow.workflows.models import Event, Job, Session, Step
from chatflow.workflows.running.earlier_runs import read_lineage, read_output, read_steps
from chatflow.workflows.store import events
from tests.workflows.chat import Chat, claimed

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(chat: Chat) -> Job:
    chat.send()
    return claimed()


def record(job: Job, name: str) -> Step:
    return Step.objects.create(
        root_id=job.conversation_id, job=job, name=name, occurrence=1, attempt=1
    )


def retry_of(job: Job) -> Job:
    return Job.objects.create(
        user=job.user,
        session=Session.objects.get(pk=job.session_id),
        workflow=job.workflow,
        text=job.text,
        retry_of=job,
    )


def test_output(job: Job) -> None:
    def append(type: Event.Type, **data: object) -> None:
        events.append(job.pk, job.attempt, type, data=data)

    append(Event.Type.DELTA, delta="one ")
    append(Event.Type.PROGRESS, said=[10, "Ten"])
    append(Event.Type.DELTA, delta="twa")
    append(Event.Type.RESTARTED, text_length=4, attempt=1)
    append(Event.Type.DELTA, delta="two")

    output = read_output(job)
    assert (output.text, output.reports) == ("one two", {(10, "Ten")})


def test_steps_in_their_order(job: Job) -> None:
    steps = [record(job, "B"), record(job, "A")]
    job.attempt = 2

    assert list(read_steps(job).items()) == [(("B", 1), steps[0]), (("A", 1), steps[1])]


def test_the_first_attempt_queries_nothing(
    job: Job, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """There is nothing that it could find."""
    with django_assert_num_queries(0):
        assert read_steps(job) == {}


def test_lineage(job: Job) -> None:
    last = retry_of(retry_of(job))

    assert last.retry_of is not None
    assert read_lineage(last) == {last.pk, last.retry_of.pk, job.pk}
    assert read_lineage(job) == {job.pk}
