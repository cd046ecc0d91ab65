"""The rows of django.tasks' tasks: who has one, and who may end it."""

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatflow.workflows.models import Job, State, TaskRun, TaskStatus
from chatflow.workflows.store import lifecycle, pruning, task_runs
from chatflow.workflows.store.database import Fault, get_database
from chatflow.workflows.store.lifecycle import Vigil, Worker, reaping, worker_id
from tests.configure import configure
from tests.workflows.chat import Chat, at_once
from tests.workflows.faults import make_outage, make_passing

pytestmark = pytest.mark.django_db

ME = "me.1"


def enqueued(**fields: Any) -> TaskRun:
    run = TaskRun(backend="default", path="team.tasks.send", **fields)
    task_runs.enqueue(run)
    return run


def claimed(worker: str = ME) -> TaskRun:
    run = task_runs.claim((), worker)
    assert run is not None
    return run


@pytest.fixture
def run(db: None) -> TaskRun:
    """A run that a worker has claimed."""
    enqueued()
    return claimed()


def let_lease_run_out() -> None:
    TaskRun.objects.update(lease_until=Now() - timedelta(seconds=1))


def stored(run: TaskRun) -> TaskRun:
    return TaskRun.objects.get(pk=run.pk)


def test_it_works(run: TaskRun) -> None:
    assert (run.status, run.attempt, run.worker_ids) == (TaskStatus.RUNNING, 1, [ME])
    assert task_runs.claim((), ME) is None
    assert task_runs.end(run, TaskStatus.SUCCESSFUL, return_value={"a": 1})
    row = stored(run)
    assert (row.status, row.return_value, row.lease_until) == ("SUCCESSFUL", {"a": 1}, None)
    assert task_runs.claim((), ME) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delayed", [False, True])
def test_claims_at_once(delayed: bool) -> None:
    count = 6
    for _ in range(count):
        enqueued(run_after=timezone.now() - timedelta(seconds=9) if delayed else None)

    def take_all(number: int) -> list[int]:
        mine = []
        while TaskRun.objects.filter(status=TaskStatus.READY).exists():
            run = task_runs.claim((), str(number))
            if run is not None:
                mine.append(run.pk)
        return mine

    taken = at_once(4, take_all)
    assert not [each for each in taken if isinstance(each, BaseException)], taken
    assert sorted(chain.from_iterable(taken)) == sorted(
        TaskRun.objects.values_list("pk", flat=True)
    )
    assert set(TaskRun.objects.values_list("attempt", flat=True)) == {1}


def test_a_lease_is_renewed_by_who_holds_it(run: TaskRun) -> None:
    let_lease_run_out()
    assert task_runs.renew(run)
    assert not task_runs.expired().exists()


def test_an_attempt_that_lost_its_run_changes_nothing(run: TaskRun) -> None:
    assert lifecycle.reap_worker(ME)
    assert not task_runs.renew(run)
    assert not task_runs.end(run, TaskStatus.SUCCESSFUL, return_value=1)
    second = claimed("other.1")
    assert not task_runs.renew(run)
    assert not task_runs.end(run, TaskStatus.FAILED)
    assert task_runs.end(second, TaskStatus.SUCCESSFUL, return_value=2)
    row = stored(run)
    assert (row.return_value, row.attempt, row.lost) == (2, 2, 1)
    assert row.worker_ids == [ME, "other.1"]


def test_a_dead_workers_run_is_for_others_at_once(run: TaskRun) -> None:
    lifecycle.reap_worker("other.1")
    assert stored(run).status == TaskStatus.RUNNING
    lifecycle.reap_worker(ME)
    again = claimed()
    assert (again.pk, again.attempt, again.started_at) == (run.pk, 2, run.started_at)
    assert again.last_attempted_at is not None
    assert run.last_attempted_at is not None
    assert again.last_attempted_at > run.last_attempted_at


