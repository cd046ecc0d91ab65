"""What NOTIFY's lock costs: events/s that several connections append, with it and without.

A transaction that notifies takes one lock for the whole server before it commits and keeps it
until it has: while such commits wait for the disk, they wait one behind the other.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50
from tests.servers import Postgres

CONNECTIONS = (1, 2, 8, 16)
SECONDS = 1

TABLES = """
    CREATE TABLE job (id integer PRIMARY KEY, last_seq integer DEFAULT 0);
    CREATE TABLE event (job integer, seq integer, data text, PRIMARY KEY (job, seq));
    INSERT INTO job SELECT generate_series(1, 1000);
"""
# One statement, as in workflows/events.py. Each connection has jobs of its own.
APPEND = r"""
\set job random(1, 10) + 10 * :client_id
WITH job AS (UPDATE job SET last_seq = last_seq + 1 WHERE id = :job RETURNING id, last_seq),
event AS (INSERT INTO event SELECT id, last_seq, repeat('word ', 20) FROM job RETURNING job)
SELECT %s FROM event;
"""
RINGS = {"NOTIFY": "pg_notify('events', job::text)", "without": "job"}


class Durable(Postgres):
    """A server that waits for its disk at each commit, as one in production does."""

    def command(self) -> list[str]:
        return ["--fsync=on" if each == "--fsync=off" else each for each in super().command()]


def measure(stage: Stage) -> list[Line]:
    lines = []
    with Durable() as durable:
        for server, what in ((stage.postgres, "fsync off"), (durable, "fsync on")):
            with prepared(server) as scripts:
                for count in CONNECTIONS:
                    lines.append(compare(server, scripts, count, what))
    return lines


@contextmanager
def prepared(server: Postgres) -> Iterator[dict[str, Path]]:
    """Make the tables, and somebody who listens; yield what pgbench is to run."""
    url = server.create_database("notify")
    with TemporaryDirectory(prefix="chatflow-bench-") as name:
        folder = Path(name)
        scripts = {}
        for ring, statement in RINGS.items():
            scripts[ring] = folder / f"{ring}.sql"
            scripts[ring].write_text(APPEND % statement)
        with psycopg.connect(url, autocommit=True) as listener:
            listener.execute(TABLES)
            listener.execute("LISTEN events")
            yield scripts


def compare(server: Postgres, scripts: dict[str, Path], connections: int, what: str) -> Line:
    rates: dict[str, list[float]] = {ring: [] for ring in scripts}
    for _ in range(ROUNDS):
        for ring, script in scripts.items():
            rates[ring].append(appends_per_second(server, script, connections))
    figure = f"events appended with NOTIFY, {connections} connections, {what}"
    rate, peer = p50(rates["NOTIFY"]), p50(rates["without"])
    return line(figure, rate, "/s", peer=peer, peer_name="without")


def appends_per_second(server: Postgres, script: Path, connections: int) -> float:
    options = {"client": connections, "jobs": min(2, connections), "time": SECONDS}
    done = subprocess.run(
        [
            server.program("pgbench"),
            *(f"--{name}={value}" for name, value in options.items()),
            *("--no-vacuum", "--protocol=prepared", f"--file={script}"),
            server.database_url("notify"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [text for text in done.stdout.splitlines() if text.startswith("tps = ")]
    return float(found[0].split()[2])
