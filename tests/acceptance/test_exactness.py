"""Clients come, go and come back while what serves them is killed: each sees each event once."""

import random
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import SECONDS, Process, Site
from tests.acceptance.streams import TERMINAL, Stream
from tests.acceptance.test_streams import at
from tests.servers import Redis

CLIENTS = 10
GATES = 5
# What a client may meet while a web process starts, and has to come back for.
NOT_YET = (502, 503)


class Client(threading.Thread):
    """Watches a job to its end, as a browser does: whenever a stream breaks off it comes back.

    It leaves streams by itself too, after a random number of events, and comes back to any of the
    web processes.
    """

    def __init__(self, seed: int, links: list[str]) -> None:
        super().__init__(name=f"client {seed}", daemon=True)
        self.random = random.Random(seed)
        self.links = links
        self.seen: list[int] = []
        self.times = 0
        self.last_status = ""
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while self.last_status not in TERMINAL:
                self.times += 1
                try:
                    self.watch()
                except httpx.TransportError:
                    # It was cut, or nobody is there yet.
                    time.sleep(0.05)
        except BaseException as error:
            self.error = error

    def watch(self) -> None:
        cursor = self.seen[-1] if self.seen else None
        with Stream(self.random.choice(self.links), last_event_id=cursor) as stream:
            if stream.status in NOT_YET:
                return
            assert stream.status == 200, stream.status
            connected = next(stream)
            assert connected["id"] is None
            for _ in range(self.random.randint(1, 300)):
                frame = next(stream, None)
                assert frame is not None, "What was cut off passed for finished."
                self.seen.append(frame["id"])
                self.last_status = frame["status"]
                if self.last_status in TERMINAL:
                    assert next(stream, None) is None
                    return


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def own_site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    """Return a site with a doorbell of each kind."""
    if request.param != "redis":
        return make_site(request.param)
    url = request.getfixturevalue("redis").url
    return make_site("postgres", QUEUE_CONNECTION="redis", REDIS_URL=url)


def test_it_is_exact_over_kills(own_site: Site, request: pytest.FixtureRequest) -> None:
    site = own_site
    webs = [site.start_web(), site.start_web()]
    site.start_cluster("--workers=1")
    for gate in range(1, GATES + 1):
        site.close_gate(f"kills-{gate}")
    sent = site.send("alice", "chatter kills")
    links = [at(web, sent["stream_url"]) for web in webs]
    clients = [Client(seed, links) for seed in range(CLIENTS)]
    # Some are late.
    punctual, late = clients[::2], clients[1::2]
    for client in punctual:
        client.start()

    def kill_a_web_process(number: int) -> None:
        webs[number].kill()
        webs[number] = site.start_web(port=port_of(webs[number]))

    def let_the_late_in() -> None:
        for client in late:
            client.start()

    strikes: list[Callable[[], object]] = [
        lambda: kill_a_web_process(0),
        let_the_late_in,
        lambda: cut_doorbells(site),
        lambda: kill_a_web_process(1),
    ]
    if "REDIS_URL" in site.env:
        strikes[2] = request.getfixturevalue("redis").restart
    for gate, strike in enumerate(strikes, 1):
        site.wait_at_gate(f"kills-{gate}")
        # The events behind the gate flow while it strikes.
        site.open_gate(f"kills-{gate}")
        strike()
    site.open_gate(f"kills-{GATES}")
    site.finished("alice", sent["job_id"])

    head = site.value("SELECT last_seq FROM workflows_job")
    assert head > 200 * GATES
    for client in clients:
        client.join(SECONDS)
        assert client.error is None, client.error
        assert client.seen == list(range(1, head + 1))
        assert client.last_status == "completed"
    # They did come back.
    assert sum(client.times for client in clients) > 2 * CLIENTS


def port_of(web: Process) -> int:
    return int(web.url.rpartition(":")[2])


def cut_doorbells(site: Site) -> None:
    """Terminate every connection that listens; SQLite's doorbell has none."""
    if not site.is_sqlite:
        site.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN %'"
        )
