"""The only writer of events."""

import json
from typing import Any

from django.db import connection, transaction

from workflows.bells import get_bell
from workflows.clock import sql_now
from workflows.exceptions import Fenced
from workflows.models import Event, Job

MESSAGE_LENGTH = 500

# The number comes from the job's own row, under its lock: numbers are gapless and in commit order.
# The attempt in the WHERE clause is the fence: a worker that lost its job updates no row.
ADVANCE = """
    UPDATE workflows_job
    SET last_seq = last_seq + 1,
        progress = greatest_of(progress, %(progress)s),
        progress_message = CASE WHEN %(message)s = '' THEN progress_message ELSE %(message)s END,
        updated_at = {now}
    WHERE id = %(job)s AND attempt = %(attempt)s AND state = 'processing'
    RETURNING id, last_seq, progress, progress_message, updated_at
"""
INSERT = """
    INSERT INTO workflows_event (job_id, seq, type, progress, message, data, attempt, created_at)
"""


def clean(value: Any) -> Any:
    """Return *value* without what PostgreSQL can't store: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def append(
    job_id: int,
    attempt: int,
    type: str,
    *,
    progress: int = 0,
    message: str = "",
    data: dict[str, Any] | None = None,
) -> int:
    """Append an event to a running job, move its progress on and ring, all in one transaction.

    Args:
        job_id: the job's primary key.
        attempt: the attempt that speaks.
        type: one of ``Event.Type``.
        progress: percent; the job's progress never goes back.
        message: what the job is doing; empty to leave it as it was.
        data: what else the event says; JSON.

    Returns:
        The event's ``seq``.

    Raises:
        Fenced: the attempt doesn't own the job any more.
    """
    params = {
        "job": job_id,
        "attempt": attempt,
        "type": type,
        "progress": progress,
        "message": clean(message)[:MESSAGE_LENGTH],
        "data": json.dumps(clean(data or {})),
    }
    if connection.vendor == "postgresql":
        return _append_postgres(params)
    return _append_sqlite(params)


def _append_postgres(params: dict[str, Any]) -> int:
    """Number, insert, progress and NOTIFY in one round trip."""
    advance = ADVANCE.replace("greatest_of", "greatest").format(now=sql_now())
    bell = get_bell()
    ring = bell.sql("events", "%(job)s")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH job AS ({advance}), event AS (
                {INSERT}
                SELECT id, last_seq, %(type)s, progress, progress_message, %(data)s::jsonb,
                       %(attempt)s, updated_at
                FROM job RETURNING seq
            )
            SELECT seq, {ring or "NULL"} FROM event
            """,
            params,
        )
        row = cursor.fetchone()
    if row is None:
        raise Fenced
    if ring is None:
        bell.ring("events", params["job"])
    return int(row[0])


def _append_sqlite(params: dict[str, Any]) -> int:
    advance = ADVANCE.replace("greatest_of", "max").format(now=sql_now())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(advance, params)
        row = cursor.fetchone()
        if row is None:
            raise Fenced
        job_id, seq, progress, message, moment = row
        cursor.execute(
            f"{INSERT} VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                job_id,
                seq,
                params["type"],
                progress,
                message,
                params["data"],
                params["attempt"],
                moment,
            ],
        )
        get_bell().ring("events", job_id)
    return int(seq)


def append_last(job: Job, type: str, *, message: str, data: dict[str, Any]) -> Event:
    """Append the terminal event of a job whose row the caller holds locked and is about to end.

    Args:
        job: the job, with ``last_seq`` as it stands in the database; raised by one here, and for
            the caller to save together with the new state.
        type: one of the terminal types.
        message: what became of the job.
        data: the rest of the terminal frame.
    """
    job.last_seq += 1
    event = Event.objects.create(
        job=job,
        seq=job.last_seq,
        type=type,
        progress=job.progress,
        message=clean(message)[:MESSAGE_LENGTH],
        data=clean(data),
        attempt=job.attempt,
        created_at=job.updated_at,
    )
    get_bell().ring("events", job.pk)
    return event
