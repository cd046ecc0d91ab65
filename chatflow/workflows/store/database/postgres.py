"""PostgreSQL: each write is one statement, in one message with the ring after its commit."""

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from chatflow.workflows.db import connection
from chatflow.workflows.store.database import prepared
from chatflow.workflows.store.database.base import (
    Database,
    Fault,
    JobCursor,
    JointWrite,
    Row,
    Write,
)

# SQLSTATE classes and codes (the manual's appendix A): connection exceptions; the operator's
# intervention, such as a shutdown, a crash, a start that isn't over or a terminated backend; no
# disk or connections left; errors of the system; a standby that is read-only still; and a
# transaction that was ended with its connection because it idled or took too long.
READ_ONLY = "25006"
AWAY = ("08", "57P", "53000", "53100", "53300", "58000", "58030", READ_ONLY, "25P03", "25P04")
# A conflict of serializable transactions, a deadlock, a lock that wasn't had in time, a statement
# that was cancelled because it took too long or found no memory.
CONFLICTS = ("40001", "40P01", "55P03", "57014", "53200")
# No connection was to be had, says a pooler in front of the server.
NOT_CONNECTED = ("53300", "57P03")

WRITABLE = "current_setting('transaction_read_only') = 'off'"
# Some connection of this host's is older than a moment. Other hosts may have kept theirs when the
# network failed this one.
OTHERS_STAYED = f"""
    SELECT {WRITABLE} AND EXISTS (
        SELECT 1 FROM pg_stat_activity
        WHERE datname = current_database() AND usename = current_user
          AND client_addr IS NOT DISTINCT FROM inet_client_addr() AND backend_start < %(since)s
    )
"""

# SKIP LOCKED: an atomic step holds the row of its job for as long as it takes.
WRITE_JOINTLY = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(given)s::jsonb)
            AS given(job bigint, attempt integer, data jsonb)
    ), held AS (
        SELECT mine.id FROM given JOIN workflows_job mine
        ON mine.id = given.job AND mine.attempt = given.attempt AND mine.state = 'processing'
        FOR UPDATE OF mine SKIP LOCKED
    ), job AS (
        {update} FROM held WHERE workflows_job.id = held.id RETURNING workflows_job.*
    ), added AS (
        {insert}
    )
    SELECT id, last_seq FROM job
"""
CERTAIN = """
    SELECT pg_snapshot_xmin(now)::text::bigint - 1, pg_snapshot_xmax(now)::text::bigint
    FROM pg_current_snapshot() AS now
"""
LOCK_SESSION = """
    SELECT id AS session, xmin AS version FROM workflows_session WHERE id = %(session)s FOR UPDATE
