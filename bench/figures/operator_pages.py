"""The operator's other pages beside a million jobs, and the usage of up to a year."""

from bench.stage import Stage
from bench.table import Line, line, p50, p95

ROUNDS = 20
# Milliseconds, from the request to the whole page.
BAR = 300.0


def measure(stage: Stage) -> list[Line]:
    return time_pages(stage, "operator_pages", f"{stage.jobs:,} jobs")


def time_pages(stage: Stage, verb: str, figure: str) -> list[Line]:
    """Return two lines for each page that a verb of bench/inside.py opens, on each database."""
    return [
        each
        for name, site in stage.operated.items()
        for page, took in site.inside(verb, ROUNDS).items()
        for each in describe(f"{figure}, {name}: {page}", took)
    ]


def describe(figure: str, took: list[float]) -> list[Line]:
    late = p95(took)
    return [
        line(f"{figure}, p50", p50(took), "ms"),
        line(f"{figure}, p95", late, "ms", bar=f"≤ {BAR:.0f} ms", held=late <= BAR),
    ]
