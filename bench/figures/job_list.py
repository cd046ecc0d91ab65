"""The operator's list of a million jobs: each filter, searches, what a bulk act shows first."""

from pathlib import Path
from tempfile import TemporaryDirectory

from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line, p50

ROUNDS = 5
# Milliseconds, from the request to the whole page.
MOST = 300.0


def measure(stage: Stage) -> list[Line]:
    with TemporaryDirectory(prefix="chatflow-bench-") as folder:
        sites = {
            "PostgreSQL": Site(stage.postgres.create_database("job_list")),
            "SQLite": Site(f"sqlite:///{Path(folder) / 'db.sqlite3'}"),
        }
        return [each for name, site in sites.items() for each in time_lists(stage, name, site)]


def time_lists(stage: Stage, name: str, site: Site) -> list[Line]:
    site.inside("fill_jobs", stage.jobs)
    found: dict[str, list[float]] = site.inside("job_list", ROUNDS)
    return [
        line(f"list of {stage.jobs:,} jobs, {name}: {each}", p50(took), "ms",
             bar=f"≤ {MOST:.0f} ms", held=p50(took) <= MOST)
        for each, took in found.items()
    ]  # fmt: skip
