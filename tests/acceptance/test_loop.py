"""Loop workers with many chats in mid-word: killed, told to stop, cut off, cancelled, blocked.

``CHATS=100 OUTAGE=10 pytest tests/acceptance/test_loop.py`` takes more of them, and time.
"""

import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.kinds import on_postgres, on_sqlite
from tests.acceptance.processes import Site, eventually, is_alive
from tests.acceptance.streams import read_stream
from tests.acceptance.test_crash import assert_gapless, text_of
from tests.model_server import ModelServer, Request
from tests.servers import Postgres

CHATS = int(os.environ.get("CHATS", "25"))
# Seconds that the database stays away when the model has said all.
OUTAGE = float(os.environ.get("OUTAGE", "0"))
WORDS = 40
HELD_AT = 20

Frames = list[dict[str, Any]]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer(wait=0.1, pause=0.01, words=WORDS, hold_at=HELD_AT) as model:
        yield model


@pytest.fixture
def site(make_site: MakeSite, kind: str, model: ModelServer) -> Site:
    site = make_site(
        kind,
        STREAMS_PER_USER="1000",
        WORKFLOW_LEASE_SECONDS="6",
        # Nothing here may cost an attempt that isn't meant to.
        WORKFLOW_TRIES="2",
        # Room for one more.
        QUEUE_CONCURRENCY=str(CHATS + 1),
        **model.environment,
    )
    site.start_web()
    model.hold()
    return site


def send_all(site: Site, words: str) -> list[str]:
    """Send a message in each of many sessions; return the jobs' streams."""

    def send(number: int) -> str:
        message = f"{words} {site.folder.name} {number}"
        return str(site.send("alice", message, session_id=f"s{number}")["stream_url"])

    return [send(number) for number in range(CHATS)]


@contextmanager
def readers(streams: list[str]) -> Iterator[list[Frames]]:
    """Read all streams meanwhile; what they brought is there at the end."""
    found: list[Frames] = []
    with ThreadPoolExecutor(len(streams)) as pool:
        reading = [pool.submit(read_stream, url) for url in streams]
        yield found
        found += [each.result() for each in reading]


def wait_for_words(site: Site, model: ModelServer, words: str, times: int = 1) -> None:
    """Return when the model speaks to all who asked it with these words, for the nth time."""

    def speaks() -> bool:
        mine = find_requests(site, model, words)
        return len(mine) == times * CHATS and all(each.first for each in mine)

    eventually(speaks)


def find_requests(site: Site, model: ModelServer, words: str) -> list[Request]:
    """Return the requests of this site with these words; the model knows those of others too."""
    return [each for each in model.list_requests() if mentions(each.prompt, site, words)]


def mentions(prompt: str, site: Site, words: str) -> bool:
    return prompt.startswith(words) and site.folder.name in prompt


def count_requests(site: Site, model: ModelServer, words: str) -> Counter[str]:
    return Counter(each.prompt for each in find_requests(site, model, words))


def assert_exact(streams: list[Frames], status: str = "completed") -> None:
    """Check that each stream brought each of the model's words once, and in order."""
    for frames in streams:
        assert_gapless(frames)
        assert frames[-1]["status"] == status, frames[-1]
        numbers = [int(word.partition(":")[0]) for word in text_of(frames).split()]
        assert numbers == list(range(WORDS))


def loop_worker(site: Site) -> int:
    """Return the process that runs the jobs."""
    sql = "SELECT DISTINCT pid FROM workflows_job WHERE state = 'processing'"
    [[pid]] = eventually(lambda: site.query(sql))
    return int(pid)


def attempts(site: Site) -> list[tuple[Any, ...]]:
    """Return how the jobs stand, and by which attempt."""
    return site.query("SELECT DISTINCT state, attempt FROM workflows_job")


def test_a_killed_worker(site: Site, model: ModelServer) -> None:
    """All chats are resumed, and no request that had its answer is made again."""
    site.start_cluster()
    with readers(send_all(site, "duet")) as streams:
        wait_for_words(site, model, "second duet")
        pid = loop_worker(site)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_alive(pid))
        wait_for_words(site, model, "second duet", 2)
        model.go_on()
    assert_exact(streams)
    assert attempts(site) == [("completed", 2)]
    assert set(count_requests(site, model, "first duet").values()) == {1}


