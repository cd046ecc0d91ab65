"""A job's life: claim, renew, give back, reap, finish. Nothing else changes a job's state.

Each transition names the state and the attempt that it starts from, in the UPDATE itself or in the
lock before it: who finds no row has lost the race and does nothing more. Leases and delays go by
the database's clock.
"""

import json
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from workflows.bells import Bell, get_bell
from workflows.exceptions import Fenced
from workflows.models import ACTIVE, Cluster, Event, Job, Session, State
from workflows.store import events
from workflows.store.clock import sql_now, sql_seconds_since
from workflows.store.events import Write
from workflows.store.prepared import Row, fetch, fetch_again
from workflows.store.rows import columns, from_row

CANCELLED = "The request was cancelled."
INTERRUPTED = "A newer message took the place of this one."
TIMED_OUT = "The request ran longer than {limit:g} seconds and was stopped."
WORKER_LOST = "The worker was lost too often while it worked on this request."
WEB_PROCESS_LOST = "The server stopped while it worked on this request. Please try again."

# This machine, as the jobs name it that it works on.
HOST = socket.gethostname()
# A cluster that hasn't been seen for so long is taken for dead.
CLUSTER_SEEN = timedelta(seconds=15)

# The attempt's first event belongs to the claim.
TAKE = """
    UPDATE workflows_job
    SET state = 'processing', attempt = attempt + 1, lease_until = {lease}, host = %(host)s,
        pid = %(pid)s, claimed_at = {now}, started_at = coalesce(started_at, {now}),
        last_seq = last_seq + 1, updated_at = {now},
        progress_message = CASE WHEN attempt = 0 THEN 'Starting...' ELSE 'Resuming...' END
"""
# A session's jobs run one at a time and in order: a job that runs, or waits in front, bars the way.
# PostgreSQL's statistics are mostly of an empty queue. After a burst it would go by them, compare
# every waiting job with every other one, and sort them all, for each claim. OFFSET keeps it from
# joining, IS TRUE from looking available_at up; and that a job is queued is said in the words of
# job_next, which it knows no statistics for: so it walks that index to the first job that is free.
FREE = """
    CASE WHEN state = 'queued' THEN {true} ELSE {false} END
    AND (available_at <= {now}) IS TRUE
    AND NOT EXISTS (
        SELECT 1 FROM workflows_job other
        WHERE other.session_id = workflows_job.session_id
          AND other.state IN ('queued', 'processing')
          AND (other.state = 'processing' OR other.id < workflows_job.id)
        LIMIT 1 OFFSET 0
    )
"""


def _sql(text: str) -> str:
    return text.format(
        now=sql_now(),
        lease=sql_now(settings.WORKFLOW_LEASE_SECONDS),
        ran=sql_seconds_since("claimed_at"),
        true="true" if connection.vendor == "postgresql" else "1",
        false="false" if connection.vendor == "postgresql" else "0",
        skip_locked=" FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else "",
    )


def _take(where: str, ask: Callable[..., Row | None] = fetch, **params: Any) -> Job | None:
    params |= {"type": Event.Type.STARTED, "data": "{}"}
    taking = _taking(where, settings.WORKFLOW_LEASE_SECONDS, get_bell())
    try:
        if connection.vendor == "postgresql":
            row = ask(taking.statement, params)
            job = from_row(Job, iter(row)) if row else None
        else:
            row = events.in_turn(taking, params)
            job = Job.objects.get(pk=row[0]) if row else None
    except IntegrityError:
        # Somebody else began a job of the same session at this very moment.
        return None
    if job is not None and get_bell().expression("events", "") is None:
        get_bell().ring("events", job.pk)
    return job


@cache
def _taking(where: str, lease: float, bell: Bell) -> Write:
    """Return what claims. The ring is part of it: which job to ring for isn't known before."""
    ring = bell.expression("events", "job.id")
    select = f"{columns(Job, 'job')}, {ring}" if ring else columns(Job, "job")
    return Write(
        _sql(f"{TAKE} WHERE {where}"),
        (events.event(events.sql_json("data")),),
        select=select if connection.vendor == "postgresql" else "id",
    )


