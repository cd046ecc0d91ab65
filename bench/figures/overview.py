"""The operator's overview with a million jobs, and what it takes to count those that have ended."""

import http.client
import time

from bench.site import Site
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50, p99
from tests.servers import HOST

STRETCHES = ("hour", "day", "week")
GETS = 15
# Milliseconds that the page may take.
BAR = 300


def measure(stage: Stage) -> list[Line]:
    found = []
    for name, site in stage.operated.items():
        counts = site.inside("count_minutes", 10 * ROUNDS)
        figure = f"{name}, {stage.jobs:,} jobs: counting a minute's 100"
        found.append(line(figure, p50(counts), "ms"))
        delays = time_pages(site)
        for stretch, samples in delays.items():
            late = p99(samples)
            figure = f"{name}, {stage.jobs:,} jobs: overview of a {stretch}"
            found.append(line(f"{figure}, p50", p50(samples), "ms"))
            found.append(line(f"{figure}, p99", late, "ms", bar=f"≤ {BAR} ms", held=late <= BAR))
    return found


def time_pages(site: Site) -> dict[str, list[float]]:
    """Return the milliseconds that the page took, for each stretch of time."""
    headers = {"Cookie": f"sessionid={site.inside('staff_session')}"}
    delays: dict[str, list[float]] = {stretch: [] for stretch in STRETCHES}
    with site.web() as web:
        connection = http.client.HTTPConnection(HOST, web.port, timeout=60)
        for _ in range(ROUNDS * GETS + 1):
            for stretch in STRETCHES:
                began = time.monotonic_ns()
                connection.request("GET", f"/admin/?over={stretch}", headers=headers)
                response = connection.getresponse()
                body = response.read()
                delays[stretch].append((time.monotonic_ns() - began) / 1e6)
                assert response.status == 200
                assert b"overview-queues" in body
    # The first one of a process loads the templates.
    return {stretch: samples[1:] for stretch, samples in delays.items()}
