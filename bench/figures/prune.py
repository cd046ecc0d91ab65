"""The effect of queue_prune on live traffic, over a million finished jobs; and its speed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg

from bench.client import Client
from bench.figures import live
from bench.processes import ROOT, Program, Web
from bench.ratio import Samples, compare
from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line, p50

SENDS = 200
PAUSE = 0.01
# How much slower anything may be meanwhile.
MOST = 1.2

OLDEST = """
    SELECT id FROM workflows_job WHERE finished_at IS NOT NULL ORDER BY finished_at LIMIT 1
"""
FRAME, SEND = "commit → frame", "async send"


def measure(stage: Stage) -> list[Line]:
    site, rates = stage.long_used, list[float]()
    with site.web() as web, site.cluster():
        quiet = partial(measure_traffic, site, web)

        def measure_beside_prune() -> Samples:
            with run_prune(site, rates):
                return quiet()

        found = compare(measure_beside_prune, quiet, bar=MOST, late=(FRAME, SEND))
    return [line(f"{stage.jobs:,} jobs: pruned beside live traffic", p50(rates), "jobs/s")] + [
        line(f"during queue_prune: {each.name}", each.value, "ms",
             peer=each.peer, peer_name="without",
             bar=f"≤ {MOST}× peer", held=each.value <= MOST * each.peer)
        for each in found
    ]  # fmt: skip


def measure_traffic(site: Site, web: Web) -> Samples:
    """Return the milliseconds from commits to frames, and for sends."""
    frames = live.through_chatflow(site, web)
    return {FRAME: frames, SEND: time_sends(Client(web.port, site.headers))}


def time_sends(client: Client) -> list[float]:
    delays = []
    for number in range(SENDS):
        time.sleep(PAUSE)
        posted = time.monotonic_ns()
        fields = {"workflow": "bench_noop", "async": True, "session_id": f"prune-{number}"}
        client.send("Hello", **fields)
        delays.append((time.monotonic_ns() - posted) / 1e6)
    return delays


@contextmanager
def run_prune(site: Site, rates: list[float]) -> Iterator[None]:
    """Let queue_prune run, from its first batch on; add how many jobs it deleted in a second."""
    with psycopg.connect(site.database_url, autocommit=True) as connection:

        def find_oldest() -> int:
            row = connection.execute(OLDEST).fetchone()
            assert row is not None
            return int(row[0])

        first = find_oldest()
        command = [str(ROOT / "manage.py"), "queue_prune"]
        with Program(*command, environment=site.environment, ready=lambda: find_oldest() > first):
            began, first = time.monotonic(), find_oldest()
            yield
            # The oldest go first, and in this order they are numbered.
            rates.append((find_oldest() - first) / (time.monotonic() - began))
