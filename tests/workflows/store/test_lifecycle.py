"""Claim, renew, give back, reap, end: each done once, by one, in order."""

import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatflow.conf import conf
from chatflow.workflows import services, workflow
from chatflow.workflows.bells import get_bell
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import Cluster, Event, Job, Message, Session, State
from chatflow.workflows.running import runner
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.database import prepared
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome, Vigil, Worker, claims
from tests.configure import configure
from tests.workflows.chat import (
    ME,
    NET,
    Chat,
    assert_log_is_sound,
    at_once,
    claim,
    claimed,
    events,
    lose_worker,
    reap,
    rolled_back,
    types,
    until_a_lock_is_waited_for,
)

pytestmark = pytest.mark.django_db

PAST = timedelta(seconds=-1)


@pytest.fixture
def job(chat: Chat) -> Job:
    """A job that waits."""
    return chat.send()


def change(job: Job, **fields: Any) -> Job:
    Job.objects.filter(pk=job.pk).update(**fields)
    job.refresh_from_db()
    return job


def seconds_from_now(moment: Any) -> float:
    return float((moment - timezone.now()).total_seconds())


def session(chat: Chat, number: int) -> Chat:
    return Chat(chat.user, f"s{number}")


# Claim.


def test_it_works(job: Job, settings: Any) -> None:
    taken = claimed()

    assert taken.pk == job.pk
    assert (taken.state, taken.attempt) == (State.PROCESSING, 1)
    assert (taken.worker, taken.host, taken.pid) == (ME.id, ME.host, ME.pid)
    assert 0 < seconds_from_now(taken.lease_until) <= conf.WORKFLOW_LEASE_SECONDS + 1
    assert taken.started_at == taken.claimed_at
    # The claim returns the row, with all its types.
    job.refresh_from_db()
    for field in Job._meta.concrete_fields:
        assert getattr(taken, field.attname) == getattr(job, field.attname), field
    assert claim() is None


def test_an_empty_queue() -> None:
    assert claim() is None


def test_the_oldest_of_the_highest_priority_is_first(chat: Chat) -> None:
    priorities = (0, 5, -1, 5, 0)
    jobs = [
        change(session(chat, number).send(), priority=priority)
        for number, priority in enumerate(priorities)
    ]

    order = [claimed().pk for _ in jobs]
    assert order == [jobs[number].pk for number in (1, 3, 0, 4, 2)]


def test_queues(chat: Chat) -> None:
    names = ("low", "high", "low", "other")
    jobs = [change(session(chat, n).send(), queue=name) for n, name in enumerate(names)]

    def take(*queues: str) -> int | None:
        taken = lifecycle.claim(queues, ME, is_async=True)
        return None if taken is None else [job.pk for job in jobs].index(taken.pk)

    # The first queue that has one, whatever is older elsewhere.
    assert take("high", "low") == 1
    assert take("high") is None
    assert take("high", "low") == 0
    assert take() == 2
    assert take("nope") is None
    assert take() == 3


def test_a_high_priority_does_not_leave_its_queue(chat: Chat) -> None:
    change(session(chat, 1).send(), queue="low", priority=9)
    first = change(session(chat, 2).send(), queue="high")

    taken = lifecycle.claim(("high", "low"), ME, is_async=True)
    assert taken == first


@pytest.mark.parametrize(("seconds", "free"), [(-60, True), (-1, True), (60, False)])
def test_a_job_is_not_taken_before_its_time(job: Job, seconds: int, free: bool) -> None:
    change(job, available_at=Now() + timedelta(seconds=seconds))

    assert (claim() is not None) is free


def test_a_job_that_waits_for_its_time_bars_only_its_session(chat: Chat, job: Job) -> None:
    change(job, available_at=Now() + timedelta(seconds=60))
    behind, beside = chat.send(), session(chat, 2).send()

    assert claimed().pk == beside.pk
    assert claim() is None
    change(job, available_at=Now() + PAST)
    assert claimed().pk == job.pk
    assert claim() is None
    assert behind.state == State.QUEUED


def test_a_session_goes_in_order(chat: Chat) -> None:
    """Even where a later message has the higher priority."""
    first, second = chat.send(), chat.send()
    change(second, priority=9)

    taken = claimed()
    assert taken.pk == first.pk
    assert claim() is None
    lifecycle.end(taken, Outcome(State.COMPLETED))
    assert claimed().pk == second.pk


