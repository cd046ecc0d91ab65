"""The only writer of events."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from chatflow.conf import conf
from chatflow.workflows.bells import Ring, get_bell
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.store.database import JointWrite, Row, Write, get_database

MESSAGE_LENGTH = 500

# The number comes from the job's own row, under its lock: numbers are gapless and in commit order.
# The attempt in the WHERE clause is the fence: a worker that lost its job updates no row.
ADVANCE = """
    UPDATE workflows_job
    SET last_seq = last_seq + 1,
        progress = {greatest}(progress, %(progress)s),
        progress_message = CASE WHEN {message} = '' THEN progress_message ELSE {message} END,
        updated_at = {now}{renewal}
"""
# A transaction that has appended an event, such as an atomic step's, keeps the heartbeat from the
# job's row. If it takes long, the lease would have run out by its commit, and the job would be
# taken from a living worker before the next heartbeat. So its last event renews the lease. While
# heartbeats come, more than half of it is left, and the index of leases stays as it is.
RENEWAL = """,
        lease_until = CASE WHEN lease_until < {half} THEN {lease} ELSE lease_until END
"""
MINE = "id = %(job)s AND attempt = %(attempt)s AND state = 'processing'"
# The inserts of a Write read the updated row of the job, under the name job.
INSERT = """
    INSERT INTO workflows_event (job_id, seq, type, progress, message, data, attempt, created_at)
    SELECT id, last_seq, {type}, progress, progress_message, {data}, attempt, updated_at FROM job
"""
ADVANCE_ALL = "UPDATE workflows_job SET last_seq = last_seq + 1,"
ADD_WORDS = """
    INSERT INTO workflows_event (job_id, seq, type, progress, message, data, attempt, created_at)
    SELECT id, last_seq, 'delta', progress, progress_message, given.data, job.attempt, updated_at
    FROM job JOIN given ON given.job = job.id
"""


def sql_text(name: str) -> str:
    """Return the SQL expression for the parameter *name*, a text that is used in several places."""
    return f"CAST(%({name})s AS text)"


def event(data: str) -> str:
    """Return the INSERT of the event ``type``, numbered by the job's updated row.

    Args:
        data: the SQL expression of its data.
    """
    return INSERT.format(type=sql_text("type"), data=data)


def clean(value: Any) -> Any:
    """Return *value* without what PostgreSQL can't store: NUL and surrogates.

    A pair of surrogates is the character that JSON escapes so.
    """
    if isinstance(value, str):
        joined = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return joined.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
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
    """Append an event to a running job and move its progress on, in one transaction; and ring.

    Args:
        job_id: the job's primary key.
        attempt: the attempt that appends it.
        type: one of ``Event.Type``.
        progress: percent; the job's progress never goes back.
        message: what the job is doing; empty to leave it as it was.
        data: the rest of the event; JSON.

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
    row = write_and_ring(_make_append(conf.WORKFLOW_LEASE_SECONDS), params)
    if row is None:
        raise Fenced
    return int(row[0])


@functools.cache
def _make_append(lease: float) -> Write:
    database = get_database()
    # Where one writer has the whole database, nobody can look for leases meanwhile.
    renewal = RENEWAL if database.locks_rows else ""
    update = ADVANCE.format(
        greatest=database.greatest,
        now=database.now(),
        message=sql_text("message"),
        renewal=renewal.format(half=database.now(lease / 2), lease=database.now(lease)),
    )
    return Write(update, MINE, (event(database.json("data")),), select="last_seq")


def append_words(words: Sequence[tuple[int, int, str]]) -> dict[int, int]:
    """Append more words to the responses of many running jobs, in one transaction; and ring.

    Args:
        words: for each of the jobs its primary key, the attempt that appends, and the words.

    Returns:
        The ``seq`` of each event, by the job's primary key. A job is missing where the attempt
        doesn't own it any more, or somebody has locked it just now: then nothing was appended.
    """
    given = [
        {"job": job, "attempt": attempt, "data": {"delta": clean(text)}}
        for job, attempt, text in words
    ]
    bell = get_bell()
    then, keys = bell.statements(*(("events", job) for job, _, _ in words))
    params = {"given": json.dumps(given), **keys}
    rows = get_database().write_jointly(_make_joint(), params, then=then)
    if then is None:
        for job, _ in rows:
            bell.ring("events", job)
    return dict(rows)


@functools.cache
def _make_joint() -> JointWrite:
    now = get_database().now()
    return JointWrite(f"{ADVANCE_ALL} updated_at = {now}", ADD_WORDS)


def write_and_ring(write: Write, params: dict[str, Any], *rings: Ring) -> Row | None:
    """Write, all or nothing, and ring.

    Args:
        write: the update and its inserts.
        params: of all its statements; ``job`` is the job's primary key.
        rings: the topics and keys to ring for beside the job's events.

    Returns:
        The row that it selects; None, with nothing written, if no row was updated.
    """
    bell = get_bell()
    rings = (("events", params["job"]), *rings)
    then, keys = bell.statements(*rings)
    row = get_database().write(write, params | keys, then=then)
    if row is not None and then is None:
        bell.ring_each(*rings)
    return row
