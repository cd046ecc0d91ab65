"""The seed's own dialect: an event is an object with ``status``, ``progress``, ``message``…"""

from datetime import UTC, datetime
from typing import Any

from workflows.models import Event, Job, State

# A cancelled job is "failed" to a seed client; its code tells the difference.
STATUS = {
    State.QUEUED: "processing",
    State.PROCESSING: "processing",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.TIMEOUT: "timeout",
    State.CANCELLED: "failed",
}


def iso(moment: datetime) -> str:
    """Return the moment as JavaScript writes it, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def status(state: str) -> str:
    """Return the seed's word for a job's state, or for the type of an event."""
    return STATUS[State(state)] if state in STATUS else "processing"


def frame(job_public_id: str, event: Event) -> dict[str, Any]:
    """Return the frame of *event*."""
    return {
        # `said` is the engine's own note of what a progress event was asked to say.
        **{key: value for key, value in event.data.items() if key != "said"},
        "status": status(event.type),
        "progress": event.progress,
        "message": event.message,
        "updated_at": iso(event.created_at),
        "seq": event.seq,
        "type": event.type,
        "job_id": job_public_id,
    }


def connected(job: Job) -> dict[str, Any]:
    """Return the frame that opens a stream; it stands for no event."""
    return {
        "status": "connected",
        "progress": job.progress,
        "message": "Stream connected",
        "updated_at": iso(job.updated_at),
        "job_id": job.public_id,
        "last_event_id": job.last_seq,
    }
