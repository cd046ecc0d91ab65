"""From the commit of a send to the first line of its workflow, on an idle cluster."""

import time
from contextlib import ExitStack

from bench.peers import bare_worker
from bench.processes import Program, family, processor_seconds
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, over_rounds

SECONDS = 4.0
# Seconds until the work of starting is over, and seconds for which the idle clusters are watched.
SETTLE = 5.0
IDLE_SECONDS = 10.0


def measure(stage: Stage) -> list[Line]:
    on_postgres, on_sqlite, bare = [], [], []
    with ExitStack() as stack:
        cluster = stack.enter_context(stage.on_postgres.cluster())
        sqlite_cluster = stack.enter_context(stage.on_sqlite.cluster())
        time.sleep(SETTLE)
        idle, sqlite_idle = idle_processor_share(cluster), idle_processor_share(sqlite_cluster)
        bare_worker.prepare(stage.peers_url)
        for _ in range(2):
            stack.enter_context(peer(stage.peers_url))
        for _ in range(ROUNDS):
            bare.append(bare_worker.pickup(stage.peers_url, SECONDS))
            on_postgres.append(stage.on_postgres.inside("pickup", SECONDS))
            on_sqlite.append(stage.on_sqlite.inside("pickup", SECONDS))
    middle, late = over_rounds(on_postgres)
    peer_middle, peer_late = over_rounds(bare)
    sqlite_middle, _ = over_rounds(on_sqlite)
    name = "bare worker"
    return [
        line("idle pickup, PostgreSQL, p50", middle, "ms", peer=peer_middle, peer_name=name,
             bar="≤ 2.5× peer", held=middle <= 2.5 * peer_middle),
        line("idle pickup, PostgreSQL, p99", late, "ms", peer=peer_late, peer_name=name,
             bar="≤ 25 ms", held=late <= 25),
        line("idle pickup, SQLite, p50", sqlite_middle, "ms",
             bar="≤ 15 ms", held=sqlite_middle <= 15),
        line("idle cluster, PostgreSQL", idle, "% CPU", bar="≤ 2 %", held=idle <= 2),
        line("idle cluster, SQLite", sqlite_idle, "% CPU", bar="≤ 2 %", held=sqlite_idle <= 2),
    ]  # fmt: skip


def peer(database_url: str) -> Program:
    return Program(
        "-m",
        bare_worker.__name__,
        environment={"DATABASE_URL": database_url},
        ready=lambda: True,
    )


def idle_processor_share(cluster: Program) -> float:
    """Return how much of one processor a cluster with nothing to do uses, in percent."""
    members = family(cluster.pid)
    before = processor_seconds(members)
    time.sleep(IDLE_SECONDS)
    return (processor_seconds(members) - before) / IDLE_SECONDS * 100