def claim(queues: Sequence[str], host: str, pid: int, *, first: str | None = None) -> Job | None:
    """Take the next job that may run: the first queue that has one, best priority, oldest.

    Args:
        queues: names of queues, the most urgent first; none for all queues alike.
        host: this machine.
        pid: the process that will run it; when it dies, the job is taken from it.
        first: SQL to be done before, on PostgreSQL.

    Returns:
        The job, now processing under a new attempt, or None if there is none.
    """
    for queue in queues or (None,):
        job = _take(
            f"""id = (
                SELECT id FROM workflows_job
                WHERE {FREE} AND NOT inline {"AND queue = %(queue)s" if queue else ""}
                ORDER BY priority DESC, id LIMIT 1{{skip_locked}}
            )""",
            partial(fetch_again, first=first),
            queue=queue,
            host=host,
            pid=pid,
        )
        if job is not None:
            return job
    return None


def claim_inline(job: Job, host: str, pid: int) -> Job | None:
    """Take this one job, which a web process runs itself, if its turn has come. See claim()."""
    return _take(f"id = %(job)s AND inline AND {FREE}", job=job.pk, host=host, pid=pid)


def seconds_to_next(queues: Sequence[str]) -> float | None:
    """Return how many seconds from now the next delayed job becomes available; None without one."""
    marks = ", ".join(["%s"] * len(queues))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT -({sql_seconds_since("min(available_at)")}) FROM workflows_job
            WHERE state = 'queued' AND finished_at IS NULL AND NOT inline
              AND available_at > {sql_now()}
              {f"AND queue IN ({marks})" if queues else ""}
            """,
            list(queues),
        )
        row = cursor.fetchone()
    return None if row is None or row[0] is None else max(0.0, float(row[0]))


def renew(attempts: Iterable[tuple[int, int]]) -> dict[int, str]:
    """Renew the leases of running attempts.

    Args:
        attempts: pairs of a job's primary key and the attempt that holds it.

    Returns:
        For each attempt that still holds its job, by the job's primary key, the code with which
        it was cancelled, or an empty string.
    """
    pairs = list(attempts)
    answer = held(pairs)
    if not answer:
        return answer
    ours, numbers = _theirs(pairs)
    with connection.cursor() as cursor:
        # An atomic step that has said something holds its job's row until it commits. It isn't
        # waited for, and reap() leaves its job alone as well.
        renew = _sql(
            "UPDATE workflows_job SET lease_until = {lease} WHERE id IN "
            f"(SELECT id FROM ({ours}{{skip_locked}}) held)"
        )
        cursor.execute(renew, numbers)
    return answer


def held(attempts: Iterable[tuple[int, int]]) -> dict[int, str]:
    """Return what renew() does, without renewing."""
    pairs = list(attempts)
    if not pairs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(*_theirs(pairs))
        return dict(cursor.fetchall())


def _theirs(pairs: list[tuple[int, int]]) -> tuple[str, list[int]]:
    """Return the query for the jobs that these attempts hold, with its parameters."""
    marks = " OR ".join(["(id = %s AND attempt = %s)"] * len(pairs))
    ours = f"SELECT id, cancel_code FROM workflows_job WHERE state = 'processing' AND ({marks})"
    return ours, [number for pair in pairs for number in pair]


def hold(job: Job) -> None:
    """Lock the row of a running job until the caller's transaction ends.

    Raises:
        Fenced: the attempt doesn't hold the job any more.
    """
    held = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=State.PROCESSING)
    if not held.update(updated_at=Now()):
        raise Fenced


GIVE_UP = """
    UPDATE workflows_job
    SET state = 'queued', inline = %(inline)s,
        lease_until = CASE WHEN %(inline)s THEN {lease} ELSE NULL END, host = '', pid = NULL,
        lost = lost + %(lost)s, failures = failures + %(failures)s, ran_for = ran_for + {ran},
        claimed_at = NULL, available_at = {later}, updated_at = {now}
    WHERE id = %(job)s AND attempt = %(attempt)s AND state = 'processing'
