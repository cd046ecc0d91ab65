"""Storing a job: in an idle session it and its message take one statement, else several."""

import functools
from datetime import timedelta
from itertools import count
from typing import Any, cast

from chatflow.conf import conf
from chatflow.workflows.bells import get_bell, user_key
from chatflow.workflows.db import connection
from chatflow.workflows.models import Job, Message, Session
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle import next_turn, turn_params
from chatflow.workflows.store.rows import columns, expression, from_row, key_of, parameters

_rings = count(1)

# The columns that a start decides; the others are the same in every new job.
START_COLUMNS = (
    "public_id",
    "user_id",
    "tenant",
    "workflow",
    "explicit",
    "text",
    "options",
    "input",
    "mode",
    "queue",
    "priority",
    "is_async",
    "inline",
    "unique_key",
    "idempotency_key",
    "body_hash",
)
# A statement sees the rows of the moment at which it began; only the row that it locks is the
# newest. If somebody has touched the session in between, as everybody does who stores a message,
# then this one sees an outdated state of its jobs: it stores nothing.
STORE = """
    WITH seen AS (
        SELECT xmin AS version FROM workflows_session
        WHERE user_id = %(user_id)s AND tenant = %(tenant)s AND key = %(key)s
    ), session AS (
        INSERT INTO workflows_session AS found
            (user_id, tenant, key, created_at, updated_at, changed)
        VALUES (%(user_id)s, %(tenant)s, %(key)s, {now}, {now}, {changed})
        ON CONFLICT (user_id, tenant, key) DO UPDATE
        SET updated_at = excluded.updated_at, changed = excluded.changed, unread = false
        WHERE found.xmin = (SELECT version FROM seen) AND found.open_job_id IS NULL
          AND NOT EXISTS (
              SELECT 1 FROM workflows_job other
              WHERE other.session_id = found.id AND other.state IN ('queued', 'processing')
          )
        RETURNING *
    ), job AS (
        INSERT INTO workflows_job ({columns}) SELECT {values} FROM session RETURNING *
    ), message AS (
        INSERT INTO workflows_message
            (session_id, job_id, role, content, actions, sources, remembered, created_at)
        SELECT session_id, id, '{role}', text, '[]', '[]', true, created_at
        FROM job WHERE %(remembered)s
    )
    SELECT job.id, job.lease_until, job.turn, {session} FROM job, session
"""


def store_in_idle_session(job: Job, key: str) -> bool:
    """Store a new job, its message and perhaps its session, and ring.

    Only for a database that has_row_versions.

    Args:
        job: complete but for its session, which isn't set yet.
        key: the user's name for the session.

    Returns:
        Whether it was stored: not if the session has a job under way or an open question, or gets
        another message at this very moment.

    Raises:
        IntegrityError: there is a job with its idempotency key or its unique key.
    """
    database = get_database()
    params = parameters(job, START_COLUMNS)
    params |= {"key": key, "remembered": bool(job.options.get("memory", True))}
    # Numbered, as PostgreSQL delivers equal notifications of a transaction only once.
    bell, watched = get_bell(), ("sessions", user_key(job.user_id))
    then, keys = bell.statements((job.topic, next(_rings)), watched)
    statement = _compose_store(conf.WORKFLOW_LEASE_SECONDS)
    row = database.fetch(statement, params | keys, then=then)
    if row is None:
        return False
    values = iter(row)
    job.pk, job.lease_until, job.turn = next(values), next(values), next(values)
    job.session = from_row(Session, values)
    job.created_at = job.updated_at = job.available_at = job.session.updated_at
    job._state.adding = False
    job._state.db = connection.alias
    if then is None:
        bell.ring_each((job.topic, job.pk), watched)
    return True


@functools.cache
def _compose_store(lease_seconds: float) -> str:
    database = get_database()
    values = {name: f"%({name})s" for name in START_COLUMNS}
    values |= {
        "session_id": "session.id",
        "turn": next_turn(),
        "lease_until": f"CASE WHEN %(inline)s THEN {database.now(lease_seconds)} END",
        **dict.fromkeys(("available_at", "created_at", "updated_at"), "session.updated_at"),
    }
    new, operations = Job(), cast(Any, connection.ops)
    for field in Job._meta.concrete_fields:
        if not field.primary_key and field.attname not in values:
            value = field.get_db_prep_save(getattr(new, field.attname), connection)
            values[field.attname] = operations.compose_sql("%s", [value])
    return STORE.format(
        now=database.now(),
        changed=database.changed("%(user_id)s"),
        columns=", ".join(values),
        values=", ".join(values.values()),
        role=Message.Role.USER,
        session=columns(Session, "session"),
    )


def insert(job: Job, session: Session) -> None:
    """Store a job in the queue; its times are the database's, taken from the session's row."""
    job.created_at = job.updated_at = job.available_at = session.updated_at
    if job.inline:
        # Until it is claimed, this tells whether its web process still lives.
        job.lease_until = session.updated_at + timedelta(seconds=conf.WORKFLOW_LEASE_SECONDS)
    job.turn = expression(next_turn(), turn_params(job))
    job.save(force_insert=True)
    # The database knows it; whoever wants to know it too asks.
    del job.turn


def lock_or_create_session(user: Any, tenant: str, key: str) -> Session:
    """Return the user's session, locked: two messages to one session are stored one by one.

    Args:
        user: whose it is.
        tenant: the organisation for which they act; empty for none.
        key: their name for it.
    """
    database = get_database()
    now, params = database.now(), {"user": key_of(user), "tenant": tenant, "key": key}
    touched = f"""
        INSERT INTO workflows_session (user_id, tenant, key, created_at, updated_at, changed)
        VALUES (%(user)s, %(tenant)s, %(key)s, {now}, {now}, {database.changed("%(user)s")})
        ON CONFLICT (user_id, tenant, key) DO UPDATE
        SET updated_at = excluded.updated_at, changed = excluded.changed, unread = {database.false}
        RETURNING *
    """
    session: Session = Session.objects.raw(touched, params)[0]
    return session
