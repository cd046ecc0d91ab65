"""The stage of all figures: a PostgreSQL server, and Chatflow on it and on SQLite."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import grown
from bench.site import Site
from tests.servers import Postgres

# Rounds of a measurement, taken in turns with its peers'.
ROUNDS = 3


@dataclass(frozen=True)
class Stage:
    """Where the figures are measured.

    Args:
        postgres: the server.
        on_postgres: Chatflow on it.
        on_sqlite: Chatflow on SQLite.
        peers_url: a database of that server, for the peers that need no more than tables.
        listeners: how many idle listeners there are to be.
        jobs: how many finished jobs a database has that was long in use.
    """

    postgres: Postgres
    on_postgres: Site
    on_sqlite: Site
    peers_url: str
    listeners: int
    jobs: int

    @cached_property
    def long_used(self) -> Site:
        """Chatflow on a PostgreSQL database that has been in use for long; made when first used."""

        site = Site(self.postgres.create_database("long_used"))
        print(f"Making {self.jobs:,} finished jobs …", file=sys.stderr, flush=True)
        grown.fill(site, self.jobs)
        return site

    @cached_property
    def operated(self) -> dict[str, Site]:
        """Chatflow on each database with all that its operator sees; made when first used."""
        folder = Path(self.on_sqlite.database_url.removeprefix("sqlite:///")).parent
        sites = {
            "PostgreSQL": Site(self.postgres.create_database("operated")),
            "SQLite": Site(f"sqlite:///{folder / 'operated.sqlite3'}"),
        }
        print(f"Making {self.jobs:,} jobs on each database …", file=sys.stderr, flush=True)
        with ThreadPoolExecutor(len(sites)) as pool:
            list(pool.map(lambda site: site.inside("fill_operated", self.jobs), sites.values()))
        return sites


@contextmanager
def stage(*, listeners: int, jobs: int) -> Iterator[Stage]:
    with Postgres() as postgres, TemporaryDirectory(prefix="chatflow-bench-") as folder:
        yield Stage(
            postgres=postgres,
            on_postgres=Site(postgres.create_database("chatflow")),
            on_sqlite=Site(f"sqlite:///{Path(folder) / 'db.sqlite3'}"),
            peers_url=postgres.create_database("peers"),
            listeners=listeners,
            jobs=jobs,
        )