"""


def give_back(
    job: Job, *, delay: float = 0, lost: int = 0, failures: int = 0, inline: bool = False
) -> None:
    """Put a running job back into the queue, for another attempt.

    Args:
        job: with the attempt that gives it back.
        delay: seconds before it may be claimed again.
        lost: 1 if the attempt's worker was lost.
        failures: 1 if the attempt raised.
        inline: the web process that ran it lives, and tries again itself.

    Raises:
        Fenced: the attempt doesn't hold the job any more.
    """
    params = {
        "job": job.pk,
        "attempt": job.attempt,
        "lost": lost,
        "failures": failures,
        "inline": inline,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        lock_session(job)
        # A web process that waits out the delay renews no lease meanwhile.
        lease = sql_now(delay + settings.WORKFLOW_LEASE_SECONDS)
        give_up = GIVE_UP.replace("{later}", sql_now(delay)).replace("{lease}", lease)
        cursor.execute(_sql(give_up), params)
        if cursor.rowcount != 1:
            raise Fenced
        waiting = Job.objects.get(pk=job.pk)
        if waiting.cancel_code:
            # There is no other attempt to obey it.
            end(waiting, cancelled(waiting.cancel_code))
        get_bell().ring("due" if delay else "jobs", job.pk)


def reap(*, host: str = "", pid: int | None = None, count: bool = True) -> int:
    """Take back the jobs whose worker is lost: leases that ran out, or all of one dead process.

    Args:
        host: with *pid*: the machine of the dead process.
        pid: the dead process; without it, leases that ran out are looked for.
        count: the loss counts; not where the process was ended on purpose.

    Returns:
        How many jobs were taken back.
    """
    lost = Job.objects.filter(state=State.PROCESSING)
    if pid is not None:
        lost = lost.filter(host=host, pid=pid)
    else:
        lost = lost.filter(lease_until__lt=Now())
        _adopt_waiting_inline_jobs()
    return sum(_take_back(job, lost=int(count)) for job in lost)


def stuck_pids(host: str) -> set[int]:
    """Return the processes of this machine that hold a job whose lease ran out."""
    expired = Job.objects.filter(state=State.PROCESSING, lease_until__lt=Now(), host=host)
    with transaction.atomic():
        locked = expired.select_for_update(of=("self",), skip_locked=True)
        return {job.pid for job in locked.only("pid") if job.pid is not None}


def reap_inline() -> int:
    """Fail the sync jobs of lost web processes, unless a cluster lives that resumes them."""
    if clusters_alive():
        return 0
    orphans = Job.objects.filter(inline=True, state__in=ACTIVE, lease_until__lt=Now())
    failed = 0
    for job in orphans:
        try:
            end(job, Outcome(State.FAILED, code="worker_lost", error=WEB_PROCESS_LOST))
        except Fenced:
            continue
        failed += 1
    return failed


def clusters_alive() -> int:
    """Return how many clusters have been seen lately."""
    return clusters().count()


def clusters() -> QuerySet[Cluster]:
    """The clusters that live."""
    return Cluster.objects.filter(seen_at__gt=Now() - CLUSTER_SEEN).order_by("started_at")


def _adopt_waiting_inline_jobs() -> None:
    """Hand to the clusters what waited for its turn in a web process that is gone."""
    orphans = Job.objects.filter(inline=True, state=State.QUEUED, lease_until__lt=Now())
    for job in orphans:
        with transaction.atomic():
            orphan = Job.objects.filter(pk=job.pk, inline=True, state=State.QUEUED)
            if orphan.update(inline=False, lease_until=None):
                get_bell().ring("jobs", job.pk)


def _take_back(job: Job, *, lost: int) -> bool:
    """Take a job from its worker; not while the worker is in the middle of an atomic step."""
    with transaction.atomic():
        lock_session(job)
        row = Job.objects.filter(pk=job.pk).select_for_update(of=("self",), skip_locked=True)
        if not row.exists():
            return False
        try:
            if not job.cancel_code and job.lost + lost >= settings.WORKFLOW_TRIES:
                failed = Outcome(State.FAILED, code="worker_lost", error=WORKER_LOST, lost=lost)
                end(job, failed)
            else:
                give_back(job, lost=lost)
        except Fenced:
            return False
    return True


def lock_session(job: Job) -> None:
    """Lock the session of *job* until the caller's transaction ends.

    Whoever locks a session and a job of it locks the session first; the other way round two of them
    would wait for each other.
    """
    Session.objects.select_for_update().filter(pk=job.session_id).first()


@dataclass(frozen=True)
class Outcome:
    """How a job ends.

    Args:
        state: one of the terminal states.
        response: the answer, or the question that the user is asked.
        awaiting: what kind of answer the question wants.
        code: why it failed, in one machine word.
        error: why it failed, in one sentence for the client.
        traceback: why it failed, for the admin.
        lost: 1 if its worker was lost.
    """

    state: State
    response: str = ""
    actions: list[dict[str, Any]] = field(default_factory=list)
    # The actions in full, by id. See actions.Offered.
    offers: dict[str, Any] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    awaiting: dict[str, Any] | None = None
    code: str = ""
    error: str = ""
    traceback: str = ""
    lost: int = 0


def cancelled(code: str) -> Outcome:
    """Return the outcome of a job that was cancelled with *code*."""
    error = INTERRUPTED if code == "interrupted" else CANCELLED
    return Outcome(State.CANCELLED, code=code, error=error)


FINISH = """
    UPDATE workflows_job
    SET state = {type}, response = %(response)s, actions = {actions}, sources = {sources},
        offers = {offers}, metadata = {metadata}, awaiting = {awaiting}, code = %(code)s,
        error = %(error)s,
        traceback = %(traceback)s, lost = lost + %(lost)s, last_seq = last_seq + 1,
        progress = CASE WHEN {type} = 'completed' THEN 100 ELSE progress END,
        progress_message = %(message)s, ran_for = ran_for + coalesce({ran}, 0),
        lease_until = NULL, finished_at = {now}, updated_at = {now}
    {where} id = %(job)s AND attempt = %(attempt)s AND state = %(state)s
        AND (cancel_code = '' OR NOT %(asks)s)
