"""Kills, cut connections and an outage while 100 jobs run; then the books must balance."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import chaos
from tests.acceptance.chaos import KILLS, SETTINGS, Plan
from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import LEDGER, Databases
from tests.servers import Postgres


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Return a server that the test may stop."""
    with Postgres() as server:
        yield server


def test_chaos_on_postgres(own_postgres: Postgres, tmp_path: Path) -> None:
    databases = Databases(own_postgres, tmp_path)
    plan = Plan(seed=20250101, jobs=100, sessions=40, outages=(0.5,))
    with databases.site("postgres", extra_apps=(LEDGER,), **SETTINGS) as site:
        chaos.run(site, plan, own_postgres)


def test_chaos_on_sqlite(make_site: MakeSite) -> None:
    # A transaction holds SQLite's one write lock: it must be short.
    plan = Plan(seed=20250102, jobs=60, sessions=30, pause=0.2, inside=0.01, weights=KILLS)
    chaos.run(make_site("sqlite", extra_apps=(LEDGER,), **SETTINGS), plan)
