"""Figures: each job that ended is counted once, whoever counts, and whenever."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import clock, histograms
from chatflow.workflows.models import Figures, Job, Session, State
from chatflow.workflows.store import figures
from chatflow.workflows.store.figures import HOUR, LATE, MINUTE, Counting, begin_of
from chatflow.workflows.store.pruning import prune

pytestmark = pytest.mark.django_db

NOON = datetime(2025, 11, 30, 12, tzinfo=UTC)
MINUTES = Figures.objects.filter(span=Figures.Span.MINUTE)
HOURS = Figures.objects.filter(span=Figures.Span.HOUR)


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what sets the clock; it is half past noon."""

    def set_to(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    monkeypatch.setattr(figures, "read_clock", lambda connection: None)
    set_to(NOON + timedelta(minutes=30))
    return set_to


@pytest.fixture
def ended(alice: User) -> Any:
    """Return what stores a job that ended at a moment."""
    session = Session.objects.create(user=alice, key="s")

    def store(moment: datetime, state: State = State.COMPLETED, **fields: Any) -> Job:
        begun = {
            "created_at": moment - timedelta(seconds=5),
            "started_at": moment - timedelta(seconds=3),
            "ran_for": 3.0,
            "workflow": "chat",
        }
        return Job.objects.create(
            user=alice, session=session, state=state, finished_at=moment, **{**begun, **fields}
        )

    return store


def counts(rows: Any) -> list[tuple[Any, ...]]:
    listed = rows.order_by("since", "queue", "workflow")
    return [(f"{row.since:%H:%M}", row.workflow, row.completed, row.failed) for row in listed]


def test_a_minute_in_full(ended: Any) -> None:
    usage = {"requests": 2, "input_tokens": 100, "output_tokens": 10, "cost_usd": 0.5}
    ended(NOON, usage=usage, lost=1, failures=2)
    ended(NOON + timedelta(seconds=59.999), State.TIMEOUT, usage=usage | {"cost_usd": 0.25})
    ended(NOON + timedelta(seconds=1), usage={"requests": 1, "input_tokens": 1, "output_tokens": 0})
    ended(NOON + timedelta(seconds=1), State.CANCELLED, started_at=None, ran_for=0)
    ended(NOON, workflow="other", queue="mail")
    Counting().count()

    other, row = MINUTES.order_by("-workflow")
    assert (other.queue, other.workflow, other.completed) == ("mail", "other", 1)
    assert (row.completed, row.failed, row.timeout, row.cancelled) == (2, 0, 1, 1)
    assert (row.lost, row.retried, row.requests) == (1, 2, 5)
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (201, 20, 0.75)
    assert row.seconds_waited == pytest.approx(6, abs=0.1)
    assert row.seconds_ran == 9
    # One was cancelled before it began.
    assert sum(row.waited) == sum(row.ran) == row.ran[histograms.bucket(3)] == 3
    assert row.waited[histograms.bucket(1.9)] == 3


def test_an_hour_is_the_sum_of_its_minutes(ended: Any) -> None:
    for minute in (-1, 0, 1, 1, 29):
        ended(NOON + minute * MINUTE)
    ended(NOON, State.FAILED)
    Counting().count()

    assert counts(HOURS) == [("11:00", "chat", 1, 0), ("12:00", "chat", 4, 1)]
    assert sum(HOURS.get(since=NOON).ran) == 5


def test_whoever_counts_again_finds_the_same(ended: Any) -> None:
    ended(NOON)
    Counting().count()
    before = list(Figures.objects.order_by("pk").values())
    Counting().count()

    assert list(Figures.objects.order_by("pk").values()) == before


def test_a_count_that_was_broken_off_goes_on(ended: Any) -> None:
    for minute in range(5):
        ended(NOON + minute * MINUTE)
    counting = Counting()
    counting.count(patience=0)
    assert counting.is_behind
    assert counting.pace == figures.HURRY
    assert len(counts(MINUTES)) == 1
    # Another cluster takes over.
    other = Counting()
    for _ in range(6):
        other.count(patience=0)

    assert not other.is_behind
    assert counts(HOURS) == [("12:00", "chat", 5, 0)]


def test_the_present_minute_and_ends_that_are_committed_late(ended: Any, at: Any) -> None:
    counting = Counting()
    at(NOON + timedelta(seconds=30))
    ended(NOON + timedelta(seconds=20))
    counting.count()
    assert counts(MINUTES) == [("12:00", "chat", 1, 0)]
    ended(NOON + timedelta(seconds=59))
    at(NOON + MINUTE + timedelta(seconds=5))
    counting.count()
    assert counts(MINUTES) == [("12:00", "chat", 2, 0)]
    at(NOON + 2 * MINUTE)
    counting.count()
    # It had its moment long before its commit.
    ended(NOON + timedelta(seconds=59))
    at(NOON + 3 * MINUTE)
    counting.count()
    assert counts(HOURS) == [("12:00", "chat", 2, 0)]
    at(NOON + LATE + MINUTE)
    counting.count()
    assert counts(HOURS) == counts(MINUTES) == [("12:00", "chat", 3, 0)]


def test_what_is_deleted_stays_counted(ended: Any) -> None:
    gone = ended(NOON)
    ended(NOON)
    Counting().count()
    gone.delete()
    Counting().count()

    assert counts(HOURS) == [("12:00", "chat", 2, 0)]


def test_jobs_are_counted_before_they_are_pruned(ended: Any) -> None:
    ended(NOON - timedelta(days=2))
    assert prune(days=1) == 1

    assert counts(HOURS) == [("12:00", "chat", 1, 0)]


def test_figures_are_kept_for_so_long(at: Any, ended: Any) -> None:
    ended(NOON)
    Counting().count()
    at(NOON + figures.HISTORY + HOUR)
    prune(days=100)
    assert (MINUTES.count(), HOURS.count()) == (0, 1)
    at(NOON + timedelta(days=401))
    prune(days=1000)
    assert not HOURS.exists()


def test_begin_of() -> None:
    moment = datetime(2025, 11, 30, 15, 59, 59, 999, tzinfo=UTC)

    assert begin_of(moment, MINUTE) == datetime(2025, 11, 30, 15, 59, tzinfo=UTC)
    assert begin_of(moment, 6 * HOUR) == datetime(2025, 11, 30, 12, tzinfo=UTC)
