"""Reading a job's log anew for an encoder: its frames depend on the events before them."""

from chatflow.dialects import Encoding
from chatflow.workflows.streaming import storage
from chatflow.workflows.streaming.listeners import listeners


def replay(encoding: Encoding, job_id: int, upto: int | None = None) -> list[bytes]:
    """Give *encoding* the job's events so far, and return their frames. It reads the database.

    Args:
        encoding: it goes on behind the last event that it has encoded.
        job_id: the job's primary key.
        upto: the last ``seq`` to read; by default all that there are now.
    """
    channel = storage.channel(job_id)
    frames: list[bytes] = []
    while True:
        most = storage.BATCH if upto is None else min(storage.BATCH, upto - encoding.seq)
        events = listeners.storage.get_events(channel, encoding.seq, most) if most > 0 else []
        for event in events:
            frames += encoding.frames(event)
            if encoding.ended:
                return frames
        if len(events) < storage.BATCH:
            break
    return frames


def replayed(encoding: Encoding, job_id: int, upto: int) -> Encoding:
    """Return a new encoding like *encoding* that has the events up to *upto*."""
    again = encoding.anew()
    replay(again, job_id, upto)
    return again
