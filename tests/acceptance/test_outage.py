"""PostgreSQL goes away and comes back: jobs, streams and clients ride it out."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from tests.acceptance.chaos import audit_logs
from tests.acceptance.processes import LEDGER, Databases, Site, eventually
from tests.acceptance.streams import Stream
from tests.servers import Postgres

# Leases run out in the longer outage, so that live workers must win their jobs back.
LEASE = "6"
JOBS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Return a server of this module's own, which may be stopped."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def running(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    databases = Databases(server, tmp_path_factory.mktemp("outage"))
    settings = {"WORKFLOW_LEASE_SECONDS": LEASE}
    with databases.site("postgres", extra_apps=(LEDGER,), **settings) as site:
        site.start_web()
        site.start_cluster(f"--workers={JOBS + 2}")
        yield site


keys = (f"outage{number}" for number in count(1))


class Follower(threading.Thread):
    """Reads one stream, on one connection, to its end."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.frames: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with Stream(self.url) as stream:
                self.frames.extend(stream)
        except Exception as error:
            self.error = error


def stop_for(seconds: float, mode: str) -> Callable[[Site, Postgres], None]:
    """Return what stops the server for a while, and asks for what can't be had meanwhile."""

    def strike(site: Site, server: Postgres) -> None:
        server.stop(mode)
        back_at = time.monotonic() + seconds
        refused_at = time.monotonic()
        answer = try_to_send(site, "while it is away")
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["success"] is False
        assert "Traceback" not in answer.text
        print(f"send refused after {time.monotonic() - refused_at:.2f} s")
        assert httpx.get(f"{site.url}/healthz", trust_env=False).status_code == 200
        # This may open the gates when the steps behind them can't be recorded yet.
        for gate in sorted(site.gates.glob("outage*.closed")):
            gate.unlink()
        while time.monotonic() < back_at:
            time.sleep(0.05)
        server.start()

    return strike


def cut_again_and_again(site: Site, server: Postgres) -> None:
    """Terminate every connection, several times, while the jobs go on."""
    for number in range(8):
        server.terminate_backends()
        if number == 3:
            for gate in sorted(site.gates.glob("outage*.closed")):
                gate.unlink()
        time.sleep(0.25)


def only_read_for(seconds: float) -> Callable[[Site, Postgres], None]:
    """Return what lets the server refuse every write for a while, as a standby before it leads."""

    def strike(site: Site, server: Postgres) -> None:
        set_read_only(server, "on")
        back_at = time.monotonic() + seconds
        try:
            eventually(lambda: try_to_send(site, "while it is read-only").status_code == 503)
            for gate in sorted(site.gates.glob("outage*.closed")):
                gate.unlink()
            while time.monotonic() < back_at:
                answer = try_to_send(site, "while it is read-only")
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.json()["code"] == "unavailable"
                ready = httpx.get(f"{site.url}/readyz", trust_env=False)
                assert ready.json()["checks"]["database"] == "Read-only"
        finally:
            set_read_only(server, "off")

    return strike


def set_read_only(server: Postgres, value: str) -> None:
    with server.connect() as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        connection.execute("SELECT pg_reload_conf()")


def try_to_send(site: Site, message: str) -> httpx.Response:
    body = {"message": message, "workflow": "ordinary", "async": True}
    return site.api("alice").post("/ai-demo/chat/send", json=body)


@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(stop_for(1, "fast"), id="stopped-1s"),
        pytest.param(stop_for(10, "immediate"), id="crashed-10s"),
        pytest.param(cut_again_and_again, id="connections-cut"),
        pytest.param(only_read_for(3), id="read-only-3s"),
    ],
)
def test_jobs_and_streams_ride_out_an_outage(
    running: Site, server: Postgres, strike: Callable[[Site, Postgres], None]
) -> None:
    site = running
    jobs: dict[str, str] = {}
    followers = []
    for _ in range(JOBS):
        key = next(keys)
        site.close_gate(f"{key}-2")
        sent = site.send("alice", f"gated {key}", workflow="gated")
        jobs[key] = sent["job_id"]
        followers.append(Follower(sent["stream_url"]))
        followers[-1].start()
    # Two that write ledgers meanwhile, most of the time within a transaction.
    order = '{"steps": 6, "inside": 0.5}'
    ledgers = [site.send("alice", order, workflow="ledger")["job_id"] for _ in range(2)]
    for key in jobs:
        site.wait_at_gate(f"{key}-2")
    eventually(lambda: all(follower.frames for follower in followers))

    strike(site, server)

    back = time.monotonic()
    assert eventually(lambda: (sent := try_to_send(site, "again")).status_code == 202 and sent)
    print(f"send accepted {time.monotonic() - back:.2f} s after the database's return")
    for key, job in jobs.items():
        data = site.finished("alice", job)
        assert (data["state"], data["response"]) == ("completed", "All four."), data
        # No step ran twice, and no attempt was lost: the workers lived.
        assert [site.visits(f"{key}-{number}") for number in range(1, 5)] == [1, 1, 1, 1]
        assert data["attempt"] == 1
    print(f"jobs finished {time.monotonic() - back:.2f} s after the database's return")
    for job in ledgers:
        assert site.finished("alice", job)["state"] == "completed"
        written = site.query(f"SELECT step FROM ledger_entry WHERE job = '{job}' ORDER BY id")
        assert [step for [step] in written] == list("123456")
        assert site.value(f"SELECT lost FROM workflows_job WHERE public_id = '{job}'") == 0
    for follower in followers:
        follower.join(60)
        assert not follower.is_alive()
        # Nobody cut it, and it told all, each event once.
        assert follower.error is None
        connected, *frames = follower.frames
        assert connected["status"] == "connected"
        assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
        assert frames[-1]["status"] == "completed"
    assert audit_logs(site) == []


def test_processes_that_start_before_their_database_wait_for_it(
    running: Site, server: Postgres
) -> None:
    site = running
    server.stop()
    cluster = site.start_cluster("--workers=1")
    web = site.start_web()
    assert httpx.get(f"{web.url}/readyz", trust_env=False).status_code == 503
    server.start()
    eventually(lambda: httpx.get(f"{web.url}/readyz", trust_env=False).status_code == 200)
    cluster_rows = f"SELECT 1 FROM workflows_cluster WHERE pid = {cluster.pid}"
    eventually(lambda: site.query(cluster_rows))
    assert site.run("alice", "speaker early")["state"] == "completed"
    cluster.terminate()
    assert cluster.wait() == 0