def test_users_with_one_session_key_do_not_wait_for_each_other(chat: Chat, bob: User) -> None:
    chat.send()
    Chat(bob, chat.key).send()

    assert claim()
    assert claim()


def test_the_database_itself_refuses_a_second_running_job_of_a_session(chat: Chat) -> None:
    chat.send()
    second = chat.send()
    taken = claimed()
    with pytest.raises(IntegrityError), transaction.atomic():
        change(second, state=State.PROCESSING, lease_until=taken.lease_until)


def test_a_lost_race_for_a_session_is_no_error(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check comes before the update; another worker's claim may be committed in between."""
    chat.send()
    chat.send()
    claimed()
    blind = claims.NEXT_OF_ALL.replace("{free}", "state = 'queued' AND available_at <= {now}")
    monkeypatch.setattr(claims, "NEXT_OF_ALL", blind)

    assert claim() is None
    assert connection.needs_rollback is False


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.TIMEOUT, State.CANCELLED])
def test_a_job_that_has_ended_is_not_taken(job: Job, state: State) -> None:
    lifecycle.end(job, Outcome(state))

    assert claim() is None


@pytest.mark.django_db(transaction=True)
def test_claims_at_once(chat: Chat) -> None:
    """Each job is taken once, and of each session one at a time."""
    for number in range(4):
        for _ in range(3):
            session(chat, number).send()

    def take_all(number: int) -> list[tuple[int, int]]:
        mine = []
        while Job.objects.filter(state=State.QUEUED).exists():
            taken = lifecycle.claim((), Worker(str(number)), is_async=True)
            if taken is not None:
                mine.append((taken.session_id, taken.pk))
                running = Job.objects.filter(session=taken.session_id, state=State.PROCESSING)
                assert list(running) == [taken]
                lifecycle.end(taken, Outcome(State.COMPLETED))
        return mine

    taken = at_once(4, take_all)
    assert not [result for result in taken if isinstance(result, BaseException)], taken
    every = sorted(chain.from_iterable(taken))
    assert [pk for _, pk in every] == sorted(Job.objects.values_list("pk", flat=True))
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}
    ends = Job.objects.order_by("session", "finished_at").values_list("session", "pk")
    assert list(ends) == sorted(ends)


