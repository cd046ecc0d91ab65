"""No-op durable jobs a second on PostgreSQL, with two workers."""

from bench import contenders
from bench.contenders import Contender
from bench.site import Site
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50

# So many that the second of work that a cluster's start takes beside its workers' first jobs
# hardly counts. Stock django-q2 would need more than a minute for them, at the same rate.
JOBS, OF_STOCK = 5000, 500
# The rate of Laravel's own database queue with plain no-ops on two cores, draining 5,000.
LARAVEL = 290.0


def measure(stage: Stage) -> list[Line]:
    # A site of its own: jobs that are left in its queue would hold up other figures.
    site = Site(stage.postgres.create_database("throughput"))
    ours = contenders.chatflow(site)
    stock = contenders.stock_q2(stage.postgres)
    dbos = contenders.dbos(stage.postgres)
    lines = []
    for name, measured in (
        ("full queue drained", Contender.drain),
        ("enqueued to completed", Contender.enqueue_to_completed),
    ):
        queues = ((ours, JOBS), (stock, OF_STOCK), (dbos, JOBS))
        rounds = [[measured(*each) for each in queues] for _ in range(ROUNDS)]
        rate, stock_rate, dbos_rate = map(p50, zip(*rounds, strict=True))
        figure = f"no-op jobs, 2 workers, {name}"
        lines += [
            line(figure, rate, "/s", peer=stock_rate, peer_name="stock django-q2",
                 bar="≥ 4× peer", held=rate >= 4 * stock_rate),
            line(figure, rate, "/s", peer=dbos_rate, peer_name="DBOS",
                 bar="≥ 0.5× peer", held=rate >= 0.5 * dbos_rate),
            line(figure, rate, "/s", peer=LARAVEL, peer_name="Laravel, drained (not rerun)",
                 bar="≥ 290/s", held=rate >= LARAVEL),
        ]  # fmt: skip
    return lines
