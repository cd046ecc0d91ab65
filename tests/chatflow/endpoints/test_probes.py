"""/healthz, /readyz, /metrics."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from chatflow.workflows.models import Cluster
from tests.chatflow.conftest import MakeJob
from tests.configure import configure
from tests.workflows.faults import make_outage


def cluster(seconds_ago: float) -> Cluster:
    seen = timezone.now() - timedelta(seconds=seconds_ago)
    return Cluster.objects.create(host="h", pid=1, workers=2, seen_at=seen)


def test_alive(anonymous: Client) -> None:
    # Without the db fixture: a query would raise.
    answer = anonymous.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"success": True}


@pytest.mark.django_db
def test_ready(anonymous: Client) -> None:
    cluster(5)
    answer = anonymous.get("/readyz")
    assert answer.status_code == 200
    checks = {"database": "ok", "migrations": "ok", "workers": "ok", "clock": "ok"}
    assert answer.json() == {"success": True, "checks": checks, "streams": {}}


@pytest.mark.django_db
def test_a_wrong_clock_is_told(anonymous: Client, wrong_clock: float) -> None:
    Cluster.objects.create(host="h", pid=1, workers=2, seen_at=Now())
    answer = anonymous.get("/readyz")
    assert answer.status_code == 200
    side = "ahead of" if wrong_clock > 0 else "behind"
    told = f"This host's clock is 600.0 s {side} the database's"
    assert answer.json()["checks"]["clock"] == told


@pytest.mark.django_db
@pytest.mark.parametrize("last_seen", [None, 60])
def test_no_worker(anonymous: Client, last_seen: float | None) -> None:
    if last_seen is not None:
        cluster(last_seen)
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["success"] is False
    assert answer.json()["checks"]["workers"] == answer.json()["error"] == "No worker alive"


@pytest.mark.django_db
@pytest.mark.usefixtures("inline")
def test_without_a_queue_no_worker_is_needed(anonymous: Client) -> None:
    assert anonymous.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_no_database(anonymous: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> bool:
        raise make_outage()

    monkeypatch.setattr("chatflow.endpoints.probes.migrated", refuse)
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    # Nothing is known of what nobody could look at.
    checks = {"database": "Not reachable", "migrations": "unknown", "workers": "unknown"}
    assert answer.json()["checks"] == checks | {"clock": "ok"}
    assert answer.json()["error"] == "Not reachable"
    assert answer.json()["code"] == "not_ready"


@pytest.mark.django_db
@pytest.mark.postgresql
def test_a_standby_that_can_only_be_read(anonymous: Client) -> None:
    cluster(5)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
        answer = anonymous.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["database"] == answer.json()["error"] == "Read-only"
        assert answer.json()["checks"]["workers"] == "unknown"
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_migrations_missing(anonymous: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatflow.endpoints.probes.migrated", lambda: False)
    assert anonymous.get("/readyz").json()["error"] == "Run manage.py migrate"


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["10.42.0.17:8000", "[fd00::7]", "evil.example", "a b", "", "*"])
@pytest.mark.parametrize("trusted", [True, False])
def test_probes_by_any_host(anonymous: Client, host: str, trusted: bool, settings: Any) -> None:
    """By the address of a container, which ALLOWED_HOSTS can't know; it gives nothing away."""
    settings.ALLOWED_HOSTS = ["chat.example.com"]
    settings.USE_X_FORWARDED_HOST = trusted
    cluster(5)
    for method in (anonymous.get, anonymous.head):
        for path in ("/healthz", "/readyz"):
            answer = method(path, headers={"host": host, "x-forwarded-host": host})
            assert answer.status_code == 200
            assert "chat.example.com" not in str(answer.headers) + answer.content.decode()
    for path in ("/metrics", "/", "/healthz/", "/ai-demo/chat/", "/ai-demo/workflow/jobs"):
        answer = anonymous.get(path, headers={"host": host, "x-forwarded-host": host})
        assert answer.status_code == 400, path


def test_metrics(anonymous: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    run(make_job(alice, session="a"))
    run(make_job(alice, session="b", workflow="fail"))
    make_job(alice, session="c")
    answer = anonymous.get("/metrics")
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.content.decode().splitlines()
    for line in (
        'chatflow_jobs{state="queued"} 1.0',
        'chatflow_jobs{state="processing"} 0.0',
        'chatflow_jobs_finished_1h{state="completed"} 1.0',
        'chatflow_jobs_finished_1h{state="failed"} 1.0',
        "chatflow_open_streams 0.0",
        "# TYPE chatflow_queue_oldest_seconds gauge",
    ):
        assert line in lines
    # Nothing of the process itself, which would be another one's at the next scrape.
    assert all("chatflow_" in line for line in lines)
    assert "alice" not in answer.content.decode()


@pytest.mark.django_db
def test_metrics_by_token(anonymous: Client, settings: Any) -> None:
    configure(settings, METRICS_TOKEN="sesame")
    for header in (None, "Bearer", "Bearer wrong", "Basic sesame", "sesame", "Bearer sesamé"):
        answer = anonymous.get("/metrics", headers={"authorization": header} if header else {})
        assert answer.status_code == 401, header
        assert b"chatflow_" not in answer.content
    assert anonymous.get("/metrics", headers={"authorization": "Bearer sesame"}).status_code == 200
