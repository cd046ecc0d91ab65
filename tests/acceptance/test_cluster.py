"""Clusters that are killed, stopped, cancelled into and redeployed: nothing is lost or repeated.

Measured times are printed (``pytest -s``), and only the outcome is asserted: test machines are
slow at times.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.chaos import audit_logs, audit_sessions
from tests.acceptance.conftest import MakeSite
from tests.acceptance.kinds import on_postgres, on_sqlite
from tests.acceptance.processes import (
    LEDGER,
    Databases,
    Process,
    Site,
    children,
    eventually,
    is_alive,
    kill_group,
)

LEASE = 2.0
MakeLedger = Callable[..., Site]


@pytest.fixture(scope="module")
def ledger(databases: Databases, kind: str) -> Iterator[Site]:
    """Return a running site with the ledger's workflows and a cluster of three workers."""
    settings = {"WORKFLOW_LEASE_SECONDS": str(LEASE)}
    with databases.site(kind, extra_apps=(LEDGER,), **settings) as site:
        site.start_web()
        site.start_cluster("--workers=3")
        yield site


@pytest.fixture
def make_ledger(make_site: MakeSite, kind: str) -> MakeLedger:
    """Return what makes such a site of the test's own, with a web server and no cluster."""

    return partial(start_site, make_site, kind)


def start_site(make_site: MakeSite, kind: str, *apps: str, **settings: str) -> Site:
    names = ("note", "fail", "hang", "nowhere", "crash", "swallow")
    functions = ",".join(f"{LEDGER}.tasks.{name}" for name in names)
    own = {"WORKFLOW_LEASE_SECONDS": str(LEASE), "TASK_FUNCTIONS": functions}
    settings = own | settings
    site = make_site(kind, extra_apps=(LEDGER, *apps), **settings)
    site.start_web()
    return site


def say(what: str, since: float) -> None:
    print(f"{what}: {(time.monotonic() - since) * 1000:.0f} ms")


def start(site: Site, workflow: str, text: str = "go", **fields: Any) -> str:
    """Send a message to the workflow, and return the job's id."""
    return str(site.send("alice", text, workflow=workflow, **fields)["job_id"])


def start_ledger(site: Site, gate: str, steps: int = 4, stop_at: int = 3) -> str:
    """Start a job that stops in front of one of its steps; return its id when it is there."""
    site.close_gate(gate)
    order = f'{{"steps": {steps}, "stop_at": {stop_at}, "gate": "{gate}"}}'
    job = start(site, "ledger", order)
    site.wait_at_gate(gate)
    return job


def run(site: Site, workflow: str, text: str = "go", **fields: Any) -> dict[str, Any]:
    return site.finished("alice", start(site, workflow, text, **fields))


def count(site: Site, step: str, job: str = "task") -> int:
    sql = f"SELECT count(*) FROM ledger_entry WHERE step = '{step}' AND job = '{job}'"
    return int(site.value(sql))


def wait_for_entry(site: Site, step: str, job: str = "task", times: int = 1) -> None:
    eventually(lambda: count(site, step, job) >= times)


def column(site: Site, job: str, name: str) -> Any:
    return site.value(f"SELECT {name} FROM workflows_job WHERE public_id = '{job}'")


def seconds_between(site: Site, job: str) -> list[float]:
    """Return the seconds from the start of each attempt to the start of the next."""
    events = f"FROM workflows_event WHERE type = 'started' AND job_id = {column(site, job, 'id')}"
    moment = "extract(epoch from created_at)"
    if site.is_sqlite:
        moment = "julianday(created_at) * 86400"
    starts = [float(row[0]) for row in site.query(f"SELECT {moment} {events} ORDER BY seq")]
    return [later - earlier for earlier, later in pairwise(starts)]


def assert_written_once(site: Site, job: str, steps: int = 4) -> None:
    written = site.query(f"SELECT step FROM ledger_entry WHERE job = '{job}' ORDER BY id")
    assert [step for [step] in written] == [str(number) for number in range(1, steps + 1)]
    assert audit_logs(site) == []