"""
JSON_COLUMNS = ("actions", "sources", "offers", "metadata", "awaiting")
LOCK_SESSION = """
    SELECT id AS session, xmin AS version FROM workflows_session WHERE id = %(session)s FOR UPDATE
"""
# What a job took stands in its row alone; what a failed one took is paid for as well.
WITH_USAGE = {
    "postgresql": "{data} || jsonb_build_object('usage', usage)",
    "sqlite": "json_patch({data}, json_object('usage', json(usage)))",
}
ANSWER = """
    INSERT INTO workflows_message
        (session_id, job_id, role, content, actions, sources, remembered, created_at)
    SELECT session_id, id, 'assistant', response, actions, sources, %(remembered)s, updated_at
    FROM job
"""
# A question stays open until the next message.
SPOKEN = """
    UPDATE workflows_session
    SET updated_at = job.updated_at,
        open_job_id = CASE WHEN %(asks)s THEN job.id ELSE open_job_id END
    FROM job WHERE workflows_session.id = job.session_id
"""
# In the words of job_session_active, or SQLite would read all jobs that the session ever had.
NEXT_WAITS = """
    EXISTS (
        SELECT 1 FROM workflows_job other
        WHERE other.session_id = %(session)s AND other.id <> %(job)s
          AND other.state IN ('queued', 'processing') AND other.state <> 'processing'
    )
"""
# Or may wait: a job that was stored after the statement began and before it had the session's lock
# isn't seen by it, and has rung while this one still stood in its way. See storing.STORE.
NEXT_MAY_WAIT = f"""
    {NEXT_WAITS} OR (SELECT version FROM locked) <> (
        SELECT xmin FROM workflows_session WHERE id = %(session)s
    )
