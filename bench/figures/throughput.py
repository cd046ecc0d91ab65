"""No-op durable jobs a second: a full queue, drained by two workers."""

import time
from collections.abc import Callable

import psycopg

from bench.processes import Program
from bench.site import Site, python
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50

# Seconds at most that the queue is filled, and drained.
FILL = 4.0
PEER_FILL = 1.5
DRAIN = 4.0
# And for a cluster to start.
START = 60.0
LARAVEL = 290.0

WAITING_JOBS = "SELECT count(*) FROM workflows_job WHERE state IN ('queued', 'processing')"
WAITING_TASKS = "SELECT count(*) FROM django_q_ormq"


def measure(stage: Stage) -> list[Line]:
    stock = {
        "DATABASE_URL": stage.postgres.create_database("stock_q2"),
        "DJANGO_SETTINGS_MODULE": "bench.peers.stock_q2.settings",
        "PYTHONWARNINGS": "ignore",
    }
    python("-m", "django", "migrate", "--verbosity=0", environment=stock)
    # A site of its own: what is left in its queue would hold up other figures.
    site = Site(stage.postgres.create_database("throughput"))
    rates, stock_rates, sends = [], [], []
    for _ in range(ROUNDS):
        sends.append(site.inside("enqueue", FILL))
        rates.append(drain_chatflow(site))
        python("-m", "bench.peers.stock_q2.tasks", str(PEER_FILL), environment=stock)
        stock_rates.append(drain_stock(stock))
    rate, stock_rate = p50(rates), p50(stock_rates)
    figure = "no-op jobs, 2 workers, PostgreSQL"
    return [
        line(figure, rate, "/s", peer=stock_rate, peer_name="stock django-q2",
             bar="≥ 4× peer", held=rate >= 4 * stock_rate),
        line(figure, rate, "/s", peer=LARAVEL, peer_name="Laravel (not rerun)",
             bar="≥ 290/s", held=rate >= LARAVEL),
        line("jobs started by one process, PostgreSQL", p50(sends), "/s"),
    ]  # fmt: skip


def drain_chatflow(site: Site) -> float:
    cluster = site.cluster(wait=False)
    return drained_each_second(site.database_url, WAITING_JOBS, cluster)


def drain_stock(environment: dict[str, str]) -> float:
    cluster = Program("-m", "django", "qcluster", environment=environment, ready=lambda: True)
    return drained_each_second(environment["DATABASE_URL"], WAITING_TASKS, cluster)


def drained_each_second(database_url: str, waiting: str, cluster: Program) -> float:
    """Let a cluster drain a queue; return its rate from the first look at which it shrinks."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def look() -> int:
            row = connection.execute(waiting.encode()).fetchone()
            assert row is not None
            return int(row[0])

        full = look()
        with cluster:
            count, began = watch(look, lambda count: count < full, START)
            left, ended = watch(look, lambda count: count == 0, DRAIN)
    assert left < count, "Nothing was drained"
    return (count - left) / (ended - began)


def watch(
    look: Callable[[], int], enough: Callable[[int], bool], seconds: float
) -> tuple[int, float]:
    """Look until it's enough or the time has passed; return the last count and its moment."""
    deadline = time.monotonic() + seconds
    while not enough(count := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return count, time.monotonic()
