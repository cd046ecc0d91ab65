"""The pen that many runs share: their words in one statement, and each job's own fence."""

import time
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from chatflow.workflows.models import Event, Job
from chatflow.workflows.running import shared_pen
from chatflow.workflows.running.attempt import Attempt
from chatflow.workflows.running.event_writer import EventWriter
from chatflow.workflows.running.shared_pen import SharedPen
from chatflow.workflows.store import events as event_store
from tests.workflows.chat import (
    Chat,
    assert_log_is_sound,
    claimed,
    events,
    streamed,
)

# The words of a transaction aren't brought to the pen.
pytestmark = pytest.mark.django_db(transaction=True)


class Pen(SharedPen):
    """One without a thread: the test writes with it."""

    def __init__(self) -> None:
        self.lost: list[tuple[int, int]] = []
        super().__init__(self.lost.append)

    @property
    def brought(self) -> set[EventWriter]:
        return set(self._waiting)

    def write_all(self) -> None:
        """Write once, whatever the time."""
        writers = list(self._waiting)
        self._waiting.clear()
        self.write(writers)


@pytest.fixture
def pen() -> Pen:
    return Pen()


@pytest.fixture
def jobs(alice: Any) -> list[Job]:
    """Two jobs that run, in sessions of their own."""
    for key in ("one", "two"):
        Chat(alice, key).send()
    return [claimed(), claimed()]


def writer(job: Job, pen: Pen) -> EventWriter:
    return EventWriter(job, Attempt(job), pen.bring)


def test_it_works(pen: Pen, jobs: list[Job], django_assert_max_num_queries: Any) -> None:
    first, second = (writer(job, pen) for job in jobs)
    for word in ("Once ", "upon "):
        first.show(word)
    second.show("Hello")
    with django_assert_max_num_queries(8):
        pen.write_all()

    assert [streamed(job) for job in jobs] == ["Once upon ", "Hello"]
    assert [len(events(job)) for job in jobs] == [2, 2]
    for job in jobs:
        known = job.last_seq
        assert_log_is_sound(job)
        assert job.last_seq == known
    assert not pen.brought


def test_the_next_words_and_events_follow(pen: Pen, jobs: list[Job]) -> None:
    mine = writer(jobs[0], pen)
    mine.show("One ")
    pen.write_all()
    mine.show("two ")
    mine.append(Event.Type.PROGRESS, progress=10)
    mine.show("three")
    pen.write_all()

    assert [event.type for event in events(jobs[0])[1:]] == ["delta", "delta", "progress", "delta"]
    assert streamed(jobs[0]) == "One two three"


def test_a_lost_job_loses_nobody_else_a_word(pen: Pen, jobs: list[Job]) -> None:
    first, second = (writer(job, pen) for job in jobs)
    Job.objects.filter(pk=jobs[0].pk).update(attempt=2)
    first.show("stale")
    second.show("Hello")
    pen.write_all()

    assert [streamed(job) for job in jobs] == ["", "Hello"]
    assert pen.lost == [(jobs[0].pk, 1)]
    assert not pen.brought


def test_words_of_a_transaction_wait_for_it(pen: Pen, jobs: list[Job]) -> None:
    mine = writer(jobs[0], pen)
    with mine.in_transaction(), transaction.atomic():
        mine.show("Once")
        assert not pen.brought
        pen.write([mine])
    assert pen.brought == {mine}
    pen.write_all()

    assert streamed(jobs[0]) == "Once"


def test_who_writes_himself_is_looked_at_again(pen: Pen, jobs: list[Job]) -> None:
    mine = writer(jobs[0], pen)
    mine.show("Once")
    with mine.writing():
        # The writing has begun with them.
        mine.show(" more")
    pen.write_all()

    assert streamed(jobs[0]) == "Once more"


@pytest.mark.parametrize("was_committed", [True, False])
def test_a_write_that_was_not_confirmed(
    pen: Pen, jobs: list[Job], monkeypatch: pytest.MonkeyPatch, was_committed: bool
) -> None:
    """Each job's own head of the log tells whether its words stand."""
    writers = [writer(job, pen) for job in jobs]
    append_words = event_store.append_words

    def break_off(words: Any) -> Any:
        if was_committed:
            append_words(words)
        raise OperationalError("gone")

    for each, words in zip(writers, ("Once", "Hello"), strict=True):
        each.show(words)
    with monkeypatch.context() as patch:
        patch.setattr(event_store, "append_words", break_off)
        patch.setattr(shared_pen, "is_passing", lambda error: True)
        patch.setattr(connection, "close", lambda: None)
        pen.write_all()
    assert pen.brought == set(writers)
    for each in writers:
        each.show("!")
    pen.write_all()

    assert [streamed(job) for job in jobs] == ["Once!", "Hello!"]
    for job in jobs:
        assert_log_is_sound(job)


def test_what_the_database_refuses_is_the_runs_own(
    pen: Pen, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = writer(jobs[0], pen)
    mine.show("Once")

    def refuse(words: Any) -> Any:
        raise OperationalError("no")

    with monkeypatch.context() as patch:
        patch.setattr(event_store, "append_words", refuse)
        pen.write_all()
    assert not pen.brought
    mine.flush()

    assert streamed(jobs[0]) == "Once"


def test_the_thread(jobs: list[Job]) -> None:
    pen = SharedPen(lambda key: None)
    pen.start()
    mine = EventWriter(jobs[0], Attempt(jobs[0]), pen.bring)
    mine.show("Once")
    until = time.monotonic() + 30
    while not streamed(jobs[0]) and time.monotonic() < until:
        time.sleep(0.001)
    pen.close()

    assert streamed(jobs[0]) == "Once"
