"""For probes and Prometheus: is the process alive, can it serve, how much is there to do."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from chatflow.errors import DATABASE_OUT, RETRY_AFTER
from chatflow.stream import open_streams
from workflows.models import ACTIVE, TERMINAL, Job, State
from workflows.store import lifecycle
from workflows.store.database import get_database

# Literals, not parameters: only so does SQLite see that the partial index of active jobs serves.
ACTIVE_JOBS = """
    SELECT state, count(*), {age}
    FROM workflows_job WHERE state IN ('queued', 'processing') GROUP BY state
"""


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process is alive; nothing else is asked."""
    return JsonResponse({"success": True})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether a message would be worked on now."""
    checks = {"database": "ok", "migrations": "ok", "workers": "ok"}
    try:
        if not migrated():
            checks["migrations"] = "Run manage.py migrate"
        elif not worker_alive():
            checks["workers"] = "No worker alive"
    except DATABASE_OUT:
        checks["database"] = "Not reachable"
    wrong = [text for text in checks.values() if text != "ok"]
    if not wrong:
        return JsonResponse({"success": True, "checks": checks})
    body = {"success": False, "error": wrong[0], "code": "not_ready", "checks": checks}
    return JsonResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER)})


def migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def worker_alive() -> bool:
    if settings.QUEUE_CONNECTION == "sync":
        return True
    return lifecycle.clusters_alive() > 0


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus. Finished jobs are counted over an hour: the cost must not grow."""
    active = active_jobs()
    _, wait = active[State.QUEUED]
    lines = [
        *family("jobs", "Jobs under way", {state: count for state, (count, _) in active.items()}),
        *family("jobs_finished_1h", "Jobs that ended within the last hour", finished_jobs()),
        *family("queue_oldest_seconds", "Age of the oldest waiting job", {"": wait}),
        *family("open_streams", "Open streams of this process", {"": len(open_streams)}),
    ]
    return HttpResponse("\n".join([*lines, ""]), content_type="text/plain; version=0.0.4")


def active_jobs() -> dict[str, tuple[int, float]]:
    """Return how many jobs are queued and processing, and the age of the oldest in seconds."""
    with connection.cursor() as cursor:
        cursor.execute(ACTIVE_JOBS.format(age=get_database().seconds_since("min(created_at)")), [])
        rows = {state: (count, float(age)) for state, count, age in cursor.fetchall()}
    return {state: rows.get(state, (0, 0.0)) for state in ACTIVE}


def finished_jobs() -> dict[str, int]:
    recent = Job.objects.filter(finished_at__gt=timezone.now() - timedelta(hours=1))
    counts = dict(recent.values_list("state").annotate(Count("pk")).order_by())
    return {state: counts.get(state, 0) for state in TERMINAL}


def family(name: str, about: str, values: Mapping[str, float]) -> list[str]:
    lines = [f"# HELP chatflow_{name} {about}.", f"# TYPE chatflow_{name} gauge"]
    for state, value in values.items():
        label = f'{{state="{state}"}}' if state else ""
        lines.append(f"chatflow_{name}{label} {value:g}")
    return lines
