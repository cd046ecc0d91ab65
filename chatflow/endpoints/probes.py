"""For probes and Prometheus: is the process alive, can it serve, how much is there to do."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chatflow.errors import RETRY_AFTER
from chatflow.stream import open_streams
from chatflow.workflows import clock, services
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
    "migrations": lambda: "" if migrated() else "Run manage.py migrate",
    "workers": lambda: "" if services.is_anybody_working() else "No worker alive",
}


def migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus. Figures for all processes are read from the database at this moment."""
    registry = CollectorRegistry()
    registry.register(Gauges())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Gauges(Collector):
    """Finished jobs are counted over an hour: the cost must not grow with the table."""

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
        yield GaugeMetricFamily(
            "chatflow_open_streams", "Open streams of this process.", len(open_streams)
        )
        spoken = open_streams.by_dialect()
        yield by("dialect", "dialect_streams", "The same by their dialects.", spoken)


def by(label: str, name: str, about: str, counts: Mapping[Any, int]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"chatflow_{name}", about, labels=[label])
    for value, count in counts.items():
        gauge.add_metric([value], count)
    return gauge