"""


def end(job: Job, outcome: Outcome) -> Outcome:
    """End a job: its state, its terminal event and its answer commit together.

    Args:
        job: as claimed, or queued; its attempt is the fence.
        outcome: how it ends.

    Returns:
        How it ended, as it is stored.

    Raises:
        Fenced: another attempt holds the job, or it has ended already.
    """
    stored = _finish(job, outcome)
    if stored is None and outcome.awaiting:
        mine = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=job.state)
        code = mine.exclude(cancel_code="").values_list("cancel_code", flat=True).first()
        # Nobody waits for the question any more.
        stored = _finish(job, cancelled(code)) if code else None
    if stored is None:
        raise Fenced
    return stored


def _finish(job: Job, outcome: Outcome) -> Outcome | None:
    """End a job, unless it isn't the attempt's any more, or was told to stop and would ask."""
    params = _params(job, outcome)
    answers = params["asks"] or params["remembered"]
    row = events.record(_finishing(outcome.state == State.COMPLETED, answers), params)
    if row is None:
        return None
    if row[0]:
        get_bell().ring("jobs", job.pk)
    return _as_stored(outcome, params)


@cache
def _finishing(completed: bool, answers: bool) -> Write:
    on_postgres = connection.vendor == "postgresql"
    update = FINISH.format(
        type=events.sql_text("type"),
        now=sql_now(),
        ran=sql_seconds_since("claimed_at"),
        where="FROM locked WHERE session_id = locked.session AND" if on_postgres else "WHERE",
        **{name: events.sql_json(name) for name in JSON_COLUMNS},
    )
    data = events.sql_json("data")
    with_usage = WITH_USAGE[connection.vendor].format(data=data)
    inserts = [events.event(f"CASE WHEN usage = '{{}}' THEN {data} ELSE {with_usage} END")]
    if completed:
        inserts += [ANSWER, SPOKEN] if answers else [SPOKEN]
    lock = LOCK_SESSION if on_postgres else ""
    select = NEXT_MAY_WAIT if on_postgres else NEXT_WAITS
    return Write(update, tuple(inserts), select=select, lock=lock)


def _as_stored(outcome: Outcome, params: dict[str, Any]) -> Outcome:
    lists: dict[str, Any] = {name: json.loads(params[name]) for name in ("actions", "sources")}
    awaiting = None if params["awaiting"] is None else json.loads(params["awaiting"])
    texts = {name: params[name] for name in ("response", "code", "error")}
    return replace(outcome, awaiting=awaiting, **lists, **texts)


def _params(job: Job, outcome: Outcome) -> dict[str, Any]:
    asks = bool(outcome.awaiting)
    answer: dict[str, Any] = {
        "response": outcome.response,
        "actions": outcome.actions,
        "sources": outcome.sources,
        "metadata": {"workflow": job.workflow} | outcome.metadata,
    }
    answer = events.clean(answer | ({"awaiting": outcome.awaiting} if asks else {}))
    failure = {"error": events.clean(outcome.error), "code": str(outcome.code)[:50]}
    message = failure["error"] or ("Waiting for your answer" if asks else "Completed")
    return {
        "job": job.pk,
        "session": job.session_id,
        "attempt": job.attempt,
        "state": str(job.state),
        "type": str(outcome.state),
        "asks": asks,
        "remembered": bool(job.options.get("memory", True)),
        "response": answer["response"],
        **{name: json.dumps(answer[name]) for name in ("actions", "sources", "metadata")},
        "offers": json.dumps(events.clean(outcome.offers)) if outcome.offers else None,
        "awaiting": json.dumps(answer["awaiting"]) if asks else None,
        **failure,
        "traceback": events.clean(outcome.traceback),
        "lost": outcome.lost,
        "message": message[: events.MESSAGE_LENGTH],
        "data": json.dumps(answer if outcome.state == State.COMPLETED else failure),
    }
