"""Redis carries doorbells and nothing else: losing it costs seconds, never a job."""

import time
from collections.abc import Iterator

import pytest
import redis

from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import Site, eventually
from tests.acceptance.streams import Stream
from tests.servers import Redis


@pytest.fixture
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def own_site(make_site: MakeSite, kind: str, server: Redis) -> Site:
    site = make_site(kind, QUEUE_CONNECTION="redis", REDIS_URL=server.url)
    site.start_web()
    site.start_cluster("--workers=2")
    return site


def run(site: Site, what: str) -> None:
    """Run a job to its end, following it; print how long it took."""
    began = time.monotonic()
    sent = site.send("alice", f"speaker {what}")
    with Stream(sent["stream_url"]) as stream:
        frames = list(stream)
    print(f"{what}: {time.monotonic() - began:.2f} s")
    assert frames[-1]["status"] == "completed"
    assert [frame["id"] for frame in frames[1:]] == list(range(1, len(frames)))
    assert site.visits(what) == 1


def test_redis_rings_and_loses_nothing(own_site: Site, server: Redis) -> None:
    site = own_site
    run(site, "with-redis")

    client = redis.Redis.from_url(server.url)
    client.flushall()
    run(site, "flushed")
    # Even its connections may go.
    client.client_kill_filter(_type="pubsub")
    client.client_kill_filter(_type="normal", skipme=True)
    run(site, "connections-cut")
    client.close()

    # It dies while a job runs and is followed, and while others wait.
    site.close_gate("survivor")
    sent = site.send("alice", "speaker survivor")
    with Stream(sent["stream_url"]) as stream:
        stream.until(delta="before ")
        server.kill()
        run(site, "without-redis")
        site.open_gate("survivor")
        opened = time.monotonic()
        stream.until(status="completed")
        print(f"frames without Redis: {time.monotonic() - opened:.2f} s")

    # A cancel is seen when the lease is renewed next.
    site.close_gate("cancelled")
    sent = site.send("alice", "speaker cancelled")
    site.wait_at_gate("cancelled")
    site.api("alice").post(f"/ai-demo/workflow/cancel/{sent['job_id']}")
    cancelled = time.monotonic()
    assert site.finished("alice", sent["job_id"])["state"] == "cancelled"
    print(f"cancel without Redis: {time.monotonic() - cancelled:.2f} s")

    server.start()
    run(site, "restarted")
    eventually(lambda: everybody_listens(server))
    run(site, "subscribed-again")


def everybody_listens(server: Redis) -> bool:
    """Say whether the cluster listens for jobs, and the web process for events."""
    with redis.Redis.from_url(server.url) as client:
        listening = dict(client.pubsub_numsub("chatflow:jobs", "chatflow:events"))
    return all(listening.values())


def test_the_rings_reach_redis(own_site: Site, server: Redis) -> None:
    with redis.Redis.from_url(server.url) as client, client.pubsub() as pubsub:
        pubsub.psubscribe("chatflow:*")
        run(own_site, "rings")
        heard = set()

        def listen() -> bool:
            message = pubsub.get_message(timeout=0.1)
            if message and message["type"] == "pmessage":
                heard.add(message["channel"].decode())
            return {"chatflow:jobs", "chatflow:events"} <= heard

        eventually(listen)
        # Nothing is kept there.
        assert client.dbsize() == 0


@pytest.mark.parametrize("command", [("qcluster",), ("check",), ("queue_work", "--once")])
def test_a_missing_url_stops_the_start(make_site: MakeSite, command: tuple[str, ...]) -> None:
    site = make_site("sqlite", QUEUE_CONNECTION="redis")
    done = site.manage(*command, check=False)
    assert done.returncode != 0
    assert "REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_url_stops_the_web_server(make_site: MakeSite) -> None:
    site = make_site("sqlite", QUEUE_CONNECTION="redis")
    with pytest.raises(AssertionError, match="REDIS_URL"):
        site.start_web()
