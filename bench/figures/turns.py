"""From a POST to the first progress frame and the completed frame of a 4-step no-op workflow."""

import time
from typing import Any

from bench.client import Client
from bench.peers import naive
from bench.processes import Program, Web, uvicorn
from bench.site import Site
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50

SECONDS = 3.0

# Milliseconds to the first and to the last frame, of many turns.
Turns = list[tuple[float, float]]


def measure(stage: Stage) -> list[Line]:
    turns: Turns = []
    sqlite_turns: Turns = []
    naive_turns: Turns = []
    peer_environment = {"DATABASE_URL": stage.peers_url}
    naive.prepare(stage.peers_url)
    worker = Program("-m", naive.__name__, environment=peer_environment, ready=lambda: True)
    with (
        stage.on_postgres.web() as web,
        stage.on_postgres.cluster(),
        stage.on_sqlite.web() as sqlite_web,
        stage.on_sqlite.cluster(),
        uvicorn("bench.peers.naive:application", peer_environment) as naive_web,
        worker,
    ):
        for _ in range(ROUNDS):
            # Anew each time: uvicorn closes a connection that is idle for five seconds.
            turns += take_turns(client(stage.on_postgres, web), SECONDS)
            sqlite_turns += take_turns(client(stage.on_sqlite, sqlite_web), SECONDS)
            naive_turns += take_turns(Client(naive_web.port, {}, path="/"), SECONDS)
    lines = []
    for index, (event, bar) in enumerate((("first progress frame", 30), ("completed frame", 60))):
        value = p50([turn[index] for turn in turns])
        lines += [
            line(f"POST → {event}, PostgreSQL, p50", value, "ms",
                 peer=p50([turn[index] for turn in naive_turns]), peer_name="naive design",
                 bar=f"≤ {bar} ms", held=value <= bar),
            line(f"POST → {event}, SQLite, p50", p50([turn[index] for turn in sqlite_turns]), "ms"),
        ]  # fmt: skip
    return lines


def client(site: Site, web: Web) -> Client:
    warm = Client(web.port, site.headers)
    take_turns(warm, 0.5)
    return warm


def take_turns(client: Client, seconds: float) -> Turns:
    end = time.monotonic() + seconds
    turns = []
    while time.monotonic() < end:
        turns.append(take_turn(client))
    return turns


def take_turn(client: Client) -> tuple[float, float]:
    time.sleep(0.05)
    posted = time.monotonic_ns()
    fields: dict[str, Any] = {"workflow": "bench_steps", "async": True, "session_id": "turns"}
    started = client.send("Go", **fields)
    # A frame without a number, such as the one with the status "connected", is no progress.
    arrivals = [arrived for arrived, frame in client.follow(started) if frame.get("seq")]
    return (arrivals[0] - posted) / 1e6, (arrivals[-1] - posted) / 1e6
