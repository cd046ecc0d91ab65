"""From the commit of an event, in a worker, to its frame at a client."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.client import Client, frames
from bench.peers import bare_chain
from bench.processes import ROOT, Web, uvicorn
from bench.site import Site
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, over_rounds

SECONDS = 2.0
PAUSE = 0.005


def measure(stage: Stage) -> list[Line]:
    peer_environment = {"DATABASE_URL": stage.peers_url}
    on_postgres, on_sqlite, bare = [], [], []
    with (
        stage.on_postgres.web() as web,
        stage.on_postgres.cluster(),
        stage.on_sqlite.web() as sqlite_web,
        stage.on_sqlite.cluster(),
        uvicorn("bench.peers.bare_chain:application", peer_environment) as peer,
    ):
        for _ in range(ROUNDS):
            bare.append(through_bare_chain(peer))
            on_postgres.append(through_chatflow(stage.on_postgres, web))
            on_sqlite.append(through_chatflow(stage.on_sqlite, sqlite_web))
    middle, late = over_rounds(on_postgres)
    peer_middle, peer_late = over_rounds(bare)
    sqlite_middle, sqlite_late = over_rounds(on_sqlite)
    name = "bare chain"
    most = max(2 * peer_middle, 5.0)
    return [
        line("commit → frame, PostgreSQL, p50", middle, "ms", peer=peer_middle, peer_name=name,
             bar="≤ 2× peer or 5 ms", held=middle <= most),
        line("commit → frame, PostgreSQL, p99", late, "ms", peer=peer_late, peer_name=name,
             bar="≤ 20 ms", held=late <= 20),
        line("commit → frame, SQLite, p50", sqlite_middle, "ms"),
        line("commit → frame, SQLite, p99", sqlite_late, "ms"),
    ]  # fmt: skip


def through_chatflow(site: Site, web: Web) -> list[float]:
    client = Client(web.port, site.headers)
    started = client.send(f"{SECONDS} {PAUSE}", workflow="bench_beat", **{"async": True})
    return delays(client.follow(started))


def through_bare_chain(web: Web) -> list[float]:
    stream = frames(web.port, "/")
    # It listens from its first frame on.
    next(stream)
    module = [sys.executable, "-m", bare_chain.__name__, str(SECONDS), str(PAUSE)]
    with subprocess.Popen(module, cwd=ROOT, env=web.environment):
        return delays(stream)


def delays(stream: Iterator[tuple[int, dict[str, Any]]]) -> list[float]:
    """Return the milliseconds by which the frames came after their events; none may be missing."""
    found = []
    for arrived, frame in stream:
        if frame.get("type") == "progress":
            found.append((arrived - int(frame["message"])) / 1e6)
        elif frame.get("type") == "completed":
            assert len(found) == int(frame["response"]), f"{len(found)} of {frame['response']}"
    return found
