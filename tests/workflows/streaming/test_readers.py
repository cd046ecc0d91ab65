"""The readers: whoever asks at the same moment is answered by one query."""

import asyncio
from collections.abc import Sequence

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from chatflow.workflows.models import Event
from chatflow.workflows.streaming.readers import READERS, Readers
from chatflow.workflows.streaming.storage import ChannelCursor, EventRows, channel
from tests.chatflow.threads import close_connections
from tests.workflows.chat import NET, Chat
from tests.workflows.streaming.following import running

pytestmark = pytest.mark.django_db(transaction=True)


async def test_those_who_ask_meanwhile_are_answered_together(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Sequence[ChannelCursor]] = []
    rows = EventRows()
    whole = rows.events_after

    def look(places: Sequence[ChannelCursor]) -> dict[ChannelCursor, list[Event]]:
        looks.append(places)
        if len(looks) <= 2:
            raise OperationalError("server closed the connection unexpectedly")
        return whole(places)

    monkeypatch.setattr(rows, "events_after", look)
    job = await sync_to_async(running)(chat, "one", 3)
    here = channel(job.pk)
    reading = Readers(rows)
    async with asyncio.timeout(NET):
        # While the database is away there is nothing; whoever left is not looked for.
        assert await reading.events_after((here, 0)) == []
        reading.events_after((here, 7)).cancel()
        answers = [reading.events_after((here, seq)) for seq in (0, 2, 0)]
        assert await asyncio.gather(*answers) == [[], [], []]
        answers = [reading.events_after((here, seq)) for seq in (0, 2, 0)]
        found = await asyncio.gather(*answers)
    await asyncio.to_thread(close_connections, reading.threads, READERS)
    reading.close()

    assert [[event.seq for event in events] for events in found] == [[1, 2, 3], [3], [1, 2, 3]]
    together = [(here, 0), (here, 2)]
    assert looks == [[(here, 0)], together, together]


async def test_who_asks_just_as_the_looks_end_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else may ask for hours, and a follower that waits for an answer asks no more."""
    reading = Readers(EventRows())

    async def call(*args: object) -> dict[ChannelCursor, list[Event]]:
        return {}

    monkeypatch.setattr(reading, "call", call)
    answers = [reading.events_after((channel(job), 0)) for job in range(READERS)]
    # Behind the looks, which end in their first step, and before the loop's next turn.
    asyncio.get_running_loop().call_soon(
        lambda: answers.append(reading.events_after((channel(READERS), 0)))
    )
    async with asyncio.timeout(NET):
        await asyncio.gather(*answers)
        await answers[READERS]
    reading.close()
