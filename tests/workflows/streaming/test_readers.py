"""What the streams read: many places in one query."""

import asyncio
from collections.abc import Sequence

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from tests.chatflow.threads import close_connections
from tests.workflows.chat import NET, Chat, claimed, with_empty_log
from workflows.models import Event, Job
from workflows.store.database.base import Place
from workflows.store.events import append
from workflows.streaming import readers
from workflows.streaming.readers import READERS, Readers, events_after, moved

pytestmark = pytest.mark.django_db(transaction=True)


def running(chat: Chat, session: str, count: int) -> Job:
    """Return a job that runs, and has so many events."""
    Chat(chat.user, session).send()
    job = with_empty_log(claimed())
    for number in range(count):
        append(job.pk, job.attempt, Event.Type.PROGRESS, progress=number, data={"n": number})
    return job


def seqs(found: dict[Place, list[Event]]) -> dict[Place, list[int]]:
    return {place: [event.seq for event in events] for place, events in found.items()}


def test_it_works(chat: Chat) -> None:
    one, two = running(chat, "one", 3), running(chat, "two", 2)
    places = [(one.pk, 0), (one.pk, 2), (one.pk, 3), (two.pk, 1), (two.pk + 1, 0)]
    found = events_after(places)

    assert seqs(found) == {(one.pk, 0): [1, 2, 3], (one.pk, 2): [3], (two.pk, 1): [2]}
    last = found[(one.pk, 2)][0]
    assert (last.type, last.progress, last.data) == ("progress", 2, {"n": 2})
    assert last.created_at.tzinfo is not None


def test_it_is_one_query(chat: Chat, django_assert_num_queries: object) -> None:
    job = running(chat, "one", 3)
    # The first time a connection learns the statements.
    events_after([(job.pk, 0)])
    moved([(job.pk, 0)])
    with django_assert_num_queries(1):  # type: ignore[operator]
        events_after([(job.pk, seq) for seq in range(3)])
    with django_assert_num_queries(1):  # type: ignore[operator]
        moved([(job.pk, seq) for seq in range(3)])


def test_each_place_has_its_bound(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "BATCH", 2)
    one, two = running(chat, "one", 5), running(chat, "two", 3)

    assert seqs(events_after([(one.pk, 1), (two.pk, 0)])) == {
        (one.pk, 1): [2, 3],
        (two.pk, 0): [1, 2],
    }


def test_what_has_moved(chat: Chat) -> None:
    one, two = running(chat, "one", 2), running(chat, "two", 1)
    places = [(one.pk, 0), (one.pk, 2), (two.pk, 1), (two.pk + 1, 0)]

    assert moved(places) == {one.pk: 2, two.pk + 1: None}


def test_ten_thousand_places(chat: Chat) -> None:
    job = running(chat, "one", 1)
    places = [(job.pk + number, 0) for number in range(10_000)]

    assert seqs(events_after(places)) == {(job.pk, 0): [1]}
    assert len(moved(places)) == 10_000


async def test_those_who_ask_meanwhile_are_answered_together(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Sequence[Place]] = []
    whole = readers.events_after

    def look(places: Sequence[Place]) -> dict[Place, list[Event]]:
        looks.append(places)
        if len(looks) <= 2:
            raise OperationalError("server closed the connection unexpectedly")
        return whole(places)

    monkeypatch.setattr(readers, "events_after", look)
    job = await sync_to_async(running)(chat, "one", 3)
    reading = Readers()
    async with asyncio.timeout(NET):
        # While the database is away there is nothing; whoever left is not looked for.
        assert await reading.events_after((job.pk, 0)) == []
        reading.events_after((job.pk, 7)).cancel()
        answers = [reading.events_after((job.pk, seq)) for seq in (0, 2, 0)]
        assert await asyncio.gather(*answers) == [[], [], []]
        answers = [reading.events_after((job.pk, seq)) for seq in (0, 2, 0)]
        found = await asyncio.gather(*answers)
    await asyncio.to_thread(close_connections, reading.threads, READERS)
    reading.close()

    assert [[event.seq for event in events] for events in found] == [[1, 2, 3], [3], [1, 2, 3]]
    together = [(job.pk, 0), (job.pk, 2)]
    assert looks == [[(job.pk, 0)], together, together]
