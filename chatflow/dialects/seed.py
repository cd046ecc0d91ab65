"""The seed's own dialect: an event is an object with ``status``, ``progress``, ``message``…"""

from typing import Any

from chatflow.dialects.base import Dialect
from chatflow.wire import sse
from chatflow.wire.moments import iso
from chatflow.workflows.models import Event, Job, State

# A cancelled job is "failed" to a seed client; its code tells the difference.
STATUS: dict[str, str] = {
    State.QUEUED: "processing",
    State.PROCESSING: "processing",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.TIMEOUT: "timeout",
    State.CANCELLED: "failed",
}
# Milliseconds after which a client comes back when its stream broke off.
RETRY = 1000


class Seed(Dialect):
    """One frame for each event, whose id is the event's ``seq``."""

    __slots__ = ()
    name = "seed"
    keeps_state = False
    tells_places = True

    @staticmethod
    def status(state: str) -> str:
        """See Dialect.status()."""
        return STATUS.get(state, "processing")

    def connected(self, job: Job) -> bytes:
        """See Dialect.connected()."""
        opening = {
            "status": "connected",
            "progress": job.progress,
            "message": "Stream connected",
            "updated_at": iso(job.updated_at),
            "job_id": job.public_id,
            "last_event_id": job.last_seq,
        }
        return sse.frame(opening, retry=RETRY)

    def waiting(self, position: int, progress: int) -> bytes:
        """See Dialect.waiting()."""
        return sse.frame(
            {
                "status": self.status(State.QUEUED),
                "progress": progress,
                "message": f"Waiting in the queue, at place {position}...",
                "type": "queued",
                "queue_position": position,
                "job_id": self.job_id,
            }
        )

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        return [sse.frame(self.data(event), event_id=event.seq)]

    def data(self, event: Event) -> dict[str, Any]:
        """Return the data of *event*'s frame."""
        return {
            # `said` is the engine's own note of the arguments of a progress event.
            **{key: value for key, value in event.data.items() if key != "said"},
            "status": self.status(event.type),
            "progress": event.progress,
            "message": event.message,
            "updated_at": iso(event.created_at),
            "seq": event.seq,
            "type": event.type,
            "job_id": self.job_id,
            **({"attempt": event.attempt} if event.type == Event.Type.STARTED else {}),
        }
