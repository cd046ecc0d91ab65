"""The storage: a job's next events, and those of many places in one query."""

from typing import Any

import pytest

from chatflow.workflows.models import Event
from chatflow.workflows.streaming import storage
from chatflow.workflows.streaming.storage import ChannelCursor, EventRows, channel
from tests.workflows.chat import Chat
from tests.workflows.streaming.following import running

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY = channel(2**40)


@pytest.fixture
def rows() -> EventRows:
    return EventRows()


@pytest.fixture
def one(chat: Chat) -> str:
    """Return the channel of a job with five events."""
    return channel(running(chat, "one", 5).pk)


@pytest.fixture
def two(chat: Chat) -> str:
    """Return the channel of a job with three events."""
    return channel(running(chat, "two", 3).pk)


def seqs(found: dict[ChannelCursor, list[Event]]) -> dict[ChannelCursor, list[int]]:
    return {place: [event.seq for event in events] for place, events in found.items()}


def test_it_works(rows: EventRows, one: str, two: str) -> None:
    events = rows.get_events(one, 3)

    assert [event.seq for event in events] == [4, 5]
    last = events[-1]
    assert (channel(last.job_id), last.type, last.progress, last.data) == (
        one,
        "progress",
        4,
        {"n": 4},
    )
    assert last.created_at.tzinfo is not None


@pytest.mark.parametrize(("cursor", "found"), [(0, [1, 2]), (4, [5]), (5, []), (6, [])])
def test_a_limit(rows: EventRows, one: str, cursor: int, found: list[int]) -> None:
    assert [event.seq for event in rows.get_events(one, cursor, limit=2)] == found


def test_many_places(rows: EventRows, one: str, two: str) -> None:
    places = [(one, 0), (one, 4), (one, 5), (two, 1), (NOBODY, 0)]
    found = rows.events_after(places)

    assert seqs(found) == {(one, 0): [1, 2, 3, 4, 5], (one, 4): [5], (two, 1): [2, 3]}
    last = found[one, 4][0]
    assert (last.type, last.progress, last.data) == ("progress", 4, {"n": 4})
    assert last.created_at.tzinfo is not None


def test_one_place_is_answered_as_many_are(rows: EventRows, one: str, two: str) -> None:
    for place in [(one, 0), (one, 4), (one, 5), (two, 1), (NOBODY, 0)]:
        alone, together = rows.events_after([place]), rows.events_after([place, (NOBODY, 1)])
        assert seqs(alone) == seqs(together)
        # Equal is equal keys only.
        assert [vars(event) | {"_state": None} for event in alone.get(place, [])] == [
            vars(event) | {"_state": None} for event in together.get(place, [])
        ]


@pytest.mark.parametrize("count", [1, 3])
def test_it_is_one_query(
    rows: EventRows, one: str, count: int, django_assert_num_queries: Any
) -> None:
    places = [(one, seq) for seq in range(count)]
    # The first time a connection learns the statements.
    rows.events_after(places)
    rows.moved(places)
    with django_assert_num_queries(1):
        rows.events_after(places)
    with django_assert_num_queries(1):
        rows.moved(places)


def test_each_place_has_its_bound(
    rows: EventRows, one: str, two: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "BATCH", 2)

    assert seqs(rows.events_after([(one, 1)])) == {(one, 1): [2, 3]}
    assert seqs(rows.events_after([(one, 1), (two, 0)])) == {(one, 1): [2, 3], (two, 0): [1, 2]}


def test_places_that_were_passed(rows: EventRows, one: str, two: str) -> None:
    places = [(one, 0), (one, 5), (two, 3), (NOBODY, 0)]

    assert rows.moved(places) == {one: 5, NOBODY: None}


def test_ten_thousand_places(rows: EventRows, chat: Chat) -> None:
    job = running(chat, "one", 1)
    places = [(channel(job.pk + number), 0) for number in range(10_000)]

    assert seqs(rows.events_after(places)) == {(channel(job.pk), 0): [1]}
    assert len(rows.moved(places)) == 10_000
