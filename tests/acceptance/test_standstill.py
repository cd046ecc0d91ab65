"""Clusters that are paused, blocked, or started again in place: the living keep their jobs."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.kinds import on_postgres
from tests.acceptance.processes import (
    CONTAINER,
    Process,
    Site,
    children,
    eventually,
    is_alive,
    may_make_containers,
)

LEASE = 3.0


@pytest.fixture
def own_site(make_site: MakeSite, kind: str) -> Site:
    """Return a site with a web server and no cluster, where one loss would end a job."""
    site = make_site(kind, WORKFLOW_LEASE_SECONDS=str(LEASE), WORKFLOW_TRIES="1")
    site.start_web()
    return site


def start(site: Site, name: str) -> str:
    """Start a job that waits at a closed gate; return its id when it is there."""
    site.close_gate(f"{name}-2")
    job = str(site.send("alice", f"gated {name}", session_id=name)["job_id"])
    site.wait_at_gate(f"{name}-2")
    return job


def assert_undisturbed(site: Site, name: str, job: str) -> None:
    """Let the job go on, and see it completed by the attempt that began it."""
    site.open_gate(f"{name}-2")
    data = site.finished("alice", job)
    assert (data["state"], data["attempt"]) == ("completed", 1), f"{data}\n{site.logs()}"


def wait_for_a_renewal(site: Site) -> None:
    """Return when the jobs that run hold a lease again, of nearly its whole length."""
    now = (
        "strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 second')"
        if site.is_sqlite
        else ("now() + interval '1 second'")
    )
    sql = f"SELECT count(*) FROM workflows_job WHERE state = 'processing' AND lease_until < {now}"
    eventually(lambda: not site.value(sql))


# Standstill.


def test_a_paused_cluster_goes_on_where_it_was(own_site: Site) -> None:
    """``docker pause``, a suspended machine: nobody died, and nobody else took anything."""
    cluster = own_site.start_cluster("--workers=2")
    jobs = {name: start(own_site, name) for name in ("one", "two")}
    for _ in range(2):
        os.killpg(cluster.pid, signal.SIGSTOP)
        time.sleep(LEASE + 1)
        os.killpg(cluster.pid, signal.SIGCONT)
        wait_for_a_renewal(own_site)
    for name, job in jobs.items():
        assert_undisturbed(own_site, name, job)


@on_postgres
def test_a_paused_worker_in_the_foreground(own_site: Site) -> None:
    command = own_site.manage_command("queue_work")
    worker = own_site.start("worker", command)
    job = start(own_site, "foreground")
    os.killpg(worker.pid, signal.SIGSTOP)
    time.sleep(LEASE + 1)
    os.killpg(worker.pid, signal.SIGCONT)
    wait_for_a_renewal(own_site)
    assert_undisturbed(own_site, "foreground", job)


@contextmanager
def locked_table(site: Site, mode: str) -> Iterator[None]:
    with closing(psycopg.connect(site.database_url)) as other:
        other.execute(f"LOCK TABLE workflows_job IN {mode} MODE".encode())
        yield


@pytest.mark.parametrize("mode", ["ACCESS EXCLUSIVE", "SHARE"])
def test_a_migration_that_locks_the_jobs_for_long(make_site: MakeSite, mode: str) -> None:
    """Two clusters find all leases run out when it ends; so does one that starts meanwhile."""
    site = make_site("postgres", WORKFLOW_LEASE_SECONDS=str(LEASE), WORKFLOW_TRIES="1")
    site.start_web()
    first = site.start_cluster("--workers=1")
    job = start(site, "locked")
    site.start_cluster("--workers=1")
    with locked_table(site, mode):
        time.sleep(LEASE - 1)
        third = site.start("cluster", site.manage_command("qcluster", "--workers=1"))
        third.wait_for(lambda: "The cluster works" in third.log())
        time.sleep(2)
    wait_for_a_renewal(site)
    assert_undisturbed(site, "locked", job)
    assert "killing it" not in first.log()


# Identity.


def start_in_container(site: Site) -> Process:
    command = [*CONTAINER, *site.manage_command("qcluster", "--workers=2")]
    cluster = site.start("cluster", command)
    cluster.wait_for(lambda: "The cluster works" in cluster.log())
    return cluster


@pytest.mark.skipif(not may_make_containers(), reason="may not make containers")
def test_a_container_that_is_started_again_in_place(make_site: MakeSite, kind: str) -> None:
    """Host name and pids are those of the dead one, whose job's lease runs out meanwhile."""
    site = make_site(kind, WORKFLOW_LEASE_SECONDS=str(5 * LEASE))
    site.start_web()
    first = start_in_container(site)
    old = start(site, "old")
    where = "SELECT host, pid FROM workflows_job WHERE public_id = '{}'"
    first.kill()
    # So that only the lease can tell, as on a kernel that numbers its namespaces another way.
    site.query("DELETE FROM workflows_cluster")
    # Both workers of the new one are busy, one of them under the old one's pid.
    start_in_container(site)
    jobs = {name: start(site, name) for name in ("one", "two")}
    places = [site.query(where.format(job))[0] for job in (old, *jobs.values())]
    assert places[0] in places[1:]
    # Not before: else one of the new workers would take the old job, and not wait with another one.
    site.query(f"UPDATE workflows_job SET lease_until = claimed_at WHERE public_id = '{old}'")
    expired = f"SELECT lost FROM workflows_job WHERE public_id = '{old}'"
    eventually(lambda: site.value(expired) == 1)

    for name, job in jobs.items():
        assert_undisturbed(site, name, job)
    site.open_gate("old-2")
    data = site.finished("alice", old)
    assert (data["state"], data["attempt"]) == ("completed", 2), f"{data}\n{site.logs()}"


def test_a_supervisor_that_comes_back_on_its_host_takes_its_jobs_back_at_once(
    make_site: MakeSite, kind: str
) -> None:
    site = make_site(kind, WORKFLOW_LEASE_SECONDS="600")
    site.start_web()
    cluster = site.start_cluster("--workers=1")
    job = start(site, "killed")
    workers = children(cluster.pid)
    cluster.kill()
    eventually(lambda: not any(map(is_alive, workers)))
    site.start_cluster("--workers=1")
    site.wait_at_gate("killed-2", times=2)
    site.open_gate("killed-2")
    data = site.finished("alice", job)
    assert (data["state"], data["attempt"]) == ("completed", 2)
    assert site.value("SELECT count(*) FROM workflows_cluster") == 1
