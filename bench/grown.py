"""A database that has been in use for a year: a million finished jobs, with all their rows.

Rows that the engine itself has written are multiplied, so that they are as large as real ones and
have every column that there is. Only keys, owners and moments differ.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.site import Site

SESSION_JOBS = 10
USER_JOBS = 1000
YEAR = 365 * 86400
# An INSERT stands for so many jobs; so many of them run at a time.
SLICE = 50_000
HANDS = 2

# Every 25th job has failed; every second one of these was retried, by the job after it. Every 20th
# job is a later turn of the one before it.
EXAMPLE = "CASE WHEN number %% 25 = 0 THEN %(failed)s ELSE %(completed)s END"
RETRY = "number %% 50 = 26"
LATER_TURN = f"(number %% 20 = 5 OR {RETRY})"
JOB = "%(last_job)s + number"
# How many turns of its conversation came before it: a retry may be of a later turn itself.
EARLIER_TURNS = f"CASE WHEN number %% 100 = 26 THEN 2 WHEN {LATER_TURN} THEN 1 ELSE 0 END"
FIRST_TURN = f"{JOB} - {EARLIER_TURNS}"
SESSION = f"%(last_session)s + (number - 1) / {SESSION_JOBS} + 1"


def owner(size: int) -> str:
    """Return SQL for the owner of a row that stands for *size* jobs; the bench's own are newest."""
    group = f"(number - 1) * {size} / {USER_JOBS} + 1"
    return f"CASE WHEN {group} = %(users)s THEN %(user)s ELSE %(last_user)s + {group} END"


@dataclass(frozen=True, kw_only=True)
class Copies:
    """How the rows of a table are multiplied, each copy for a ``number``.

    Args:
        table: whose rows.
        example: which ``row`` a copy is like, as a condition.
        columns: the columns that differ, as SQL. Moments move into the past by themselves.
        size: how many jobs a copy stands for.
    """

    table: str
    example: str
    columns: dict[str, str]
    size: int = 1

    def insert(self, columns: list[tuple[str, str]]) -> str:
        """Return the INSERT for the numbers from ``first`` to ``last``."""
        values = {
            name: f"row.{name} - (%(jobs)s - number * {self.size}) * %(each)s * interval '1 second'"
            if kind == "timestamp with time zone"
            else f"row.{name}"
            for name, kind in columns
        } | self.columns
        return f"""
            INSERT INTO {self.table} ({", ".join(values)}) SELECT {", ".join(values.values())}
            FROM generate_series(%(first)s::bigint, %(last)s::bigint) number
            JOIN {self.table} row ON {self.example}
        """


def next_id(table: str) -> str:
    return f"nextval(pg_get_serial_sequence('{table}', 'id'))"


def make_copies(table: str, **columns: str) -> Copies:
    """The rows of a table that a job has several of."""
    columns = {"id": next_id(table), "job_id": JOB, **columns}
    return Copies(table=table, example=f"row.job_id = {EXAMPLE}", columns=columns)


USERS = Copies(
    table="auth_user",
    example="row.id = %(user)s AND number < %(users)s",
    columns={"id": "%(last_user)s + number", "username": "'user-' || number"},
    size=USER_JOBS,
)
SESSIONS = Copies(
    table="workflows_session",
    example="row.id = %(session)s",
    columns={
        "id": "%(last_session)s + number",
        "key": "'session-' || number",
        "user_id": owner(SESSION_JOBS),
    },
    size=SESSION_JOBS,
)
JOBS = Copies(
    table="workflows_job",
    example=f"row.id = {EXAMPLE}",
    columns={
        "id": JOB,
        "public_id": "'workflow_' || md5('job ' || number)",
        "user_id": owner(1),
        "session_id": SESSION,
        "root_id": f"CASE WHEN {LATER_TURN} THEN {FIRST_TURN} END",
        "retry_of_id": f"CASE WHEN {RETRY} THEN {JOB} - 1 END",
        "forgotten": "number %% 50 = 25",
    },
)
LEFT_BY_JOBS = (
    make_copies("workflows_event"),
    make_copies(
        "workflows_step",
        root_id=FIRST_TURN,
        occurrence=f"row.occurrence + {EARLIER_TURNS}",
    ),
    make_copies("workflows_message", session_id=SESSION),
)
TABLES = [copies.table for copies in (USERS, SESSIONS, JOBS, *LEFT_BY_JOBS)]

