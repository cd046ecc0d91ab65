"""Verbs that run with Django set up on the measured database: ``python -m bench.inside VERB …``."""

import json
import logging
import random
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Max  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from bench import beside_jobs, many_jobs, rows  # noqa: E402
from bench.operator_pages import Pages, find_pages  # noqa: E402
from bench.workflows_app.workflows import FAILS  # noqa: E402
from chatflow.auth import sign_link  # noqa: E402
from chatflow.dialects import DIALECTS, get_dialect  # noqa: E402
from chatflow.models import Token  # noqa: E402
from chatflow.workflows import clock, histograms, services  # noqa: E402
from chatflow.workflows.models import (  # noqa: E402
    Cluster,
    Event,
    Figures,
    Job,
    Session,
    State,
)
from chatflow.workflows.store import events, figures, lifecycle  # noqa: E402
from chatflow.workflows.store.figures import HOUR, MINUTE, begin_of  # noqa: E402
from chatflow.workflows.store.lifecycle import Outcome  # noqa: E402

T = TypeVar("T")


def pickup(seconds: str) -> list[float]:
    """For so many seconds: return the milliseconds from a send's commit to its workflow's entry.

    The clock starts just before COMMIT is sent. The cluster is idle each time.
    """
    user = User.objects.get(username="bench")
    delays: list[float] = []
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        time.sleep(random.uniform(0.02, 0.06))
        with transaction.atomic():
            key = f"pickup-{len(delays) % 10}"
            job = services.start(user, "Now", session_key=key, workflow="bench_now").job
            committing = time.monotonic_ns()
        while not job.is_finished:
            time.sleep(0.02)
            job.refresh_from_db()
        delays.append((int(job.response) - committing) / 1e6)
    return delays


def enqueue(count: str) -> float:
    """Start no-op jobs, each in a session of its own; return the moment at which that began."""
    user = User.objects.get(username="bench")
    began = time.monotonic()
    for _ in range(int(count)):
        key = f"job-{random.getrandbits(64)}"
        services.start(user, "Nothing", session_key=key, workflow="bench_noop")
    return began


def last_job() -> int:
    return Job.objects.aggregate(last=Max("pk"))["last"] or 0


def waiting_links(count: str) -> list[str]:
    """Make *count* jobs that nobody runs; return the paths of their streams."""
    jobs = make_waiting("idle", int(count))
    return [f"/ai-demo/workflow/stream/{job.public_id}?token={sign_link(job)}" for job in jobs]


def waiting_sessions(count: str) -> dict[str, str]:
    """Make *count* jobs that nobody runs; return their sessions by the digits of their ids."""
    jobs = make_waiting("waiting", int(count))
    return {job.public_id.removeprefix("workflow_"): job.session.key for job in jobs}


def make_waiting(name: str, count: int) -> list[Job]:
    user = User.objects.get(username="bench")
    keys = [f"{name}-{number}" for number in range(count)]
    sessions = Session.objects.bulk_create(Session(user=user, key=key) for key in keys)
    return Job.objects.bulk_create(
        Job(user=user, session=session, workflow="bench_noop", text="", mode="async")
        for session in sessions
    )


def encoding_rates(count: str) -> dict[str, float]:
    """Return how many events a second each dialect encodes, of a log of *count*: words mostly."""
    user = User.objects.get(username="bench")
    job = Job(user=user, session=Session(user=user, key="encoded"), workflow="bench_turn")
    log = [make_event(seq, int(count)) for seq in range(1, int(count) + 1)]
    return {name: encoding_rate(name, job, log) for name in DIALECTS}


def make_event(seq: int, last: int) -> Event:
    data: dict[str, Any]
    kind, data = Event.Type.DELTA, {"delta": f"the word {seq} "}
    if seq == last:
        said = "".join(f"the word {each} " for each in range(1, last) if each % 20)
        kind = Event.Type.COMPLETED
        data = {"response": said, "actions": [], "sources": [], "metadata": {}}
    elif seq % 20 == 0:
        kind, data = Event.Type.PROGRESS, {}
    progress, message = seq * 99 // last, f"Part {seq // 20}"
    return Event(seq=seq, type=kind, progress=progress, message=message, data=data)


def encoding_rate(name: str, job: Job, log: list[Event]) -> float:
    encoder = get_dialect(name)(job)
    began = time.process_time()
    for event in log:
        encoder.frames(event)
    return len(log) / (time.process_time() - began)


def examples() -> dict[str, int]:
    """Run a turn that completes and one that fails; return their keys, and whose they are."""
    user = User.objects.get(username="bench")
    # The one that is to fail would print a traceback.
    logging.disable()
    completed, failed = (
        services.start(user, text, session_key="examples", mode="sync", workflow="bench_turn").job
        for text in ("What does the fox do?", FAILS)
    )
    for job in (completed, failed):
        services.run_inline(job)
        job.refresh_from_db()
        assert job.last_seq == 10, job.error
    return {
        "completed": completed.pk,
        "failed": failed.pk,
        "session": completed.session_id,
        "user": user.pk,
    }


def sync_send_queries() -> list[str]:
    """Return the first words of the queries that a sync send makes, in order."""
    _, token = Token.objects.create(User.objects.get(username="bench"))
    client = Client(headers={"Authorization": f"Bearer {token}", "Host": "localhost"})
    body = {"message": "Hello", "session_id": "shape", "workflow": "bench_noop"}
    for _ in range(2):
        # The first one makes the session.
        with CaptureQueriesContext(connection) as captured:
            response = client.post("/ai-demo/chat/send", body, content_type="application/json")
    assert response.status_code == 200, response.content
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, statement FROM pg_prepared_statements")
        prepared = {name: text.partition(" AS ")[2] for name, text in cursor.fetchall()}
    return [first_word(query["sql"], prepared) for query in captured]