def assert_ended(site: Site, job: str, state: str, code: str = "") -> None:
    data = site.finished("alice", job)
    assert (data["state"], data.get("code", "")) == (state, code), data
    assert audit_logs(site) == []


def all_gone(pids: list[int]) -> bool:
    return not any(is_alive(pid) for pid in pids)


def cluster_of(site: Site) -> Process:
    [cluster] = [p for p in site.processes if "qcluster" in p.command and p.running]
    return cluster


# Processes that die.


def test_a_busy_workers_job_goes_on_in_another_one(ledger: Site) -> None:
    job = start_ledger(ledger, "busy")
    worker = ledger.busy_worker(job)

    killed = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    ledger.wait_at_gate("busy", times=2)
    say("kill -9 of a busy worker, resumed", killed)

    ledger.open_gate("busy")
    assert_ended(ledger, job, "completed")
    assert_written_once(ledger, job)
    assert column(ledger, job, "attempt") == 2
    assert column(ledger, job, "lost") == 1


def test_an_idle_workers_death_stops_nothing(ledger: Site) -> None:
    cluster = cluster_of(ledger)
    for _ in range(4):
        eventually(lambda: len(cluster.children()) == 3 + 1)
        workers = cluster.children()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        eventually(partial(all_gone, workers))
    killed = time.monotonic()
    assert run(ledger, "ordinary")["state"] == "completed"
    say("kill -9 of every idle worker, four times, then a job", killed)
    eventually(lambda: len(cluster.children()) == 3 + 1)


@on_sqlite
def test_a_job_that_loses_its_worker_too_often_fails(ledger: Site) -> None:
    job = start(ledger, "kills_its_worker")
    assert_ended(ledger, job, "failed", "worker_lost")
    assert count(ledger, "began", job) == 3
    assert column(ledger, job, "attempt") == 3
    assert "lost too often" in ledger.status("alice", job)["error"]
    assert job in ledger.manage("queue_failed").stdout


@on_postgres
def test_a_supervisors_death_leaves_no_orphans(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    cluster = site.start_cluster("--workers=2")
    job = start_ledger(site, "supervisor")
    workers = cluster.children()
    # And a loop worker.
    assert len(workers) == 2 + 1

    killed = time.monotonic()
    cluster.kill()
    eventually(partial(all_gone, workers))
    say("kill -9 of the supervisor, its workers gone", killed)
    assert column(site, job, "state") == "processing"

    site.start_cluster("--workers=1")
    started = time.monotonic()
    site.wait_at_gate("supervisor", times=2)
    say("a new cluster's start, resumed", started)
    site.open_gate("supervisor")
    assert_ended(site, job, "completed")
    assert_written_once(site, job)


def test_another_hosts_job_goes_on_when_its_lease_runs_out(
    make_ledger: MakeLedger, tmp_path: Path
) -> None:
    site = make_ledger()
    # Python imports it at its start.
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\nsocket.gethostname = lambda: 'elsewhere'\n"
    )
    elsewhere = site.start_cluster(PYTHONPATH=str(tmp_path))
    job = start_ledger(site, "elsewhere")
    assert column(site, job, "host") == "elsewhere"
    site.start_cluster("--workers=1")

    killed = time.monotonic()
    kill_group(elsewhere.pid)
    site.wait_at_gate("elsewhere", times=2)
    say(f"loss of another host with a lease of {LEASE:g} s, resumed", killed)
    assert column(site, job, "host") != "elsewhere"
    site.open_gate("elsewhere")
    assert_ended(site, job, "completed")
    assert_written_once(site, job)