def test_a_dead_clusters_run() -> None:
    cluster = uuid.uuid4()
    enqueued()
    run = claimed(worker_id(cluster, 3))
    lifecycle.reap_cluster(uuid.uuid4())
    assert stored(run).status == TaskStatus.RUNNING
    lifecycle.reap_cluster(cluster)
    assert stored(run).status == TaskStatus.READY


def test_a_worker_that_is_lost_too_often(run: TaskRun, settings: Any) -> None:
    configure(settings, WORKFLOW_TRIES=2)
    lifecycle.reap_worker(ME)
    claimed()
    lifecycle.reap_worker(ME)
    row = stored(run)
    assert (row.status, row.lost, row.lease_until) == (TaskStatus.FAILED, 2, None)
    assert row.finished_at is not None
    (error,) = row.errors
    assert error["exception_class_path"] == "chatflow.workflows.exceptions.WorkersLost"


def test_a_worker_that_was_ended_on_purpose(run: TaskRun, settings: Any) -> None:
    configure(settings, WORKFLOW_TRIES=1)
    lifecycle.reap_worker(ME, count=False)
    row = stored(run)
    assert (row.status, row.lost) == (TaskStatus.READY, 0)


def test_leases_that_ran_out(run: TaskRun) -> None:
    vigil = Vigil(1.0)
    assert not lifecycle.leases_ran_out(vigil)
    assert lifecycle.reap(vigil) == 0
    let_lease_run_out()
    assert lifecycle.leases_ran_out(vigil)
    assert lifecycle.stuck_workers([ME, "other.1"], vigil) == {ME}
    assert lifecycle.reap(vigil) == 1
    assert stored(run).status == TaskStatus.READY


def test_who_stood_still_takes_nothing(run: TaskRun) -> None:
    let_lease_run_out()
    vigil = Vigil(1.0)
    vigil.doubt()
    assert lifecycle.reap(vigil) == 0
    assert lifecycle.stuck_workers([ME], vigil) == set()
    assert stored(run).status == TaskStatus.RUNNING


