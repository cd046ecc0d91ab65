"""The cost of NOTIFY's lock: events/s of several connections, with NOTIFY in either place, or none.

A transaction that notifies takes one lock for the whole server before it commits and keeps it
until it has: while such commits wait for the disk, they wait one behind the other. So the engine
commits an event first, and has NOTIFY follow in a transaction of its own, in the same message.
"""

import os
import subprocess
import sys

import psycopg

from bench import ringer
from bench.processes import ROOT
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50
from tests.servers import Postgres

CONNECTIONS = (1, 4, 16)
SECONDS = 1.5


class Durable(Postgres):
    """A server that waits for its disk at each commit, as one in production does."""

    def command(self) -> list[str]:
        return ["--fsync=on" if each == "--fsync=off" else each for each in super().command()]


def measure(stage: Stage) -> list[Line]:
    lines = []
    with Durable() as durable:
        for server, what in ((stage.postgres, "fsync off"), (durable, "fsync on")):
            url = server.create_database("notify")
            with psycopg.connect(url, autocommit=True) as listener:
                listener.execute(ringer.TABLES)
                listener.execute("LISTEN events")
                for count in CONNECTIONS:
                    lines += compare(url, count, what)
    return lines


def compare(url: str, connections: int, what: str) -> list[Line]:
    rates: dict[str, list[float]] = {how: [] for how in ringer.HOW}
    for _ in range(ROUNDS):
        for how, found in rates.items():
            found.append(appends_per_second(url, how, connections))
    behind, inside, without = (p50(found) for found in rates.values())
    figure = f"events appended, {connections} connections, {what}: NOTIFY behind the commit"
    return [
        line(figure, behind, "/s", peer=inside, peer_name="inside"),
        line(figure, behind, "/s", peer=without, peer_name="without NOTIFY"),
    ]


def appends_per_second(url: str, how: str, connections: int) -> float:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", ringer.__name__, how, str(who), str(SECONDS)],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": url},
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in range(connections)
    ]
    return sum(float(process.communicate()[0]) for process in processes)
