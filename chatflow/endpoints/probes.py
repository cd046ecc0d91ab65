"""For probes and Prometheus: is the process alive, can it serve, how much is there to do."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from operator import attrgetter
from typing import Any

from django.db import Error as DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chatflow.answers.errors import RETRY_AFTER
from chatflow.conf import conf
from chatflow.streams.of_job import open_streams
from chatflow.workflows import clock, services
from chatflow.workflows.db import connection, migrating
from chatflow.workflows.metrics import series
from chatflow.workflows.models import State
from chatflow.workflows.services import outages, queues

HOUR = timedelta(hours=1)
# Of a check that wasn't made.
UNKNOWN = "unknown"


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process is alive; nothing else is asked."""
    return JsonResponse({"success": True})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether a message would be worked on now.

    A wrong clock is reported, but stops nothing: stored times go by the database's.
    """
    checks, wrong = dict.fromkeys(CHECKS, UNKNOWN), ""
    try:
        for name, check in CHECKS.items():
            wrong = check()
            checks[name] = wrong or "ok"
            if wrong:
                break
    except DatabaseError as error:
        if not outages.is_unavailable(error):
            raise
        wrong = "Not reachable"
        checks = dict.fromkeys(CHECKS, UNKNOWN) | {"database": wrong}
    skew = clock.skew()
    checks["clock"] = "ok" if abs(skew) <= clock.TOLERANCE else clock.describe(skew)
    told = {"checks": checks, "streams": open_streams.by_dialect()}
    if not wrong:
        return JsonResponse({"success": True, **told})
    body = {"success": False, "error": wrong, "code": "not_ready", **told}
    return JsonResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER)})


# What is wrong, or nothing. One that fails leaves those behind it unknown.
CHECKS: dict[str, Callable[[], str]] = {
    "database": lambda: "" if outages.takes_writes() else "Read-only",
    "migrations": lambda: "" if migrated() else f"Run {migrating()}",
    "workers": lambda: "" if services.is_anybody_working() else "No worker alive",
}


def migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus: how full the queues are, and what this host's processes have counted."""
    if conf.METRICS_TOKEN and not is_scraper(request):
        return HttpResponse(
            "Who asks must send the METRICS_TOKEN.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    registry = CollectorRegistry()
    registry.register(OfDatabase())
    registry.register(OfHost())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def is_scraper(request: HttpRequest) -> bool:
    """Say whether the request brings the METRICS_TOKEN."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and constant_time_compare(token.strip(), conf.METRICS_TOKEN)


class OfHost(Collector):
    """What all processes of this host have counted; see chatflow.workflows.metrics."""

    def collect(self) -> Iterable[Metric]:
        return series.collect()


class OfDatabase(Collector):
    """What every host of an installation answers alike.

    Finished jobs are counted over an hour: the cost must not grow with the table.
    """

    def collect(self) -> Iterable[Metric]:
        active = queues.active_jobs()
        under_way = {state: each.count for state, each in active.items()}
        yield by("state", "jobs", "Jobs under way.", under_way)
        finished = queues.finished_jobs(HOUR)
        yield by("state", "jobs_finished_1h", "Jobs that ended within the last hour.", finished)
        yield GaugeMetricFamily(
            "chatflow_queue_oldest_seconds",
            "Age of the oldest waiting job.",
            active[State.QUEUED].oldest,
        )
        sizes = queues.sizes()
        for name, about, find in (
            ("queue_waiting", "Jobs of a queue that could run.", attrgetter("waiting")),
            ("queue_delayed", "Jobs of a queue that wait for their time.", attrgetter("delayed")),
            ("queue_running", "Jobs of a queue that a worker holds.", attrgetter("running")),
            (
                "queue_waiting_seconds",
                "How long the oldest of those has waited that could run.",
                attrgetter("oldest_waiting"),
            ),
        ):
            yield by("queue", name, about, {size.queue: find(size) for size in sizes})
        alive = list(queues.clusters())
        yield GaugeMetricFamily("chatflow_clusters", "Clusters that live.", len(alive))
        workers = sum(cluster.workers for cluster in alive)
        yield GaugeMetricFamily("chatflow_workers", "Their workers.", workers)


def by(label: str, name: str, about: str, counts: Mapping[Any, float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"chatflow_{name}", about, labels=[label])
    for value, count in counts.items():
        gauge.add_metric([value], count)
    return gauge
