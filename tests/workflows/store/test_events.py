"""The log: gapless, in order, fenced, and never half-written."""

from itertools import chain
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.events import MESSAGE_LENGTH, append, clean
from chatflow.workflows.store.lifecycle import Outcome
from tests.workflows.chat import (
    Chat,
    assert_log_is_sound,
    at_once,
    claimed,
    events,
    lose_worker,
    rolled_back,
    with_empty_log,
)

pytestmark = pytest.mark.django_db

REPLACED = "\N{REPLACEMENT CHARACTER}"


@pytest.fixture
def job(chat: Chat) -> Job:
    """A job that this process has claimed."""
    chat.send()
    return with_empty_log(claimed())


def report(job: Job, progress: int = 0, message: str = "", **data: Any) -> int:
    return append(
        job.pk, job.attempt, Event.Type.PROGRESS, progress=progress, message=message, data=data
    )


def test_it_works(job: Job) -> None:
    assert report(job, 10, "Ten", key=[1, None, "é"]) == 1
    assert report(job, 20) == 2
    job.refresh_from_db()

    assert (job.last_seq, job.progress, job.progress_message) == (2, 20, "Ten")
    first, second = events(job)
    assert (first.seq, first.type, first.progress, first.message) == (1, "progress", 10, "Ten")
    assert (first.data, first.attempt) == ({"key": [1, None, "é"]}, 1)
    # An event without words repeats what the job is doing.
    assert (second.message, second.data) == ("Ten", {})
    assert first.created_at <= second.created_at == job.updated_at


def test_progress_never_goes_back(job: Job) -> None:
    for percent in (30, 10, 0, 30, 31):
        report(job, percent)

    assert [event.progress for event in events(job)] == [30, 30, 30, 30, 31]
    assert_log_is_sound(job)


def test_jobs_are_numbered_by_themselves(chat: Chat, job: Job) -> None:
    Chat(chat.user, "other").send()
    other = with_empty_log(claimed())

    assert [report(job), report(other), report(other), report(job)] == [1, 1, 2, 2]


def test_an_older_attempt_is_fenced(job: Job) -> None:
    lose_worker()
    second = claimed()
    assert (second.pk, second.attempt) == (job.pk, 2)
    with pytest.raises(Fenced):
        report(job)

    assert report(second) == 2
    assert [event.attempt for event in events(job)] == [2, 2]


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.TIMEOUT, State.CANCELLED])
def test_a_job_that_has_ended_is_fenced(job: Job, state: State) -> None:
    lifecycle.end(job, Outcome(state))
    with pytest.raises(Fenced):
        report(job)

    assert_log_is_sound(job)


def test_a_waiting_job_is_fenced(job: Job) -> None:
    lose_worker()
    with pytest.raises(Fenced):
        append(job.pk, job.attempt, Event.Type.PROGRESS)


def test_a_job_that_is_gone_is_fenced(job: Job) -> None:
    Job.objects.filter(pk=job.pk).delete()
    with pytest.raises(Fenced):
        report(job)


def test_a_fence_leaves_the_transaction_usable(job: Job) -> None:
    with transaction.atomic():
        with pytest.raises(Fenced):
            append(job.pk, 99, Event.Type.PROGRESS)
        report(job)

    assert len(events(job)) == 1


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("a\0b", f"a{REPLACED}b"),
        ("a\ud800b\udfff", "a?b?"),
        # The two halves of a character, as JSON escapes them.
        ("a\ud83d\ude00b", "a😀b"),
        ("👩‍👩‍👧 é", "👩‍👩‍👧 é"),
        (
            {"k\0": ["\0", {"x": "\ud800"}], "n": 1},
            {f"k{REPLACED}": [REPLACED, {"x": "?"}], "n": 1},
        ),
        (("a\0", 1), [f"a{REPLACED}", 1]),
        (None, None),
        (1.5, 1.5),
        (True, True),
    ],
)
def test_clean(value: Any, cleaned: Any) -> None:
    assert clean(value) == cleaned


def test_what_no_database_can_store_is_cleaned(job: Job) -> None:
    report(job, 1, "m\0\ud800", **{"k\0": "v\0\ud800"})
    job.refresh_from_db()

    assert job.progress_message == events(job)[0].message == f"m{REPLACED}?"
    assert events(job)[0].data == {f"k{REPLACED}": f"v{REPLACED}?"}


def test_words_that_look_like_sql_or_formats(job: Job) -> None:
    nasty = "%s %(job)s {now} ' \" \\ ; -- 100%"
    report(job, 1, nasty, nasty=nasty)

    assert events(job)[0].message == nasty
    assert events(job)[0].data == {"nasty": nasty}


def test_a_long_message_is_cut(job: Job) -> None:
    report(job, 1, "é" * (MESSAGE_LENGTH + 1))

    assert events(job)[0].message == "é" * MESSAGE_LENGTH


def test_progress_beyond_100_is_refused_whole(job: Job) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        report(job, 101)

    assert report(job) == 1


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_event_leaves_nothing(job: Job) -> None:
    report(job, 10)
    with rolled_back():
        report(job, 50, "Fifty")

    assert report(job) == 2
    assert [event.progress for event in events(job)] == [10, 10]
    assert_log_is_sound(job)


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once(job: Job) -> None:
    def write(number: int) -> list[int]:
        return [report(job, percent) for percent in range(25)]

    numbers = at_once(4, write)

    assert sorted(chain.from_iterable(numbers)) == list(range(1, 101))
    # Each writer's own events are in the order in which it wrote them.
    assert all(mine == sorted(mine) for mine in numbers)
    assert_log_is_sound(job)


@pytest.mark.django_db(transaction=True)
def test_an_event_is_never_seen_before_those_in_front_of_it(job: Job) -> None:
    """A reader that goes by its cursor would miss an event that is committed behind it."""
    seen: list[list[int]] = []

    def work(number: int) -> None:
        for _ in range(20):
            if number < 3:
                report(job)
            else:
                rows = Event.objects.filter(job=job).order_by("seq")
                seen.append(list(rows.values_list("seq", flat=True)))

    assert at_once(4, work) == [None] * 4
    assert all(found == list(range(1, len(found) + 1)) for found in seen)


def test_the_database_itself_refuses_a_second_end(job: Job) -> None:
    lifecycle.end(job, Outcome(State.COMPLETED))
    for terminal in (Event.Type.COMPLETED, Event.Type.FAILED):
        with pytest.raises(IntegrityError), transaction.atomic():
            Event.objects.create(job=job, seq=9, type=terminal, progress=100, attempt=1)

    assert_log_is_sound(job)


def test_the_database_itself_refuses_a_number_twice(job: Job) -> None:
    report(job)
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.create(job=job, seq=1, type=Event.Type.PROGRESS, progress=0, attempt=1)


def test_events_go_with_their_job(job: Job) -> None:
    report(job)
    job.delete()

    assert not Event.objects.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_one_round_trip(job: Job, django_assert_num_queries: Any) -> None:
    # The first time a connection learns the statement.
    report(job, 1, "one")
    with django_assert_num_queries(1):
        report(job, 2, "two", key="value")


@pytest.mark.django_db(transaction=True)
def test_a_broken_connection_is_an_error_and_no_event(job: Job) -> None:
    connection.ensure_connection()
    assert connection.connection is not None
    connection.connection.close()
    try:
        with pytest.raises(DatabaseError):
            report(job)
    finally:
        connection.close()

    assert events(job) == []