@on_sqlite
def test_told_to_stop(site: Site, model: ModelServer) -> None:
    """What runs is finished within the grace, and given back after it."""
    cluster = site.start_cluster("--grace=0")
    with readers(send_all(site, "duet")) as streams:
        wait_for_words(site, model, "second duet")
        cluster.terminate()
        assert cluster.wait() == 0
        assert attempts(site) == [("queued", 1)]
        patient = site.start_cluster()
        wait_for_words(site, model, "second duet", 2)
        patient.terminate()
        model.go_on()
        assert patient.wait() == 0
        assert attempts(site) == [("completed", 2)]
    assert_exact(streams)
    assert set(count_requests(site, model, "first duet").values()) == {1}


def test_the_database_goes_away(site: Site, model: ModelServer, postgres: Postgres) -> None:
    """No word is lost or doubled, and no attempt: what was said meanwhile follows."""
    site.start_cluster()
    streams = send_all(site, "duet")
    wait_for_words(site, model, "second duet")
    with locked(site) if site.is_sqlite else stopped(postgres):
        model.go_on()
        # The model says all meanwhile.
        eventually(lambda: all(each.ended for each in find_requests(site, model, "second duet")))
        time.sleep(OUTAGE)
    with readers(streams) as read:
        pass
    assert_exact(read)
    assert attempts(site) == [("completed", 1)]
    assert set(count_requests(site, model, "second duet").values()) == {1}


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Let nobody write meanwhile."""
    database = sqlite3.connect(urlsplit(site.database_url).path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


@contextmanager
def stopped(postgres: Postgres) -> Iterator[None]:
    """Let the server be away meanwhile."""
    postgres.stop("immediate")
    try:
        yield
    finally:
        postgres.start()


@on_postgres
def test_a_storm_of_cancels(site: Site, model: ModelServer) -> None:
    """Each ends at once, with its request to the model; the worker lives on."""
    site.start_cluster()
    with readers(send_all(site, "duet")) as streams:
        wait_for_words(site, model, "second duet")
        pid = loop_worker(site)
        for [job] in site.query("SELECT public_id FROM workflows_job"):
            site.api("alice").post(f"/ai-demo/workflow/cancel/{job}")
    for frames in streams:
        assert_gapless(frames)
        assert frames[-1]["type"] == "cancelled"
    assert attempts(site) == [("cancelled", 1)]
    assert_broken_off(site, model, "second duet")
    model.go_on()
    assert site.run("alice", f"duet {site.folder.name}")["state"] == "completed"
    assert is_alive(pid)


def assert_broken_off(site: Site, model: ModelServer, words: str) -> None:
    """Check that the model saw the end of all these requests while it held its answers."""

    def ended() -> bool:
        return all(
            each.broke_off for each in model.list_requests() if mentions(each.prompt, site, words)
        )

    eventually(ended)
    assert len(count_requests(site, model, words)) == CHATS


@on_sqlite
def test_a_storm_of_deadlines(site: Site, model: ModelServer) -> None:
    site.start_cluster()
    with readers(send_all(site, "hasty")) as streams:
        pass
    for frames in streams:
        assert_gapless(frames)
        assert frames[-1]["status"] == "timeout"
    assert_broken_off(site, model, "hasty")


@on_postgres
def test_one_that_blocks(site: Site, model: ModelServer) -> None:
    """It is named and stopped; the others go on where they were, in the same attempt."""
    site.start_cluster()
    with readers(send_all(site, "duet")) as streams:
        wait_for_words(site, model, "second duet")
        blocker = site.send("alice", "blocking", session_id="blocker")["job_id"]
        data = site.finished("alice", blocker)
        model.go_on()
    assert_exact(streams)
    assert data["state"] == "failed"
    assert f"{blocker} (blocking) blocks its worker" in site.logs()
    traceback = site.value(f"SELECT traceback FROM workflows_job WHERE public_id = '{blocker}'")
    assert "time.sleep(600)" in traceback
    assert "asyncio.to_thread()" in traceback
    duets = "SELECT DISTINCT state, attempt FROM workflows_job WHERE workflow = 'duet'"
    assert site.query(duets) == [("completed", 1)]
    # The overview tells of it, too: the cluster's row says when.
    rows = "SELECT processes FROM workflows_cluster"
    eventually(lambda: any(each["blocked_at"] for [row] in site.query(rows) for each in row))