def test_a_stopped_worker_that_wakes_up_too_late_writes_nothing(make_site: MakeSite) -> None:
    # Not on SQLite: a process that is stopped with the write lock in its hands stops everybody.
    site = start_site(make_site, "postgres")
    site.start_cluster("--workers=1")
    job = start_ledger(site, "frozen")
    frozen = site.busy_worker(job)
    # As a paused virtual machine: it lives, and renews no lease.
    os.kill(frozen, signal.SIGSTOP)
    site.start_cluster("--workers=1")
    site.wait_at_gate("frozen", times=2)
    site.open_gate("frozen")
    assert_ended(site, job, "completed")
    events = column(site, job, "last_seq")

    # Its own supervisor may have seen the lease run out, and ended it.
    with suppress(ProcessLookupError):
        os.kill(frozen, signal.SIGCONT)
    eventually(lambda: "lost its lease" in site.logs() or not is_alive(frozen))
    assert run(site, "ordinary")["state"] == "completed"
    assert column(site, job, "last_seq") == events
    assert_written_once(site, job)


# Stops.


@on_sqlite
def test_sigterm_lets_the_running_job_end(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    cluster = site.start_cluster("--workers=1")
    job = start_ledger(site, "drained")
    waiting = start(site, "ordinary")

    cluster.terminate()
    cluster.wait_for(lambda: "is stopping" in cluster.log())
    site.open_gate("drained")
    opened = time.monotonic()
    assert cluster.wait() == 0
    say("SIGTERM, gone after the last job's end", opened)
    assert column(site, job, "attempt") == 1
    assert_ended(site, job, "completed")
    assert_written_once(site, job)
    assert column(site, waiting, "state") == "queued"
    assert site.value("SELECT count(*) FROM workflows_cluster") == 0


@on_postgres
def test_sigterm_to_the_whole_group_lets_the_running_job_end(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    cluster = site.start_cluster("--workers=2")
    job = start_ledger(site, "group")

    os.killpg(cluster.pid, signal.SIGTERM)
    cluster.wait_for(lambda: "is stopping" in cluster.log())
    site.open_gate("group")
    assert cluster.wait() == 0
    assert column(site, job, "attempt") == 1
    assert_ended(site, job, "completed")


@on_postgres
def test_a_job_longer_than_the_grace_goes_on_elsewhere(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    cluster = site.start_cluster("--workers=1", "--grace=1")
    job = start_ledger(site, "graceless")

    stopped = time.monotonic()
    cluster.terminate()
    assert cluster.wait() == 0
    say("SIGTERM with a grace of 1 s, gone", stopped)
    assert (column(site, job, "state"), column(site, job, "lost")) == ("queued", 0)

    site.start_cluster("--workers=1")
    site.wait_at_gate("graceless", times=2)
    site.open_gate("graceless")
    assert_ended(site, job, "completed")
    assert_written_once(site, job)
    assert column(site, job, "lost") == 0


@on_sqlite
def test_a_second_sigterm_stops_now(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    cluster = site.start_cluster("--workers=2", "--grace=600")
    job = start_ledger(site, "twice")
    stubborn = start(site, "swallows")
    wait_for_entry(site, "swallows", stubborn)

    cluster.terminate()
    cluster.wait_for(lambda: "is stopping" in cluster.log())
    stopped = time.monotonic()
    cluster.terminate()
    assert cluster.wait() == 0
    say("second SIGTERM, gone, with a job that swallows its interruption", stopped)
    for given_back in (job, stubborn):
        assert column(site, given_back, "state") == "queued"
        assert column(site, given_back, "lost") == 0


# Interruptions.


@on_postgres
@pytest.mark.parametrize("workflow", ["sleeps", "spins", "reads"])
def test_cancel_stops_the_work_itself(ledger: Site, workflow: str) -> None:
    job = start(ledger, workflow)
    wait_for_entry(ledger, workflow, job)
    worker = ledger.busy_worker(job)

    cancelled = time.monotonic()
    for _ in range(2):
        answer = ledger.api("alice").post(f"/ai-demo/workflow/cancel/{job}")
        assert answer.status_code == 200
    eventually(lambda: column(ledger, job, "state") == "cancelled")
    say(f"cancel of {workflow!r}, ended", cancelled)
    assert_ended(ledger, job, "cancelled", "cancelled")
    # The work was stopped, not its process.
    assert is_alive(worker)
    answer = ledger.api("alice").post(f"/ai-demo/workflow/cancel/{job}")
    assert answer.status_code == 200
    assert_ended(ledger, job, "cancelled", "cancelled")


def test_cancel_and_completion_race_to_one_end(ledger: Site) -> None:
    def race(number: int) -> str:
        job = start(ledger, "ledger", '{"steps": 1}', session_id=f"race-{number % 3}")
        time.sleep(number * 0.004)
        ledger.api("alice").post(f"/ai-demo/workflow/cancel/{job}")
        return job

    with ThreadPoolExecutor(3) as threads:
        jobs = list(threads.map(race, range(24)))
    states = [ledger.finished("alice", job)["state"] for job in jobs]
    assert set(states) <= {"completed", "cancelled"}
    assert audit_logs(ledger) == []
    assert audit_sessions(ledger) == []
    print(f"cancel against completion: {states.count('cancelled')} of {len(states)} cancelled")


@on_postgres
@pytest.mark.parametrize("workflow", ["returns_all_the_same", "raises_instead"])
def test_code_that_hides_its_interruption_is_cancelled(ledger: Site, workflow: str) -> None:
    job = start(ledger, workflow)
    wait_for_entry(ledger, workflow, job)
    ledger.api("alice").post(f"/ai-demo/workflow/cancel/{job}")
    assert_ended(ledger, job, "cancelled", "cancelled")


@on_sqlite
def test_code_that_swallows_its_interruption_is_ended(ledger: Site) -> None:
    late = {name: start(ledger, name) for name in ("swallows_late", "looks_at_the_clock")}
    job = start(ledger, "swallows")
    wait_for_entry(ledger, "swallows", job)
    worker = ledger.busy_worker(job)

    cancelled = time.monotonic()
    ledger.api("alice").post(f"/ai-demo/workflow/cancel/{job}")
    assert_ended(ledger, job, "cancelled", "cancelled")
    say("cancel of code that swallows it, ended", cancelled)
    eventually(lambda: not is_alive(worker))
    for overdue in late.values():
        assert_ended(ledger, overdue, "timeout", "timeout")
    assert run(ledger, "ordinary")["state"] == "completed"


@on_postgres
@pytest.mark.parametrize("workflow", ["late", "late_async"])
def test_the_deadline_stops_the_work_itself(ledger: Site, workflow: str) -> None:
    started = time.monotonic()
    job = start(ledger, workflow)
    assert_ended(ledger, job, "timeout", "timeout")
    say(f"deadline of 0.5 s in {workflow!r}, ended", started)


@on_sqlite
def test_the_budget_of_ai_calls_binds(ledger: Site) -> None:
    job = start(ledger, "asks_too_much")
    assert_ended(ledger, job, "failed", "ai_budget")
    steps = f"SELECT count(*) FROM workflows_step WHERE job_id = {column(ledger, job, 'id')}"
    assert ledger.value(steps) == 2


# Tries.


@on_postgres
def test_tries_wait_for_their_backoff_and_keep_the_steps(ledger: Site) -> None:
    job = start(ledger, "raises_twice")
    assert_ended(ledger, job, "completed")
    assert (count(ledger, "try", job), count(ledger, "1", job)) == (3, 1)
    first, second = seconds_between(ledger, job)
    assert first >= 0.2
    assert second >= 0.6
    print(f"backoff of 0.2 s and 0.6 s: {first:.3f} s and {second:.3f} s")


@on_sqlite
def test_tries_end(ledger: Site) -> None:
    job = start(ledger, "raises_always")
    assert_ended(ledger, job, "failed", "workflow_failed")
    assert count(ledger, "try", job) == 2
    assert "as it was asked to" not in ledger.status("alice", job)["error"]


@on_postgres
def test_retry_until_ends(ledger: Site) -> None:
    job = start(ledger, "raises_until")
    assert_ended(ledger, job, "failed", "workflow_failed")
    assert 2 <= count(ledger, "try", job) <= 5


@on_sqlite
@pytest.mark.parametrize(
    ("workflow", "code"), [("gives_up", "no_customer"), ("exits", "workflow_failed")]
)
def test_some_errors_are_not_tried_again(ledger: Site, workflow: str, code: str) -> None:
    job = start(ledger, workflow)
    assert_ended(ledger, job, "failed", code)
    assert column(ledger, job, "attempt") == 1


def test_a_database_error_of_the_authors_own_is_no_outage(ledger: Site) -> None:
    job = start(ledger, "misuses_the_database")
    assert_ended(ledger, job, "failed", "workflow_failed")
    assert column(ledger, job, "attempt") == 1


@on_postgres
def test_a_step_is_tried_again_by_itself(ledger: Site) -> None:
    job = start(ledger, "retries_a_step")
    assert_ended(ledger, job, "completed")
    assert count(ledger, "try", job) == 3
    assert column(ledger, job, "attempt") == 1


# Queues.


@on_sqlite
def test_the_most_urgent_job_comes_first(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    jobs = [start(site, name) for name in ("ordinary", "express", "urgent", "ordinary")]
    site.start_cluster("--workers=1")
    for job in jobs:
        site.finished("alice", job)
    order = site.query("SELECT workflow FROM workflows_job ORDER BY started_at")
    assert [name for [name] in order] == ["urgent", "ordinary", "express", "ordinary"]


@on_postgres
def test_a_cluster_serves_its_queues_in_their_order(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    jobs = [start(site, name) for name in ("ordinary", "urgent", "express")]
    cluster = site.start_cluster("--workers=1", "--queue=express")
    site.finished("alice", jobs[2])
    assert site.value("SELECT count(*) FROM workflows_job WHERE state = 'queued'") == 2
    cluster.terminate()
    assert cluster.wait() == 0

    jobs.append(start(site, "express"))
    site.start_cluster("--workers=1", "--queue=express,default")
    for job in jobs:
        site.finished("alice", job)
    order = site.query("SELECT workflow FROM workflows_job ORDER BY started_at")
    assert [name for [name] in order] == ["express", "express", "urgent", "ordinary"]


@on_sqlite
def test_a_delayed_job_waits_for_its_time(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    site.start_cluster("--workers=1", "--queue=express")
    job = start(site, "ordinary")
    later = "clock_timestamp() + interval '0.7 seconds'"
    if site.is_sqlite:
        later = "strftime('%Y-%m-%d %H:%M:%f', 'now', '+0.7 seconds')"
    # No cluster takes it meanwhile: this one serves another queue.
    delayed = time.monotonic()
    site.query(f"UPDATE workflows_job SET available_at = {later}, queue = 'express'")
    assert_ended(site, job, "completed")
    say("delay of 0.7 s, ended", delayed)
    assert time.monotonic() - delayed >= 0.7


def test_work_of_one_key_is_queued_once(ledger: Site) -> None:
    ledger.close_gate("only_one")
    job = start(ledger, "only_one")
    body = {"message": "go", "workflow": "only_one", "async": True}
    answer = ledger.api("alice").post("/ai-demo/chat/send", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_queued")
    assert ledger.api("bob").post("/ai-demo/chat/send", json=body).status_code == 202
    ledger.open_gate("only_one")
    assert_ended(ledger, job, "completed")
    assert run(ledger, "only_one")["state"] == "completed"


# Sessions.


def test_a_busy_session_queues_rejects_or_interrupts(ledger: Site) -> None:
    first = start(ledger, "sleeps", session_id="busy")
    wait_for_entry(ledger, "sleeps", first)
    second = start(ledger, "ordinary", session_id="busy")
    assert column(ledger, second, "state") == "queued"
    body = {"message": "go", "workflow": "ordinary", "async": True, "session_id": "busy"}
    answer = ledger.api("alice").post("/ai-demo/chat/send", json=body | {"on_busy": "reject"})
    assert (answer.status_code, answer.json()["code"]) == (409, "session_busy")
    third = start(ledger, "ordinary", session_id="busy", on_busy="interrupt")
    assert_ended(ledger, first, "cancelled", "interrupted")
    assert_ended(ledger, second, "cancelled", "interrupted")
    assert_ended(ledger, third, "completed")


def test_two_web_servers_cannot_start_two_jobs_of_a_session(make_ledger: MakeLedger) -> None:
    site = make_ledger(WORKFLOW_TRIES="10")
    urls = [site.url, site.start_web().url]
    site.start_cluster("--workers=3")
    clients = [site.client("alice", url) for url in urls]
    start_together = threading.Barrier(8)

    def send(number: int) -> str:
        start_together.wait(60)
        body = {
            "message": '{"steps": 2, "seconds": 0.01}',
            "workflow": "ledger",
            "async": True,
            "session_id": "shared",
        }
        # Each key is used by two requests at the same time, one to each server.
        key = {"Idempotency-Key": f"key-{number // 2}"}
        answer = clients[number % 2].post("/ai-demo/chat/send", json=body, headers=key)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    with ThreadPoolExecutor(8) as threads:
        sent = list(threads.map(send, range(32)))
    jobs = sorted(set(sent))
    assert len(jobs) == 16
    for job in jobs:
        assert_ended(site, job, "completed")
        assert_written_once(site, job, steps=2)
    assert audit_sessions(site) == []


# Deployments.


@on_postgres
def test_a_rotated_key_loses_no_queued_work(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    job = start_ledger_queued(site)
    call_task(site, "note", "signed with the old key")
    old = site.env["SECRET_KEY"]
    # The web server goes on with the old one for a while.
    site.start_cluster("--workers=1", SECRET_KEY="a-new-key", SECRET_KEY_FALLBACKS=f"older,{old}")
    assert_ended(site, job, "completed")
    wait_for_entry(site, "signed with the old key")
    call_task(site, "note", "signed with the new key", key="a-new-key")
    wait_for_entry(site, "signed with the new key")


def start_ledger_queued(site: Site) -> str:
    return start(site, "ledger", '{"steps": 3}')


OLD_CODE = """
from tests.acceptance.apps.gates import pass_gate
from chatflow.workflows import workflow

def work(name):
    pass_gate(f"{name}-ran")
    return name

def make(key):
    @workflow(key)
    def run(ctx):
        ctx.step("First", work, f"{key}-first")
        ctx.step("Second", work, f"{key}-second")
        pass_gate(f"{key}-gate")
        ctx.step("Third", work, f"{key}-third")
        return "as of old"
    run.__qualname__ = key

for key in ("unchanged", "gone", "renamed", "removed", "inserted", "appended", "swapped"):
    make(key)
"""

NEW_CODE = """
from tests.acceptance.apps.gates import pass_gate
from chatflow.workflows import workflow

def work(name):
    pass_gate(f"{name}-ran")
    return name

def make(key, *names):
    @workflow(key)
    def run(ctx):
        for name in names:
            result = ctx.step(name, work, f"{key}-{name.lower()}")
            assert result == f"{key}-{name.lower()}", result
        return "as of late"
    run.__qualname__ = key

make("unchanged", "First", "Second", "Third")
make("renamed", "First", "Other", "Third")
make("removed", "First", "Third")
make("inserted", "First", "Between", "Second", "Third")
make("appended", "First", "Second", "Third", "Fourth")
make("swapped", "Second", "First", "Third")
"""


@on_sqlite
def test_a_changed_workflow_goes_on_or_fails_clearly(
    make_ledger: MakeLedger, tmp_path: Path
) -> None:
    package = tmp_path / "redeployed"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "workflows.py").write_text(OLD_CODE)
    site = make_ledger("redeployed", PYTHONPATH=str(tmp_path))
    cluster = site.start_cluster("--workers=7", "--grace=0")
    names = ("unchanged", "gone", "renamed", "removed", "inserted", "appended", "swapped")
    for name in names:
        site.close_gate(f"{name}-gate")
    jobs = {name: start(site, name) for name in names}
    for name in names:
        site.wait_at_gate(f"{name}-gate")
    cluster.terminate()
    assert cluster.wait() == 0

    (package / "workflows.py").write_text(NEW_CODE)
    site.start_cluster("--workers=2")
    for name in ("unchanged", "appended"):
        data = site.finished("alice", jobs[name])
        assert (data["state"], data.get("response")) == ("completed", "as of late"), data
    for name in ("renamed", "removed", "inserted", "swapped"):
        assert_ended(site, jobs[name], "failed", "workflow_changed")
        assert site.visits(f"{name}-third-ran") == 0
    assert_ended(site, jobs["gone"], "failed", "unknown_workflow")
    for name in names:
        # No recorded step ran again.
        assert site.visits(f"{name}-first-ran") == site.visits(f"{name}-second-ran") == 1
    for name in ("other", "between"):
        assert not list(site.gates.glob(f"*-{name}-ran.visits"))


# Ordinary tasks of django-q2.


def call_task(site: Site, function: str, step: str, *, key: str = "") -> None:
    """Enqueue a task as any Django code would."""
    code = (
        f"from django_q.tasks import async_task\nasync_task('{LEDGER}.tasks.{function}', {step!r})"
    )
    site.manage("shell", "--command", code, SECRET_KEY=key or site.env["SECRET_KEY"])


@on_postgres
def test_ordinary_tasks_and_schedules_run_too(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    site.manage(
        "shell",
        "--command",
        "from django_q.models import Schedule\n"
        "from django_q.tasks import async_task, schedule\n"
        f"schedule('{LEDGER}.tasks.note', 'scheduled', schedule_type=Schedule.ONCE)\n"
        f"async_task('{LEDGER}.tasks.note', 'plain', task_name='plain', save=True)\n"
        f"async_task('{LEDGER}.tasks.fail', 'fails', task_name='fails')\n"
        f"async_task('{LEDGER}.tasks.hang', 'hangs', task_name='hangs', timeout=1)\n"
        f"async_task('{LEDGER}.tasks.nowhere', task_name='nowhere')",
    )
    site.start_cluster("--workers=2")
    results = "SELECT name, success FROM django_q_task ORDER BY name"
    eventually(lambda: len(site.query(results)) == 4)
    assert [(name, bool(success)) for name, success in site.query(results)] == [
        ("fails", False),
        ("hangs", False),
        ("nowhere", False),
        ("plain", True),
    ]
    for step in ("plain", "fails", "hangs"):
        assert count(site, step) == 1
    wait_for_entry(site, "scheduled")
    assert count(site, "scheduled") == 1
    eventually(lambda: site.value("SELECT count(*) FROM django_q_ormq") == 0)


@on_postgres
def test_a_poisoned_task_cannot_stop_the_cluster(make_ledger: MakeLedger) -> None:
    site = make_ledger()
    site.query(
        "INSERT INTO django_q_ormq (key, payload, lock)"
        " VALUES ('chatflow', 'garbage', '2020-01-01'), ('chatflow', '', '2020-01-01')"
    )
    # A function that this code doesn't have is pickled by its module's name.
    site.manage(
        "shell",
        "--command",
        "import sys, types\n"
        "from django_q.tasks import async_task\n"
        "module = sys.modules['of_another_release'] = types.ModuleType('of_another_release')\n"
        "exec('class Thing: pass', module.__dict__)\n"
        f"async_task('{LEDGER}.tasks.note', module.Thing())\n"
        f"async_task('{LEDGER}.tasks.crash', 'crashes')\n"
        f"async_task('{LEDGER}.tasks.swallow', 'swallows', timeout=1)",
    )
    cluster = site.start_cluster("--workers=1")
    job = start_ledger_queued(site)
    call_task(site, "note", "after the poison")
    assert_ended(site, job, "completed")
    wait_for_entry(site, "after the poison")
    assert (count(site, "crashes"), count(site, "swallows")) == (1, 1)
    assert cluster.running
    # A worker, and a loop worker beside it.
    eventually(lambda: len(children(cluster.pid)) == 2)