"""


class Postgres(Database):
    true, false = "true", "false"
    greatest = "greatest"
    # Who only stores what refers to a job, such as an event, keeps nobody from it.
    skip_locked = " FOR NO KEY UPDATE SKIP LOCKED"
    locks_rows = True
    has_row_versions = True
    session_touched = """
        (SELECT version FROM locked) <> (SELECT xmin FROM workflows_session WHERE id = %(session)s)
    """

    def now(self, offset: float = 0) -> str:
        return f"(statement_timestamp() + interval '{offset:f} seconds')"

    def changed(self, user: str) -> str:
        # The transaction's own: whoever starts later has a higher one, even if it commits first.
        return "pg_current_xact_id()::text::bigint"

    def certain(self, user: str) -> str:
        return CERTAIN

    def read_clock(self, connection: BaseDatabaseWrapper) -> datetime:
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement_timestamp()")
            return cast(datetime, cursor.fetchone()[0])

    def seconds_since(self, column: str, upto: str = "") -> str:
        end = f"least(statement_timestamp(), {upto})" if upto else "statement_timestamp()"
        return f"extract(epoch from {end} - {column})"

    def json(self, name: str) -> str:
        return f"%({name})s::jsonb"

    def json_with(self, data: str, key: str, column: str) -> str:
        return f"{data} || jsonb_build_object('{key}', {column})"

    def number(self, column: str, key: str) -> str:
        return f"CAST({column} ->> '{key}' AS double precision)"

    def places(self, places: Iterable[JobCursor]) -> tuple[str, dict[str, str]]:
        jobs, seqs = (f"{{{','.join(map(str, column))}}}" for column in zip(*places, strict=True))
        query = "SELECT * FROM unnest(%(jobs)s::bigint[], %(seqs)s::bigint[])"
        return query, {"jobs": jobs, "seqs": seqs}

    def fetch_all(self, sql: str, params: dict[str, Any], *, then: str | None = None) -> list[Row]:
        return prepared.fetch_all(sql, params, then=then)

    def fetch_unsynced(self, sql: str, params: dict[str, Any]) -> Row | None:
        if prepared.in_transaction():
            return super().fetch_unsynced(sql, params)
        with prepared.cursor_for_messages() as cursor:
            # One message is one transaction.
            cursor.execute(f"SET LOCAL synchronous_commit = off; {sql}", params)
            cursor.nextset()
            return cast(Row | None, cursor.fetchone())

    def write(self, write: Write, params: dict[str, Any], *, then: str | None = None) -> Row | None:
        return self.fetch(compose(write), params, then=then)

    def write_again(
        self, write: Write, params: dict[str, Any], *, first: str | None = None
    ) -> Row | None:
        return prepared.fetch_again(compose(write), params, first=first)

    def write_jointly(
        self, write: JointWrite, params: dict[str, Any], *, then: str | None = None
    ) -> list[Row]:
        return self.fetch_all(compose_jointly(write), params, then=then)

    def limit_lock_waits(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {seconds * 1000:.0f}")

    def fault(self, error: BaseException) -> Fault:
        if not isinstance(error, DatabaseError | InterfaceError) or error.__cause__ is None:
            return Fault.REFUSAL
        state = _get_state(error)
        if state is None:
            # PostgreSQL gives a state with all that it refuses. A connection that broke has none,
            # nor has psycopg's own refusal of values that it can't send.
            lost = isinstance(error, OperationalError | InterfaceError)
            return Fault.AWAY if lost else Fault.REFUSAL
        if state.startswith(AWAY):
            return Fault.AWAY
        return Fault.CONFLICT if state in CONFLICTS else Fault.REFUSAL

    def refuses_writes(self, error: BaseException) -> bool:
        return _get_state(error) == READ_ONLY

    def takes_writes(self) -> bool:
        return _ask(f"SELECT {WRITABLE}", {})

    def stayed(self, error: BaseException, since: datetime) -> bool:
        return not _was_connecting(error) and _ask(OTHERS_STAYED, {"since": since})

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        # Claims and fences rely on each statement seeing all commits before it.
        with connection.cursor() as cursor:
            cursor.execute(
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"
            )


def _ask(query: str, params: dict[str, Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return bool(cursor.fetchone()[0])


def _was_connecting(error: BaseException) -> bool:
    """Say whether no connection was to be had, rather than that one broke."""
    cause = error.__cause__
    # psycopg tells no state of a connection that the server refused.
    refused = isinstance(cause, psycopg.Error) and cause.pgconn is not None
    late = isinstance(cause, psycopg.errors.ConnectionTimeout)
    return refused or late or _get_state(error) in NOT_CONNECTED


def _get_state(error: BaseException) -> str | None:
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state


@functools.cache
def compose_jointly(write: JointWrite) -> str:
    """Return all of a joint write in one statement."""
    return WRITE_JOINTLY.format(update=write.update, insert=write.insert)


@functools.cache
def compose(write: Write) -> str:
    """Return all of a write in one statement."""
    parts = [f"locked AS ({LOCK_SESSION})"] if write.locks_session else []
    # In this order: the session is locked before the job, as everywhere.
    source = "FROM locked WHERE session_id = locked.session AND" if parts else "WHERE"
    parts.append(f"job AS ({write.update} {source} {write.where} RETURNING workflows_job.*)")
    parts += [f"part{number} AS ({insert})" for number, insert in enumerate(write.inserts)]
    return f"WITH {', '.join(parts)} SELECT {write.select} FROM job"
