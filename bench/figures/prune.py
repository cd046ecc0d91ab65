"""What queue_prune does to live traffic, over a million finished jobs; and how fast it is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.client import Client
from bench.figures import live
from bench.processes import ROOT, Program, Web
from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line, over_rounds, p50

ROUNDS = 5
SENDS = 200
PAUSE = 0.01
# How much slower anything may be meanwhile.
MOST = 1.2

OLDEST = """
    SELECT id FROM workflows_job WHERE finished_at IS NOT NULL ORDER BY finished_at LIMIT 1
"""


def measure(stage: Stage) -> list[Line]:
    site = stage.long_used
    quiet: list[Traffic] = []
    pruned: list[Traffic] = []
    rates: list[float] = []
    with site.web() as web, site.cluster():
        for _ in range(ROUNDS):
            quiet.append(traffic(site, web))
            with pruning(site, rates):
                pruned.append(traffic(site, web))
    lines = [line(f"{stage.jobs:,} jobs: pruned beside live traffic", p50(rates), "jobs/s")]
    for index, name in enumerate(("commit → frame", "async send")):
        before = over_rounds([each[index] for each in quiet])
        meanwhile = over_rounds([each[index] for each in pruned])
        for quantile, value, peer in zip(("p50", "p99"), meanwhile, before, strict=True):
            lines.append(
                line(f"during queue_prune: {name}, {quantile}", value, "ms",
                     peer=peer, peer_name="without", bar=f"≤ {MOST}× peer",
                     held=value <= MOST * peer)
            )  # fmt: skip
    return lines


# Milliseconds from commits to frames, and for sends.
Traffic = tuple[list[float], list[float]]


def traffic(site: Site, web: Web) -> Traffic:
    return live.through_chatflow(site, web), sends(Client(web.port, site.headers))


def sends(client: Client) -> list[float]:
    delays = []
    for number in range(SENDS):
        time.sleep(PAUSE)
        posted = time.monotonic_ns()
        fields = {"workflow": "bench_noop", "async": True, "session_id": f"prune-{number}"}
        client.send("Hello", **fields)
        delays.append((time.monotonic_ns() - posted) / 1e6)
    return delays


@contextmanager
def pruning(site: Site, rates: list[float]) -> Iterator[None]:
    """Let queue_prune run, from its first batch on; add how many jobs it deleted in a second."""
    with psycopg.connect(site.database_url, autocommit=True) as connection:

        def oldest() -> int:
            row = connection.execute(OLDEST).fetchone()
            assert row is not None
            return int(row[0])

        first = oldest()
        command = [str(ROOT / "manage.py"), "queue_prune"]
        with Program(*command, environment=site.environment, ready=lambda: oldest() > first):
            began, first = time.monotonic(), oldest()
            yield
            # The oldest go first, and in this order they are numbered.
            rates.append((oldest() - first) / (time.monotonic() - began))
