"""The event rows as django-eventstream's storage: all that the streams read of them."""

from collections.abc import Sequence

from django_eventstream.storage import StorageBase

from chatflow.workflows.models import Event
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.rows import columns, from_row

# A job's channel, and the last ``seq`` that somebody has of it.
ChannelCursor = tuple[str, int]

# Events of a job that one look brings at most, to bound the memory.
BATCH = 100

# Numbers are gapless, so this is as good as a LIMIT.
AFTER = """
    SELECT {columns} FROM workflows_event event
    WHERE event.job_id = %(job)s AND event.seq > %(seq)s AND event.seq <= %(seq)s + %(limit)s
    ORDER BY event.seq
"""
AFTER_EACH = """
    WITH place (job_id, seq) AS ({places})
    SELECT place.seq, {columns} FROM place
    JOIN workflows_event event ON event.job_id = place.job_id
        AND event.seq > place.seq AND event.seq <= place.seq + %(limit)s
    ORDER BY event.job_id, place.seq, event.seq
"""
MOVED = """
    WITH place (job_id, seq) AS ({places})
    SELECT place.job_id, job.last_seq FROM place
    LEFT JOIN workflows_job job ON job.id = place.job_id
    WHERE job.id IS NULL OR job.last_seq > place.seq
"""


def channel(job_id: int) -> str:
    """Return the channel on which a job's listeners listen."""
    return f"job-{job_id}"


def _job_id(channel: str) -> int:
    return int(channel.removeprefix("job-"))


class EventRows(StorageBase):  # type: ignore[misc]
    """The engine's event rows; a channel is a job, and an event's id its ``seq``.

    It only reads: events are appended by ``store.events``, in the worker's transaction.
    """

    def get_events(self, channel: str, last_id: int, limit: int = BATCH) -> list[Event]:
        """Return the job's next events, in order.

        Args:
            channel: the job's.
            last_id: the ``seq`` after which they begin.
            limit: how many at most.
        """
        query = AFTER.format(columns=columns(Event, "event"))
        params = {"job": _job_id(channel), "seq": last_id, "limit": limit}
        return [from_row(Event, iter(row)) for row in get_database().fetch_all(query, params)]

    def events_after(self, places: Sequence[ChannelCursor]) -> dict[ChannelCursor, list[Event]]:
        """Return the next events, at most BATCH, after each of the places; one query for all.

        A place without any is left out.
        """
        if len(places) == 1:
            # The usual case, and by itself it costs a third less.
            (place,) = places
            events = self.get_events(*place, limit=BATCH)
            return {place: events} if events else {}
        table, params = _table(places)
        found: dict[ChannelCursor, list[Event]] = {}
        query = AFTER_EACH.format(places=table, columns=columns(Event, "event"))
        for row in get_database().fetch_all(query, {**params, "limit": BATCH}):
            values = iter(row)
            seq, event = next(values), from_row(Event, values)
            found.setdefault((channel(event.job_id), seq), []).append(event)
        return found

    def moved(self, places: Sequence[ChannelCursor]) -> dict[str, int | None]:
        """Return the last ``seq`` of the channels that are past their places; one query for all.

        For a job that was deleted it is None.
        """
        table, params = _table(places)
        rows = get_database().fetch_all(MOVED.format(places=table), params)
        return {channel(job_id): head for job_id, head in rows}


def _table(places: Sequence[ChannelCursor]) -> tuple[str, dict[str, str]]:
    """Return the places as a subquery, and its parameters."""
    return get_database().places([(_job_id(channel), seq) for channel, seq in places])