def test_who_stood_still_meanwhile_takes_nothing(
    run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_lease_run_out()
    vigil, take_back = Vigil(1.0), task_runs.take_back

    def take_back_slowly(*args: Any) -> int:
        vigil.doubt()
        return take_back(*args)

    monkeypatch.setattr(task_runs, "take_back", take_back_slowly)
    assert lifecycle.reap(vigil) == 0
    assert stored(run).status == TaskStatus.RUNNING


def test_one_that_was_renewed_meanwhile_is_left(run: TaskRun) -> None:
    let_lease_run_out()
    found = task_runs.expired()
    # Reads the rows as they are now.
    assert list(found) == [run]
    task_runs.renew(run)
    assert not task_runs._take_back(run, task_runs.expired(), 1)
    assert stored(run).status == TaskStatus.RUNNING


@pytest.mark.django_db(transaction=True)
def test_results_are_pruned() -> None:
    for _ in range(pruning.BATCH + 2):
        enqueued()
        task_runs.end(claimed(), TaskStatus.FAILED)
    TaskRun.objects.update(finished_at=Now() - timedelta(days=31))
    enqueued()
    running = claimed()
    waiting = enqueued()
    enqueued(priority=1)
    task_runs.end(recent := claimed(), TaskStatus.SUCCESSFUL)
    pruning.prune(30)
    assert set(TaskRun.objects.all()) == {running, waiting, recent}


# The statements.


def find_plans() -> str:
    """Claim from a queue, and from all; return how the database reads the runs for that."""
    word = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    plans = []

    def explain(query: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        if sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                # With its parameters as they are: SQLite finds no index by some of them.
                cursor.execute(f"{word} {sql}", params)
                plans.append(" ".join(str(row[-1]) for row in cursor.fetchall()))
        return query(sql, params, *rest)

    with connection.execute_wrapper(explain):
        assert task_runs.claim(("low",), ME) is None
        assert task_runs.claim((), ME) is not None
    return "\n".join(plans)


def test_a_claim_looks_at_no_run_that_is_not_for_it() -> None:
    """The statistics are of runs that have ended, all of the queue that is asked for."""
    ended = {"status": TaskStatus.SUCCESSFUL, "finished_at": Now(), "queue": "low"}
    later = {"run_after": Now() + timedelta(hours=1), "queue": "low"}
    for fields in (ended, later, {"queue": "high"}):
        if fields is later:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE workflows_taskrun")
        delayed = fields is later
        TaskRun.objects.bulk_create(
            TaskRun(backend="default", path="team.tasks.send", delayed=delayed, **fields)
            for _ in range(1000)
        )
    plans = find_plans()

    for index in ("task_run_delayed", "task_run_next_in_queue", "task_run_next_of_all"):
        assert re.search(rf"(?i)index ((only )?scan using )?{index}\b", plans), plans
    assert not re.search("(?i)seq scan|bitmap|sort|b-tree|SCAN workflows_taskrun$", plans), plans


def test_a_claim_reads_the_arguments_of_no_run_but_its_own() -> None:
    for _ in range(3):
        enqueued(args=["long"])
    with CaptureQueriesContext(connection) as captured:
        run = claimed()
    reads = [each["sql"] for each in captured if '"args"' in each["sql"]]

    assert len(reads) == 1
    assert f'"id" = {run.pk} ' in reads[0]
    assert run.args == ["long"]
    assert run.lease_until is not None


def test_delayed_runs_whose_moment_has_come_wait_by_their_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task_runs, "BATCH", 2)
    hour = timedelta(hours=1)
    later, urgent, plain, last = (
        enqueued(run_after=timezone.now() + hour),
        enqueued(run_after=timezone.now() - hour, priority=1),
        enqueued(),
        enqueued(run_after=timezone.now() - hour),
    )

    assert [claimed() for _ in range(3)] == [urgent, plain, last]
    assert task_runs.claim((), ME) is None
    assert stored(later).delayed
    assert not stored(urgent).delayed


# Runs that can't be taken back just now.


def test_jobs_are_taken_back_before_tasks(
    run: TaskRun, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = chat.send()
    assert lifecycle.claim((), Worker(ME), is_async=True) == job

    def fail(*args: Any) -> int:
        raise make_outage()

    monkeypatch.setattr(task_runs, "take_back", fail)
    with pytest.raises(OperationalError):
        lifecycle.reap_worker(ME)
    assert Job.objects.get().state == State.QUEUED


def test_a_run_that_is_in_conflict_is_left_for_later(
    run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued()
    other, take_back = claimed(), task_runs.take_back
    database = type(get_database())
    monkeypatch.setattr(database, "fault", lambda _, error: Fault.CONFLICT)
    conflicts = iter([make_passing()])

    def flaky(*args: Any) -> int:
        for error in conflicts:
            raise error
        return take_back(*args)

    monkeypatch.setattr(task_runs, "take_back", flaky)
    assert not lifecycle.reap_worker(ME)
    statuses = {stored(each).status for each in (run, other)}
    assert statuses == {TaskStatus.READY, TaskStatus.RUNNING}
    assert lifecycle.reap_worker(ME)
    assert {stored(each).status for each in (run, other)} == {TaskStatus.READY}


@pytest.mark.postgresql  # SQLite has one writer.
@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_locked_is_not_waited_for(
    run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaping, "PATIENCE", 0.01)
    with transaction.atomic():
        TaskRun.objects.select_for_update().get()
        (taken,) = at_once(1, lambda _: lifecycle.reap_worker(ME))
    assert taken is False
    assert stored(run).status == TaskStatus.RUNNING
    assert lifecycle.reap_worker(ME)
    assert stored(run).status == TaskStatus.READY
