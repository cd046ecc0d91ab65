"""The only writer of events."""

import functools
import json
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from workflows.bells import get_bell
from workflows.exceptions import Fenced
from workflows.store.clock import sql_now
from workflows.store.prepared import fetch

MESSAGE_LENGTH = 500

# The number comes from the job's own row, under its lock: numbers are gapless and in commit order.
# The attempt in the WHERE clause is the fence: a worker that lost its job updates no row.
ADVANCE = """
    UPDATE workflows_job
    SET last_seq = last_seq + 1,
        progress = {greatest}(progress, %(progress)s),
        progress_message = CASE WHEN {message} = '' THEN progress_message ELSE {message} END,
        updated_at = {now}
    WHERE id = %(job)s AND attempt = %(attempt)s AND state = 'processing'
"""
# What goes with an update of a job's row reads the row as it is then, under the name of job.
INSERT = """
    INSERT INTO workflows_event (job_id, seq, type, progress, message, data, attempt, created_at)
    SELECT id, last_seq, {type}, progress, progress_message, {data}, attempt, updated_at FROM job
"""


def sql_json(name: str) -> str:
    """Return the SQL expression for the parameter *name*, whose value is JSON's text."""
    return f"%({name})s::jsonb" if connection.vendor == "postgresql" else f"%({name})s"


def sql_text(name: str) -> str:
    """Return the SQL expression for the parameter *name*, a text that stands in several places."""
    return f"CAST(%({name})s AS text)"


def event(data: str) -> str:
    """Return the INSERT of the event ``type`` that a job's row has been brought up to.

    Args:
        data: the SQL expression of its data.
    """
    return INSERT.format(type=sql_text("type"), data=data)


def clean(value: Any) -> Any:
    """Return *value* without what PostgreSQL can't store: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


@dataclass(frozen=True)
class Write:
    """What brings a job's row up to its next event. It is made once, for all jobs.

    Args:
        update: the UPDATE of the job's row; it raises ``last_seq``.
        inserts: what goes with it, such as event().
        select: what to return of the updated row.
        lock: a query whose rows, "locked", the update refers to: they are locked before its own.
            PostgreSQL only.
    """

    update: str
    inserts: tuple[str, ...]
    select: str
    lock: str = ""

    @functools.cached_property
    def statement(self) -> str:
        """All of it in one statement, for PostgreSQL."""
        parts = [f"locked AS ({self.lock})"] if self.lock else []
        parts.append(f"job AS ({self.update} RETURNING workflows_job.*)")
        parts += [f"part{number} AS ({insert})" for number, insert in enumerate(self.inserts)]
        return f"WITH {', '.join(parts)} SELECT {self.select} FROM job"


def append(
    job_id: int,
    attempt: int,
    type: str,
    *,
    progress: int = 0,
    message: str = "",
    data: dict[str, Any] | None = None,
) -> int:
    """Append an event to a running job and move its progress on, in one transaction; and ring.

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
    row = record(_appending(), params)
    if row is None:
        raise Fenced
    return int(row[0])


@functools.cache
def _appending() -> Write:
    greatest = "greatest" if connection.vendor == "postgresql" else "max"
    update = ADVANCE.format(greatest=greatest, now=sql_now(), message=sql_text("message"))
    return Write(update, (event(sql_json("data")),), select="last_seq")


def record(write: Write, params: dict[str, Any]) -> tuple[Any, ...] | None:
    """Write, all or nothing, and ring.

    Args:
        write: what to do.
        params: of all its statements; ``job`` is the job's primary key.

    Returns:
        What it selects; None, with nothing written, if no row was updated.
    """
    row: tuple[Any, ...] | None
    ring = get_bell().statement("events", params["job"])
    if connection.vendor == "postgresql":
        row = fetch(write.statement, params, then=ring)
    else:
        row = in_turn(write, params)
    if row is not None and ring is None:
        get_bell().ring("events", params["job"])
    return row


def in_turn(write: Write, params: dict[str, Any]) -> tuple[Any, ...] | None:
    """Do on SQLite what record() does, without the ring."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{write.update} RETURNING id, {write.select}", params)
        row = cursor.fetchone()
        if row is None:
            return None
        for insert in write.inserts:
            job = "WITH job AS (SELECT * FROM workflows_job WHERE id = %(id)s)"
            cursor.execute(f"{job} {insert}", {**params, "id": row[0]})
    return tuple(row[1:])
