"""A million jobs without their events, in any database: what the operator's list is measured on."""

from typing import Any

from django.contrib.auth.models import User

from bench.rows import ago, as_json, make, public_id
from chatflow.workflows.models import Job, Message, Session

USERS, PER_SESSION = 1000, 10
# The newest jobs wait. The ones before them ended lately, 100 in each minute; the others in a year.
WAITING, LATELY, EACH = 1000, 20_000, 0.6
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
ANSWER = (
    "It will be there on Monday. I wrote to the customer about it. "
    "Is there anything else that I can do for you?"
)


def fill(user: int, jobs: int) -> None:
    """Store so many jobs of the past year, with their messages.

    Every 25th has failed, every 200th timed out; the newest thousand wait. They are in sessions of
    ten, of a thousand users; but every second session is of the one *user*.
    """
    sent, waits = moments(jobs), f"number > {jobs - WAITING}"
    people = User(username="", is_active=True)
    make(people, USERS, {"id": f"{user} + number", "username": "'user-' || number"})
    of_session = {
        "id": "number",
        "user_id": owner(user, "number"),
        "key": "'session-' || number",
        **dict.fromkeys(("created_at", "updated_at"), moments(jobs, f"number * {PER_SESSION}")),
    }
    make(Session(), jobs // PER_SESSION + 1, of_session)
    of_job = {
        "id": "number",
        "public_id": public_id("workflow"),
        "user_id": owner(user, f"(number / {PER_SESSION} + 1)"),
        "session_id": f"number / {PER_SESSION} + 1",
        "workflow": "CASE WHEN number % 10 = 1 THEN 'bench_turn' ELSE 'bench_noop' END",
        "text": TEXT,
        "state": f"CASE WHEN {waits} THEN 'queued' ELSE {STATE} END",
        "queue": "CASE WHEN number % 1000 = 1 THEN 'mail' ELSE 'default' END",
        "attempt": "CASE WHEN number % 300 = 2 THEN 2 ELSE 1 END",
        "usage": as_json(USAGE),
        "error": f"CASE WHEN {STATE} = 'failed' THEN 'The shop did not answer.' ELSE '' END",
        "forgotten": "(number % 2 = 0)",
        **dict.fromkeys(("created_at", "updated_at", "available_at"), sent),
        **dict.fromkeys(("started_at", "finished_at"), f"CASE WHEN NOT {waits} THEN {sent} END"),
    }
    make(Job(mode="async", response=ANSWER), jobs, of_job)
    # Two of each job: what was asked, and the answer.
    of_message = {
        "id": "number",
        "job_id": "((number + 1) / 2)",
        "session_id": f"((number + 1) / 2 / {PER_SESSION} + 1)",
        "role": "CASE WHEN number % 2 = 1 THEN 'user' ELSE 'assistant' END",
        "content": f"CASE WHEN number % 2 = 1 THEN 'Please look up my order.' ELSE '{ANSWER}' END",
        "created_at": moments(jobs, "((number + 1) / 2)"),
    }
    make(Message(), 2 * jobs, of_message)


def owner(user: int, session: str) -> str:
    """Return SQL for whose a session is."""
    other = f"{user} + 1 + {session} / 2 % {USERS}"
    return f"CASE WHEN {session} % 2 = 0 THEN {user} ELSE {other} END"


def moments(jobs: int, number: str = "number") -> str:
    """Return SQL for when a job was sent."""
    left = f"({jobs} - ({number}))"
    long_ago = f"{LATELY * EACH} + ({left} - {LATELY}) * {YEAR / jobs}"
    return ago(f"CASE WHEN {left} < {LATELY} THEN {left} * {EACH} ELSE {long_ago} END")
