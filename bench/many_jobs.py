"""A million jobs without their events, in any database: what the operator's list is measured on."""

import json
from typing import Any

from django.db import connection

from chatflow.workflows.models import Job

USERS, PER_SESSION = 1000, 10
YEAR = 365 * 86400
# A word that is in none but the oldest job.
RARE = "zebra"

LIST = "/admin/chatflow_workflows/job/"
# What an operator looks for: where many match, where few do, and where none does.
QUERIES: dict[str, dict[str, Any]] = {
    "all": {},
    "the middle of all": {"before": "500000"},
    "running: none": {"state": "processing"},
    "waiting": {"state": "queued"},
    "failed": {"state": ["failed", "timeout"]},
    "done": {"state": "completed"},
    "waiting for the user: none": {"state": "asks"},
    "list of failures": {"failures": "1"},
    "workflow": {"workflow": "bench_turn"},
    "workflow that is gone": {"workflow": "gone"},
    "queue": {"queue": "mail"},
    "queue that is gone": {"queue": "gone"},
    "user with half of all": {"user": "bench"},
    "user with 500": {"user": "user-500"},
    "cost": {"cost": "0.05"},
    "cost that none has": {"cost": "5"},
    "attempts": {"attempts": "2"},
    "attempts that none has": {"attempts": "9"},
    "feedback: none": {"feedback": "up"},
    "last 24 hours": {"when": "24h"},
    "two days of last winter": {"since": "2026-01-10", "until": "2026-01-11"},
    "organisation that is gone": {"tenant": "gone"},
    "search: id": {"q": "workflow_abc"},
    "search: session": {"q": "session-777"},
    "search: user": {"q": "bench"},
    "search: frequent word": {"q": "customer"},
    "search: rare words": {"q": f"{RARE} mine"},
    "search: rare words of the user with half": {"q": RARE, "user": "bench"},
    "five filters": {
        "user": "bench",
        "state": "failed",
        "cost": "0.09",
        "workflow": "bench_noop",
        "when": "30d",
    },
}
PREVIEWS: dict[str, dict[str, Any]] = {
    "preview: all": {},
    "preview: failed": {"state": "failed"},
    "preview: queue": {"queue": "mail"},
    "preview: user with 500": {"user": "user-500"},
    "preview: rare words": {"q": RARE},
}

NUMBERS = {
    "postgresql": "SELECT number FROM generate_series(%s::bigint, %s::bigint) number",
    "sqlite": """
        WITH RECURSIVE numbers(number) AS (
            SELECT %s UNION ALL SELECT number + 1 FROM numbers WHERE number < %s
        ) SELECT number FROM numbers
    """,
}
# Moments move into the past with the number.
PAST = {
    "postgresql": "now() - ({jobs} - number) * {each} * interval '1 second'",
    "sqlite": "datetime('now', '-' || CAST(({jobs} - number) * {each} AS integer) || ' seconds')",
}
STATE = """
    CASE WHEN number % 500 = 7 THEN 'cancelled' WHEN number % 200 = 3 THEN 'timeout'
         WHEN number % 25 = 0 THEN 'failed' ELSE 'completed' END
"""
USAGE = """
    CASE WHEN number % 3 = 0
    THEN '{"requests": 1, "input_tokens": 812, "output_tokens": 240, "cost_usd": 0.0'
         || (number % 90 + 10) || '}'
    ELSE '{}' END
"""
TEXT = f"""
    CASE WHEN number = 1 THEN 'Have you seen a {RARE} of mine?'
    ELSE 'Please look up order ' || number || ' of customer ' || (number % 997)
         || ', tell me when it will be here, and write to them if it is late.' END
"""
SLICE = 100_000