LAST_IDS = """
    SELECT (SELECT max(id) FROM auth_user) AS last_user,
           (SELECT max(id) FROM workflows_session) AS last_session,
           (SELECT max(id) FROM workflows_job) AS last_job
"""
COLUMNS = """
    SELECT column_name, data_type FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = %s
"""
# All but those of primary keys, on which the foreign keys depend.
INDEXES = """
    SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname),
           'ALTER TABLE ' || conrelid::regclass || ' ADD CONSTRAINT ' || quote_ident(conname)
           || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE contype = 'u' AND conrelid = ANY (%(tables)s::regclass[])
    UNION ALL
    SELECT 'DROP INDEX ' || indexrelid::regclass, pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indrelid = ANY (%(tables)s::regclass[])
    AND indexrelid NOT IN (SELECT conindid FROM pg_constraint WHERE contype IN ('p', 'u'))
"""


def fill(site: Site, jobs: int) -> None:
    """Give a site so many finished jobs of the past year.

    Each has ten events, four steps and two messages. They are in sessions of ten, of users with a
    thousand; the newest are the bench's own user's.
    """
    params = {"jobs": jobs, "each": YEAR / jobs, "users": -(-jobs // USER_JOBS)}
    params |= site.inside("examples")
    with connect(site) as connection:
        with connection.cursor(row_factory=dict_row) as cursor:
            params |= cursor.execute(LAST_IDS).fetchone() or {}
        with without_indexes(connection):
            for copies in (USERS, SESSIONS, JOBS, *LEFT_BY_JOBS):
                multiply(site, copies, params)
        for table in TABLES:
            sequence = f"pg_get_serial_sequence('{table}', 'id')"
            run(connection, f"SELECT setval({sequence}, (SELECT max(id) FROM {table}))")
        run(connection, f"VACUUM (ANALYZE) {', '.join(TABLES)}")
        # Else all of it is written to the disk while something is measured.
        run(connection, "CHECKPOINT")
        os.sync()


def connect(site: Site) -> psycopg.Connection:
    """Return a connection for which foreign keys are not checked."""
    options = "-c session_replication_role=replica -c maintenance_work_mem=512MB"
    return psycopg.connect(site.database_url, options=options, autocommit=True)


def run(connection: psycopg.Connection, statement: str, params: Any = None) -> psycopg.Cursor:
    return connection.execute(statement.encode(), params)


@contextmanager
def without_indexes(connection: psycopg.Connection) -> Iterator[None]:
    """Drop the indexes of the large tables and make them anew at the end, which is faster."""
    indexes = run(connection, INDEXES, {"tables": TABLES}).fetchall()
    for drop, _ in indexes:
        run(connection, drop)
    yield
    for _, make in indexes:
        run(connection, make)


def multiply(site: Site, copies: Copies, params: dict[str, Any]) -> None:
    with connect(site) as connection:
        columns = run(connection, COLUMNS, [copies.table]).fetchall()
    insert = copies.insert(columns)
    count = -(-params["jobs"] // copies.size)

    def insert_from(first: int) -> None:
        last = min(count, first + SLICE - 1)
        with connect(site) as connection:
            run(connection, insert, params | {"first": first, "last": last})

    with ThreadPoolExecutor(HANDS) as pool:
        # A failure in one of them comes out here.
        list(pool.map(insert_from, range(1, count + 1, SLICE)))