def first_word(sql: str, prepared: dict[str, str]) -> str:
    """Return the first word of a query; for a prepared one that of its statement."""
    found = re.search(r"EXECUTE (\w+)", sql)
    text = prepared[found[1]] if found else sql
    return text.split()[0].strip(";").upper()


def statements(count: str, plans: str) -> dict[str, list[float]]:
    """Store, claim and end so many jobs, each with an event; return the milliseconds of each.

    Args:
        count: how many jobs.
        plans: PostgreSQL's ``plan_cache_mode``.
    """
    user = User.objects.get(username="bench")
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('plan_cache_mode', %s, false)", [plans])
    found: dict[str, list[float]] = {"store": [], "claim": [], "append": [], "end": []}

    def timed(name: str, ask: Callable[..., T], *args: Any, **options: Any) -> T:
        asked = time.monotonic_ns()
        answer = ask(*args, **options)
        found[name].append((time.monotonic_ns() - asked) / 1e6)
        return answer

    for number in range(int(count)):
        key = f"statements-{number % 10}"
        timed("store", services.start, user, "Go", session_key=key, workflow="bench_noop")
        job = timed("claim", lifecycle.claim, (), lifecycle.this_process(), is_async=False)
        assert job is not None
        timed("append", events.append, job.pk, job.attempt, Event.Type.PROGRESS)
        timed("end", lifecycle.end, job, Outcome(State.COMPLETED, response="Done."))
    return found


def fill_operated(count: str) -> None:
    """Store so many jobs and what lies beside them; the bench's user may see it all."""
    user = User.objects.get(username="bench")
    user.is_staff = user.is_superuser = True
    user.save()
    with rows.hurry():
        many_jobs.fill(user.pk, int(count))
        beside_jobs.fill(user.pk, int(count))
        beside_jobs.make_long_job(user.pk)
        now = begin_of(clock.now(), HOUR)
        Figures.objects.bulk_create(
            make_figures(now - hour * HOUR, Figures.Span.HOUR, queue, workflow)
            for hour in range(2, 200)
            for queue in range(5)
            for workflow in range(4)
        )
        # Else all of the past is to be counted first.
        make_figures(now - 3 * HOUR, Figures.Span.MINUTE, 0, 0).save()


def job_list(rounds: str) -> dict[str, list[float]]:
    """Open the operator's list of jobs in several ways; return the milliseconds of each."""
    client = sign_in()
    lists = {name: (many_jobs.LIST, query) for name, query in many_jobs.QUERIES.items()}
    found = open_pages(client, lists, int(rounds))
    for _ in range(int(rounds)):
        for name, query in many_jobs.PREVIEWS.items():
            asked = time.monotonic_ns()
            data = {"act": "cancel", "scope": "all"}
            response = client.post(f"{many_jobs.LIST}bulk/", data, query_params=query)
            found.setdefault(name, []).append((time.monotonic_ns() - asked) / 1e6)
            assert response.status_code == 200
    return found


def operator_pages(rounds: str) -> dict[str, list[float]]:
    """Open the operator's other pages; return the milliseconds of each."""
    long_job = Job.objects.get(session__key="long").pk
    return open_pages(sign_in(), find_pages(long_job), int(rounds))


def sign_in() -> Client:
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.get(username="bench"))
    return client


def open_pages(client: Client, pages: Pages, rounds: int) -> dict[str, list[float]]:
    """Open each page so many times, and once before; return the milliseconds."""
    found: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(rounds + 1):
        for name, (address, query) in pages.items():
            asked = time.monotonic_ns()
            response: Any = client.get(address, query_params=query)
            assert response.status_code == 200, (name, response)
            assert response.content
            found[name].append((time.monotonic_ns() - asked) / 1e6)
    # The first time the templates are loaded.
    return {name: took[1:] for name, took in found.items()}


def make_figures(since: datetime, span: Figures.Span, queue: int, workflow: int) -> Figures:
    counts = [7] * histograms.BUCKETS
    return Figures(
        span=span,
        since=since,
        queue=f"queue-{queue}",
        workflow=f"workflow-{workflow}",
        completed=sum(counts),
        failed=3,
        waited=counts,
        ran=counts,
        requests=200,
        input_tokens=10_000,
        output_tokens=500,
        cost_usd=0.25,
    )


def count_minutes(count: str) -> list[float]:
    """Count what has ended; return the milliseconds of so many minutes, each counted anew."""
    figures.catch_up(lambda: None)
    last, found = Job.objects.filter(finished_at__isnull=False).order_by("-finished_at")[0], []
    assert last.finished_at is not None
    now = begin_of(last.finished_at, MINUTE)
    for number in range(1, int(count) + 1):
        Figures.objects.filter(span=Figures.Span.MINUTE, since=now - number * MINUTE).delete()
        began = time.monotonic_ns()
        figures.count_minute(now - number * MINUTE)
        found.append((time.monotonic_ns() - began) / 1e6)
    return found


def staff_session() -> str:
    """Sign the bench's user in; return the key of the session."""
    return sign_in().cookies["sessionid"].value


def clusters() -> int:
    return Cluster.objects.count()


def forget_clusters() -> None:
    Cluster.objects.all().delete()


def main(verb: str, *arguments: str) -> None:
    verbs: dict[str, Any] = {
        function.__name__: function
        for function in (
            pickup,
            enqueue,
            last_job,
            waiting_links,
            waiting_sessions,
            encoding_rates,
            examples,
            sync_send_queries,
            statements,
            fill_operated,
            job_list,
            operator_pages,
            count_minutes,
            staff_session,
            clusters,
            forget_clusters,
        )
    }
    print(json.dumps(verbs[verb](*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