def fill(user: int, jobs: int) -> None:
    """Store so many jobs of the past year.

    Every 25th has failed, every 200th timed out; the newest hundred wait. They are in sessions of
    ten, of a thousand users; but every second one is of the one *user*.
    """
    vendor = connection.vendor
    kind = "::jsonb" if vendor == "postgresql" else ""
    past = PAST[vendor].format(jobs=jobs, each=YEAR / jobs)
    _fill_users_and_sessions(user, jobs)
    columns: dict[str, str] = {
        "id": "number",
        "public_id": "'workflow_' || "
        + ("md5('job ' || number)" if kind else "lower(hex(randomblob(16)))"),
        "user_id": f"CASE WHEN number % 2 = 0 THEN {user} ELSE {user} + 1 + number % {USERS} END",
        "session_id": f"number / {PER_SESSION} + 1",
        "workflow": "CASE WHEN number % 10 = 1 THEN 'bench_turn' ELSE 'bench_noop' END",
        "text": TEXT,
        "state": f"CASE WHEN number > {jobs - 100} THEN 'queued' ELSE {STATE} END",
        "queue": "CASE WHEN number % 1000 = 1 THEN 'mail' ELSE 'default' END",
        "attempt": "CASE WHEN number % 300 = 2 THEN 2 ELSE 1 END",
        "usage": f"({USAGE}){kind}",
        "error": f"CASE WHEN {STATE} = 'failed' THEN 'The shop did not answer.' ELSE '' END",
        "response": "'It will be there on Monday. ' || 'I wrote to the customer about it. '"
        " || 'Is there anything else that I can do for you?'",
        "forgotten": "number % 2 = 0" if kind else "number % 2",
        **dict.fromkeys(("created_at", "updated_at", "available_at", "started_at"), past),
        "finished_at": f"CASE WHEN number > {jobs - 100} THEN NULL ELSE {past} END",
    }
    values = _defaults() | columns
    with connection.cursor() as cursor:
        indexes = _drop_indexes(cursor)
        for first in range(1, jobs + 1, SLICE):
            _insert(cursor, "workflows_job", values, first, min(jobs, first + SLICE - 1))
        for make in indexes:
            cursor.execute(make)
        if kind:
            cursor.execute("VACUUM (ANALYZE) workflows_job, workflows_session, auth_user")
        else:
            cursor.execute("ANALYZE")


def _fill_users_and_sessions(user: int, jobs: int) -> None:
    now = PAST[connection.vendor].format(jobs=0, each=0)
    flag = {"postgresql": ("true", "false")}.get(connection.vendor, ("1", "0"))
    with connection.cursor() as cursor:
        people = {
            "id": f"{user} + number",
            "username": "'user-' || number",
            **dict.fromkeys(("password", "first_name", "last_name", "email"), "''"),
            **dict.fromkeys(("is_superuser", "is_staff"), flag[1]),
            "is_active": flag[0],
            "date_joined": now,
        }
        _insert(cursor, "auth_user", people, 1, USERS + 1)
        sessions = {
            "id": "number",
            "user_id": f"{user} + number % {USERS}",
            "key": "'session-' || number",
            "tenant": "''",
            **dict.fromkeys(("created_at", "updated_at"), now),
        }
        _insert(cursor, "workflows_session", sessions, 1, jobs // PER_SESSION + 1)


def _insert(cursor: Any, table: str, values: dict[str, str], first: int, last: int) -> None:
    escaped = [value.replace("%", "%%") for value in values.values()]
    numbers = NUMBERS[connection.vendor]
    cursor.execute(
        f"INSERT INTO {table} ({', '.join(values)}) "
        f"SELECT {', '.join(escaped)} FROM ({numbers}) numbers",
        [first, last],
    )


def _defaults() -> dict[str, str]:
    """Return the columns of a job as a new one has them, as literals."""
    new, found = Job(mode="async"), dict[str, str]()
    for field in Job._meta.concrete_fields:
        assert field.column is not None
        value = field.get_db_prep_save(getattr(new, field.attname), connection)
        if isinstance(value, bool) and connection.vendor == "postgresql":
            found[field.column] = str(value).lower()
        elif isinstance(value, int | float):
            found[field.column] = str(value + 0)
        elif isinstance(value, str):
            found[field.column] = f"'{value}'"
        elif hasattr(value, "obj"):
            # PostgreSQL's adapter of JSON: a list, or an object.
            found[field.column] = f"'{json.dumps(value.obj)}'::jsonb"
    return found


def _drop_indexes(cursor: Any) -> list[str]:
    """Drop what makes inserts slow; return how it is made anew."""
    if connection.vendor == "postgresql":
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'workflows_job' "
            "AND indexname LIKE 'job_%%' AND indexdef NOT LIKE '%%UNIQUE%%'"
        )
    else:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
            "AND tbl_name = 'workflows_job' AND sql NOT LIKE '%%UNIQUE%%'"
        )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    return [make for _, make in found]