@pytest.mark.django_db(transaction=True)
def test_one_job_for_many_workers(chat: Chat) -> None:
    for _ in range(5):
        chat.send()
        taken = at_once(4, lambda number: lifecycle.claim((), Worker(str(number)), is_async=True))
        assert sorted(type(result).__name__ for result in taken) == ["Job"] + ["NoneType"] * 3
        lifecycle.end(next(filter(None, taken)), Outcome(State.COMPLETED))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_job_is_two_round_trips(
    chat: Chat, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One to claim it, one to end it; all others in between are the workflow's own."""
    workflow("quiet")(lambda ctx: "done")
    # The first time a connection learns the statements.
    chat.say(workflow="quiet")
    claims: list[str] = []
    fetch_again = prepared.fetch_again

    def spy(sql: str, params: dict[str, Any], **options: Any) -> Any:
        claims.append(sql)
        return fetch_again(sql, params, **options)

    monkeypatch.setattr(prepared, "fetch_again", spy)
    for number in range(2):
        chat.send(workflow="quiet")
        # Django's count knows nothing of a claim that succeeds at once.
        with django_assert_num_queries(0):
            job = claimed()
        assert len(claims) == number + 1
        with django_assert_num_queries(1):
            runner.run(job, interruptible=False)
        job.refresh_from_db()
        assert (job.state, job.response) == (State.COMPLETED, "done")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stored", [False, True])
def test_an_end_rings_for_what_was_stored_meanwhile(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """The stored job has rung for itself, while this job still stood in its way."""
    bell, rung = get_bell(), []
    monkeypatch.setattr(bell, "ring", lambda topic, key: rung.append(topic))
    chat.send()
    taken = claimed()

    def end() -> None:
        lifecycle.end(taken, Outcome(State.COMPLETED))
        connection.close()

    thread = threading.Thread(target=end)
    if stored:
        with transaction.atomic():
            chat.send()
            rung.clear()
            thread.start()
            until_a_lock_is_waited_for()
    else:
        thread.start()
    thread.join(NET)

    # Of which kind it is, nobody knows yet.
    assert rung == ["jobs", "async_jobs"] * stored


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_after_a_burst_each_statement_looks_at_few_rows(
    mode: str, chat: Chat, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statistics are of an empty queue then, and of many jobs that have ended."""
    ended = {"state": State.COMPLETED, "finished_at": timezone.now()}
    for count, fields in ((3000, ended), (1800, {})):
        if not fields:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE workflows_job")
        names = [f"{fields.get('state', 'queued')}-{number}" for number in range(count // 3)]
        sessions = Session.objects.bulk_create(Session(user=alice, key=name) for name in names)
        Job.objects.bulk_create(
            Job(user=alice, session=each, workflow="chat", text="go", mode="async", **fields)
            for each in sessions
            for _ in range(3)
        )
    execute = prepared._execute
    plans: list[list[dict[str, Any]]] = []

    def explain(statement: prepared.Statement, params: Any, then: Any, cursor: Any) -> Any:
        with rolled_back():
            for change in (*prepared.SET, f"SET LOCAL plan_cache_mode = {mode}"):
                cursor.execute(change)
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.execute}", params)
            plans.append(list(find_scans(cursor.fetchone()[0][0]["Plan"])))
        return execute(statement, params, then, cursor)

    connection.close()
    monkeypatch.setattr(prepared, "_execute", explain)
    stored = chat.send()
    taken = claimed()
    lifecycle.end(taken, Outcome(State.COMPLETED))
    lifecycle.end(stored, lifecycle.cancelled("cancelled"))
    # Where others wait in great numbers, but none of these.
    assert lifecycle.claim(("low",), ME, is_async=False) is None
    # What is prepared goes by no cursor.
    connection.close()
    assert lifecycle.claim((), ME, is_async=True) is None
    connection.close()

    assert len(plans) == 6
    used = [[scan.get("Index Name") for scan in scans] for scans in plans]
    assert {"job_next_in_queue", "job_turns"} < set(used[0]), used
    for number, index in ((1, "job_next_of_all"), (4, "job_next_in_queue"), (5, "job_next_of_all")):
        assert index in used[number], used
    for scans in plans:
        examined = sum(
            scan["Actual Loops"] * (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0))
            for scan in scans
        )
        assert examined < 30, scans


@pytest.mark.postgresql
def test_dead_entries_of_a_queue_among_a_million_jobs_are_cleaned_up_as_of_one_among_few() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = 'workflows_job'::regclass")
        assert set(cursor.fetchone()[0]) == {
            "autovacuum_vacuum_scale_factor=0",
            "autovacuum_vacuum_threshold=5000",
            "vacuum_index_cleanup=on",
        }


@pytest.mark.sqlite
def test_an_end_looks_at_no_job_of_the_session_that_has_ended(chat: Chat, job: Job) -> None:
    taken = claimed()
    with CaptureQueriesContext(connection) as captured:
        lifecycle.end(taken, Outcome(State.COMPLETED))
    [next_waits] = [query["sql"] for query in captured if "other.session_id =" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {next_waits}")
        plan = str(cursor.fetchall())

    assert "other USING INDEX job_session_active (session_id=?" in plan, plan


def find_scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the scans of tables in a plan, as EXPLAIN shows it."""
    if "Scan" in plan["Node Type"] and plan.get("Relation Name"):
        yield plan
    for part in plan.get("Plans", ()):
        yield from find_scans(part)


def test_a_sync_job_is_its_web_process_own(chat: Chat, settings: Any) -> None:
    job = chat.send(mode="sync")

    assert claim() is None
    assert 0 < seconds_from_now(job.lease_until) <= conf.WORKFLOW_LEASE_SECONDS + 1
    taken = lifecycle.claim_inline(job, ME)
    assert taken is not None
    assert (taken.pk, taken.attempt, taken.inline) == (job.pk, 1, True)
    assert lifecycle.claim_inline(job, ME) is None


def test_a_sync_job_waits_for_its_turn(chat: Chat, job: Job) -> None:
    sync = chat.send(mode="sync")

    assert lifecycle.claim_inline(sync, ME) is None
    lifecycle.end(job, Outcome(State.COMPLETED))
    assert lifecycle.claim_inline(sync, ME)


def test_seconds_to_next(chat: Chat, job: Job) -> None:
    assert lifecycle.seconds_to_next((), is_async=True) is None
    change(job, available_at=Now() + timedelta(seconds=60), queue="low")
    later = change(session(chat, 2).send(), available_at=Now() + timedelta(seconds=300))

    assert lifecycle.seconds_to_next((), is_async=True) == pytest.approx(60, abs=20)
    assert lifecycle.seconds_to_next(("default", "x"), is_async=True) == pytest.approx(300, abs=20)
    assert lifecycle.seconds_to_next(("nope",), is_async=True) is None
    change(later, inline=True)
    assert lifecycle.seconds_to_next(("default",), is_async=True) is None


# Renew.


def test_renew(chat: Chat, job: Job) -> None:
    taken = claimed()
    change(taken, lease_until=Now() + PAST)

    assert lifecycle.renew([(taken.pk, taken.attempt)]) == ({taken.pk: ""}, frozenset())
    job.refresh_from_db()
    assert seconds_from_now(job.lease_until) > 0
    assert reap() == 0


def test_renew_tells_what_is_lost_and_what_was_cancelled(chat: Chat) -> None:
    for number in range(4):
        session(chat, number).send()
    kept, older, cancelled, over = [claimed() for _ in range(4)]
    change(older, attempt=2)
    services.cancel(cancelled)
    lifecycle.end(over, Outcome(State.COMPLETED))
    jobs = (kept, older, cancelled, over)

    told = {kept.pk: "", cancelled.pk: "cancelled"}
    assert lifecycle.renew((job.pk, 1) for job in jobs) == (told, frozenset())
    assert lifecycle.renew([]) == ({}, frozenset())
    # The same without a write.
    lease = Job.objects.get(pk=kept.pk).lease_until
    assert lifecycle.held((job.pk, 1) for job in jobs) == (told, frozenset())
    assert lifecycle.held([]) == ({}, frozenset())
    assert Job.objects.get(pk=kept.pk).lease_until == lease


# Give back.


def test_give_back(job: Job) -> None:
    taken = claimed()
    change(taken, claimed_at=Now() - timedelta(seconds=100))
    lifecycle.give_back(taken)
    job.refresh_from_db()

    assert (job.state, job.worker, job.host, job.pid) == (State.QUEUED, "", "", None)
    assert (job.lease_until, job.claimed_at) == (None, None)
    assert (job.lost, job.failures, job.attempt) == (0, 0, 1)
    # The deadline counts the seconds that it ran.
    assert job.ran_for == pytest.approx(100, abs=20)
    again = claimed()
    assert (again.pk, again.attempt) == (job.pk, 2)
    assert again.started_at == taken.started_at


def test_a_dead_night_is_no_work(job: Job) -> None:
    """A job is taken back long after its lease ran out: its deadline goes by what it has run."""
    taken = claimed()
    night = Now() - timedelta(hours=9)
    change(taken, claimed_at=night, lease_until=night + timedelta(seconds=30))
    lifecycle.give_back(taken, lost=1)
    job.refresh_from_db()

    assert job.ran_for == pytest.approx(30, abs=1)


def test_give_back_counts(job: Job) -> None:
    lifecycle.give_back(claimed(), lost=1, failures=1, delay=60)
    job.refresh_from_db()

    assert (job.lost, job.failures) == (1, 1)
    assert claim() is None
    assert seconds_from_now(job.available_at) == pytest.approx(60, abs=20)


def test_a_delay_below_a_second(job: Job) -> None:
    lifecycle.give_back(claimed(), delay=0.05)
    pause = lifecycle.seconds_to_next((), is_async=True)
    while claim() is None:
        time.sleep(pause or 0.01)

    assert pause is None or pause < 0.1


def test_give_back_of_what_is_not_ones_own(job: Job) -> None:
    taken = claimed()
    lifecycle.give_back(taken)
    with pytest.raises(Fenced):
        lifecycle.give_back(taken)
    again = claimed()
    with pytest.raises(Fenced):
        lifecycle.give_back(taken)
    lifecycle.end(again, Outcome(State.COMPLETED))
    with pytest.raises(Fenced):
        lifecycle.give_back(again)


def test_a_sync_job_that_waits_for_its_next_try_is_no_orphan(chat: Chat, settings: Any) -> None:
    job = chat.send(mode="sync")
    taken = lifecycle.claim_inline(job, ME)
    assert taken is not None
    lifecycle.give_back(taken, delay=3600, inline=True)
    job.refresh_from_db()

    assert job.inline
    assert job.lease_until is not None
    assert job.lease_until - job.available_at == pytest.approx(
        timedelta(seconds=conf.WORKFLOW_LEASE_SECONDS), abs=timedelta(seconds=5)
    )


def test_hold(job: Job) -> None:
    taken = claimed()
    with transaction.atomic():
        lifecycle.hold(taken)
    lifecycle.give_back(taken)
    with pytest.raises(Fenced), transaction.atomic():
        lifecycle.hold(taken)


# Reap.


def test_a_lease_that_ran_out(chat: Chat, job: Job) -> None:
    taken, live = claimed(), session(chat, 2).send()
    claimed()
    assert reap() == 0
    change(taken, lease_until=Now() + PAST)

    assert reap() == 1
    job.refresh_from_db()
    live.refresh_from_db()
    assert (job.state, job.lost) == (State.QUEUED, 1)
    assert live.state == State.PROCESSING


def test_the_jobs_of_a_dead_process(chat: Chat) -> None:
    for number in range(4):
        session(chat, number).send()
    # They are told apart by nothing else: as containers that are started again in place are.
    takers = [Worker(identity, "here", 1) for identity in ("dead", "dead", "other", "")]
    jobs = [lifecycle.claim((), taker, is_async=True) for taker in takers]

    assert lifecycle.reap_worker("dead")
    states = [Job.objects.get(pk=job.pk).state for job in jobs if job]
    assert states == ["queued", "queued", "processing", "processing"]


def test_the_jobs_of_a_dead_cluster(chat: Chat) -> None:
    for number in range(4):
        session(chat, number).send()
    dead, other = uuid.UUID(int=1), uuid.UUID(int=2)
    ids = [lifecycle.worker_id(*taker) for taker in [(dead, 1), (dead, 12), (other, 1)]]
    takers = [*map(Worker, ids), lifecycle.this_process()]
    jobs = [lifecycle.claim((), taker, is_async=True) for taker in takers]

    assert lifecycle.reap_cluster(dead)
    states = [(job.state, job.lost) for job in Job.objects.order_by("pk")]
    assert states == [("queued", 1), ("queued", 1), ("processing", 0), ("processing", 0)]
    assert None not in jobs


def test_a_process_that_was_ended_on_purpose_does_not_count(job: Job) -> None:
    claimed()
    assert lifecycle.reap_worker(ME.id, count=False)
    job.refresh_from_db()

    assert (job.state, job.lost) == (State.QUEUED, 0)


def test_a_worker_lost_too_often(job: Job, settings: Any) -> None:
    configure(settings, WORKFLOW_TRIES=3)
    for attempt in (1, 2, 3):
        assert claimed().attempt == attempt
        lose_worker()
    job.refresh_from_db()

    assert (job.state, job.code, job.lost) == (State.FAILED, "worker_lost", 3)
    assert job.error == lifecycle.WORKER_LOST
    assert types(job) == ["started", "started", "started", "failed"]
    assert list(Job.objects.failures()) == [job]
    assert_log_is_sound(job)


def test_a_cancelled_job_whose_worker_is_lost(job: Job) -> None:
    services.cancel(claimed())
    lose_worker()
    job.refresh_from_db()

    assert (job.state, job.code) == (State.CANCELLED, "cancelled")
    assert_log_is_sound(job)


def test_a_cancelled_job_whose_worker_is_lost_too_often(job: Job, settings: Any) -> None:
    configure(settings, WORKFLOW_TRIES=1)
    services.cancel(claimed())
    lose_worker()
    job.refresh_from_db()

    assert job.state == State.CANCELLED


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_words_of_a_lost_worker(job: Job, settings: Any, cancelled: bool) -> None:
    """Those that the user saw, in whatever attempt, stay in the conversation, and are marked."""
    configure(settings, WORKFLOW_TRIES=2)
    first = claimed()
    append(job.pk, first.attempt, Event.Type.DELTA, data={"delta": "Once upon"})
    lose_worker()
    second = claimed()
    append(job.pk, second.attempt, Event.Type.RESTARTED, data={"text_length": 5, "attempt": 2})
    append(job.pk, second.attempt, Event.Type.DELTA, data={"delta": "there was"})
    if cancelled:
        services.cancel(second)
    lose_worker()
    job.refresh_from_db()

    assert job.state == (State.CANCELLED if cancelled else State.FAILED)
    assert job.metadata["broken_off"] is True
    assert Message.objects.get(role="assistant").content == "Once there was"
    assert_log_is_sound(job)


def test_the_words_of_a_job_that_is_cancelled_while_it_waits_again(job: Job) -> None:
    append(job.pk, claimed().attempt, Event.Type.DELTA, data={"delta": "Once upon"})
    lose_worker()
    job.refresh_from_db()

    services.cancel(job)

    assert Message.objects.get(role="assistant").content == "Once upon"


@pytest.mark.django_db(transaction=True)
def test_reapers_at_once(job: Job) -> None:
    """However many clusters see it, a loss counts once."""
    change(claimed(), lease_until=Now() + PAST)

    assert sum(at_once(4, lambda number: reap())) == 1
    job.refresh_from_db()
    assert (job.state, job.lost) == (State.QUEUED, 1)


# Sync jobs of lost web processes.


def test_without_a_cluster_an_orphan_fails(chat: Chat) -> None:
    running, waiting = chat.send(mode="sync"), chat.send(mode="sync")
    lifecycle.claim_inline(running, ME)
    assert lifecycle.reap_inline(Vigil(1.0)) == 0
    Job.objects.update(lease_until=Now() + PAST)

    assert lifecycle.reap_inline(Vigil(1.0)) == 2
    for job in (running, waiting):
        job.refresh_from_db()
        assert (job.state, job.code) == (State.FAILED, "worker_lost")
        assert job.error == lifecycle.WEB_PROCESS_LOST
        assert_log_is_sound(job)


def test_a_cluster_resumes_an_orphan(chat: Chat) -> None:
    running, waiting = chat.send(mode="sync"), chat.send(mode="sync")
    lifecycle.claim_inline(running, ME)
    Job.objects.update(lease_until=Now() + PAST)
    Cluster.objects.create(host="there", pid=1, workers=1, seen_at=Now())

    assert lifecycle.clusters_alive() == 1
    assert lifecycle.reap_inline(Vigil(1.0)) == 0
    reap()
    taken = claimed()
    assert (taken.pk, taken.inline) == (running.pk, False)
    lifecycle.end(taken, Outcome(State.COMPLETED))
    assert claimed().pk == waiting.pk


def test_a_cluster_that_is_not_seen_any_more_is_dead() -> None:
    seen_at = Now() - lifecycle.CLUSTER_SEEN - timedelta(seconds=1)
    Cluster.objects.create(host="there", pid=1, workers=1, seen_at=seen_at)

    assert lifecycle.clusters_alive() == 0


# End.


def test_end(job: Job) -> None:
    taken = claimed()
    append(taken.pk, 1, Event.Type.PROGRESS, progress=40)
    change(taken, claimed_at=Now() - timedelta(seconds=100))
    lifecycle.end(
        taken, Outcome(State.COMPLETED, response="Hi", actions=[{"a": 1}], sources=[{"b": 2}])
    )
    job.refresh_from_db()

    assert (job.state, job.progress, job.progress_message) == (State.COMPLETED, 100, "Completed")
    assert job.is_finished
    assert job.finished_at == job.updated_at == job.session.updated_at
    assert job.lease_until is None
    assert job.ran_for == pytest.approx(100, abs=20)
    last = events(job)[-1]
    assert (last.type, last.progress, last.message, last.seq) == (
        "completed",
        100,
        "Completed",
        job.last_seq,
    )
    assert last.data == {
        "response": "Hi",
        "actions": [{"a": 1}],
        "sources": [{"b": 2}],
        "metadata": {"workflow": "chat"},
    }
    message = Message.objects.get(role="assistant")
    assert (message.content, message.actions, message.job) == ("Hi", [{"a": 1}], job)
    assert_log_is_sound(job)


@pytest.mark.parametrize("state", [State.FAILED, State.TIMEOUT, State.CANCELLED])
def test_an_end_without_an_answer(job: Job, state: State) -> None:
    taken = claimed()
    append(taken.pk, 1, Event.Type.PROGRESS, progress=40)
    lifecycle.end(taken, Outcome(state, code="why", error="Because.", traceback="Traceback\0"))
    job.refresh_from_db()

    assert (job.state, job.code, job.error) == (state, "why", "Because.")
    assert (job.progress, job.progress_message) == (40, "Because.")
    assert events(job)[-1].data == {"error": "Because.", "code": "why"}
    assert not Message.objects.filter(role="assistant").exists()
    assert_log_is_sound(job)


def test_a_question(job: Job) -> None:
    awaiting = {"kind": "text", "prompt": "Name?", "optional": False}
    lifecycle.end(claimed(), Outcome(State.COMPLETED, response="Name?", awaiting=awaiting))
    job.refresh_from_db()

    assert job.awaiting == events(job)[-1].data["awaiting"] == awaiting
    assert job.progress_message == "Waiting for your answer"
    assert Session.objects.get().open_job == job


def test_end_is_once(job: Job) -> None:
    taken = claimed()
    lifecycle.end(taken, Outcome(State.COMPLETED))
    for state in (State.COMPLETED, State.FAILED):
        with pytest.raises(Fenced):
            lifecycle.end(taken, Outcome(state))

    assert_log_is_sound(job)


def test_end_of_an_older_attempt(job: Job) -> None:
    first = claimed()
    lose_worker()
    second = claimed()
    with pytest.raises(Fenced):
        lifecycle.end(first, Outcome(State.COMPLETED))
    # Nor does one that saw the job waiting end it once it runs.
    with pytest.raises(Fenced):
        lifecycle.end(job, lifecycle.cancelled("cancelled"))

    lifecycle.end(second, Outcome(State.COMPLETED))
    assert_log_is_sound(second)


@pytest.mark.django_db(transaction=True)
def test_ends_at_once(job: Job) -> None:
    taken = claimed()
    ends = at_once(4, lambda number: lifecycle.end(taken, Outcome(State.COMPLETED)))

    assert sorted(type(end).__name__ for end in ends) == ["Fenced"] * 3 + ["Outcome"]
    assert Message.objects.filter(role="assistant").count() == 1
    assert_log_is_sound(job)


@pytest.mark.django_db(transaction=True)
def test_no_event_slips_in_behind_the_end(job: Job) -> None:
    for _ in range(5):
        taken = claimed()

        def race(number: int, taken: Job = taken) -> None:
            try:
                if number == 0:
                    lifecycle.end(taken, Outcome(State.COMPLETED))
                else:
                    for _ in range(5):
                        append(taken.pk, taken.attempt, Event.Type.PROGRESS)
            except Fenced:
                pass

        assert at_once(4, race) == [None] * 4
        assert_log_is_sound(taken)
        services.start(taken.user, "go", session_key="s")


@pytest.mark.django_db(transaction=True)
def test_an_end_that_is_rolled_back_leaves_the_job_running(job: Job) -> None:
    taken = claimed()
    with rolled_back():
        lifecycle.end(taken, Outcome(State.COMPLETED))

    job.refresh_from_db()
    assert (job.state, job.last_seq) == (State.PROCESSING, 1)
    lifecycle.end(taken, Outcome(State.COMPLETED))
    assert_log_is_sound(job)


def test_the_database_itself_keeps_states_and_times_together(job: Job) -> None:
    for fields in (
        {"state": State.COMPLETED},
        {"finished_at": timezone.now()},
        {"state": State.PROCESSING, "lease_until": None},
        {"progress": 101},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change(job, **fields)


def test_the_database_itself_refuses_a_second_active_unique_job(chat: Chat) -> None:
    workflow("unique", unique_key=lambda user, text: "one")(lambda ctx: "done")
    job = chat.send(workflow="unique")
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.create(
            user=job.user, session=job.session, workflow="unique", unique_key="one", mode="async"
        )
