"""Leases: a running attempt renews its own, and may give its job back before it runs out."""

from collections.abc import Iterable
from typing import NamedTuple

from chatflow.conf import conf
from chatflow.workflows.bells import get_bell
from chatflow.workflows.db import atomic, connection
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import Job
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle.endings import cancelled, end
from chatflow.workflows.store.lifecycle.locks import lock_session
from chatflow.workflows.store.lifecycle.turns import AHEAD, next_turn, turn_params

GIVE_BACK = """
    UPDATE workflows_job
    SET state = 'queued', inline = %(inline)s,
        lease_until = CASE WHEN %(inline)s THEN {lease} ELSE NULL END,
        worker = '', host = '', pid = NULL,
        lost = lost + %(lost)s, failures = failures + %(failures)s, ran_for = ran_for + {ran},
        claimed_at = NULL, available_at = {later}, updated_at = {now},
        turn = {turn}
    WHERE id = %(job)s AND attempt = %(attempt)s AND state = 'processing'
"""
RENEW = """
    UPDATE workflows_job SET lease_until = {lease}
    WHERE id IN (SELECT id FROM ({held}{skip_locked}) held)
    RETURNING id
"""
HELD = """
    SELECT id, cancel_code FROM workflows_job WHERE state = 'processing' AND ({attempts})
"""


class Held(NamedTuple):
    """The jobs that attempts still hold.

    Args:
        codes: by the job's primary key, the code with which it was cancelled, or an empty string.
        locked: the primary keys of those whose lease could not be renewed, as somebody has locked
            their rows.
    """

    codes: dict[int, str]
    locked: frozenset[int] = frozenset()


def renew(attempts: Iterable[tuple[int, int]]) -> Held:
    """Renew the leases of running attempts, but of those whose rows are locked just now.

    Args:
        attempts: pairs of a job's primary key and the attempt that holds it.
    """
    pairs = list(attempts)
    codes = held(pairs).codes
    if not codes:
        return Held(codes)
    database = get_database()
    # An atomic step that has appended an event holds its job's row until it commits. It isn't
    # waited for, and reap() leaves its job alone as well.
    lease = database.now(conf.WORKFLOW_LEASE_SECONDS)
    with connection.cursor() as cursor:
        query = RENEW.format(lease=lease, held=_held(pairs), skip_locked=database.skip_locked)
        cursor.execute(query, [])
        renewed = {job for (job,) in cursor.fetchall()}
    # One that has ended since it was read is taken for locked: the next look finds out.
    return Held(codes, frozenset(codes.keys() - renewed))


def held(attempts: Iterable[tuple[int, int]]) -> Held:
    """Return the same as renew(), without renewing."""
    pairs = list(attempts)
    if not pairs:
        return Held({})
    with connection.cursor() as cursor:
        cursor.execute(_held(pairs), [])
        return Held(dict(cursor.fetchall()))


def _held(pairs: list[tuple[int, int]]) -> str:
    """Return the query for the jobs that these attempts hold.

    Their numbers stand in it: psycopg takes longer to put hundreds of parameters into a statement
    than PostgreSQL to run it.
    """
    attempts = " OR ".join(f"(id = {job:d} AND attempt = {attempt:d})" for job, attempt in pairs)
    return HELD.format(attempts=attempts)


def give_back(
    job: Job,
    *,
    delay: float = 0,
    lost: int = 0,
    failures: int = 0,
    inline: bool = False,
    anew: bool = False,
) -> None:
    """Put a running job back into the queue, for another attempt; it has had its turn, and is next.

    Args:
        job: with the attempt that gives it back.
        delay: seconds before it may be claimed again.
        lost: 1 if the attempt's worker was lost.
        failures: 1 if the attempt raised.
        inline: the web process that ran it lives, and tries again itself.
        anew: it is another queue now, where it has not had a turn yet.

    Raises:
        Fenced: the attempt doesn't hold the job any more.
    """
    database = get_database()
    statement = GIVE_BACK.format(
        now=database.now(),
        later=database.now(delay),
        # A web process that waits out the delay renews no lease meanwhile.
        lease=database.now(delay + conf.WORKFLOW_LEASE_SECONDS),
        # Whoever had it was dead by then, if not before: a night without power is no work.
        ran=database.seconds_since("claimed_at", upto="lease_until"),
        turn=next_turn() if anew else AHEAD,
    )
    params = {
        **turn_params(job),
        "job": job.pk,
        "attempt": job.attempt,
        "lost": lost,
        "failures": failures,
        "inline": inline,
    }
    with atomic(), connection.cursor() as cursor:
        lock_session(job)
        cursor.execute(statement, params)
        if cursor.rowcount != 1:
            raise Fenced
        waiting = Job.objects.get(pk=job.pk)
        if waiting.cancel_code:
            # There will be no other attempt to obey the cancel.
            end(waiting, cancelled(waiting.cancel_code))
        get_bell().ring("due" if delay else job.topic, job.pk)
