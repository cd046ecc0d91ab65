"""The doctor, with conditions that are made for it."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.models.functions import Now
from django.utils import timezone

from chatflow.doctor import (
    cluster,
    configuration,
    database,
    doorbell,
    limits,
    models,
    pooler,
    proxies,
    rounds,
    static_files,
    watching,
)
from chatflow.doctor import connections as doctor_connections
from chatflow.doctor.findings import Check, Level, Visit
from chatflow.streams import probe
from chatflow.workflows.bells import get_bell
from chatflow.workflows.models import Cluster, Job
from tests.chatflow.conftest import MakeJob
from tests.configure import configure
from tests.workflows.faults import make_outage


def found(check: Check, level: Level = Level.PROBLEM, url: str = "") -> list[str]:
    """Return what a check has found of that level; each says why, and what to do."""
    findings = [each for each in check(Visit(url)) if each.level == level]
    assert level == Level.OK or all(each.mend for each in findings)
    return [each.what for each in findings]


def live_cluster(**fields: Any) -> Cluster:
    return Cluster.objects.create(host="h", pid=1, workers=2, seen_at=Now(), **fields)


# What each of them finds where something is wrong.


# A ring is heard when it is committed.
@pytest.mark.django_db(transaction=True)
def test_nothing_is_wrong_here() -> None:
    live_cluster()
    out = StringIO()
    call_command("doctor", json=True, stdout=out)
    findings = json.loads(out.getvalue())
    checks = {each["check"] for each in findings}
    left_out = {"connections", "pooler"} if connection.vendor == "sqlite" else set()
    there = set(rounds.CHECKS) - left_out
    assert checks == there
    assert not [each for each in findings if each["level"] == "problem"]


@pytest.mark.django_db
def test_a_problem_is_said_and_is_the_status(settings: Any) -> None:
    settings.DEBUG = True
    out = StringIO()
    with pytest.raises(CommandError, match="problem"):
        call_command("doctor", stdout=out, no_color=True)
    lines = out.getvalue().splitlines()
    place = lines.index("PROBLEM settings: DEBUG is on.")
    assert lines[place + 1].startswith("        Why: ")
    assert lines[place + 2] == "        Do:  DEBUG=false"


def test_the_address_is_looked_at() -> None:
    with pytest.raises(CommandError, match="https://"):
        call_command("doctor", url="chat.example.com")


def test_a_check_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(visit: Visit) -> Iterator[Any]:
        raise KeyError("x")

    def is_away(visit: Visit) -> Iterator[Any]:
        raise make_outage()

    monkeypatch.setattr(rounds, "CHECKS", {"a": breaks, "b": is_away, "c": models.look})
    levels = {name: finding.level for name, finding in rounds.examine(Visit())}
    assert levels == {"a": Level.PROBLEM, "b": Level.UNKNOWN, "c": Level.NOTE}


@pytest.mark.django_db
def test_djangos_checks(settings: Any) -> None:
    settings.CHATFLOW = {**settings.CHATFLOW, "WORKFLOW_TRYS": 3}
    [mistake] = found(configuration.look)
    assert "WORKFLOW_TRYS" in mistake


@pytest.mark.django_db
def test_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise make_outage()

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    [what] = found(database.look)
    assert "can't be reached" in what


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("outages.takes_writes", False, "only be read"),
        ("migrated", False, "Migrations"),
    ],
)
def test_a_database_as_it_should_not_be(
    name: str, value: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"chatflow.doctor.database.{name}", lambda: value)
    [what] = found(database.look)
    assert words in what


@pytest.mark.django_db
def test_a_clock(wrong_clock: float) -> None:
    assert any("clock" in what for what in found(database.look, Level.NOTE))


@contextmanager
def asked(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> Iterator[None]:
    real: Callable[..., Any] = database._ask

    def ask(query: str, *values: str) -> Any:
        return next(
            (answer for part, answer in answers.items() if part in query or part in values),
            None,
        ) or real(query, *values)

    with monkeypatch.context() as patch:
        patch.setattr(database, "_ask", ask)
        yield


@pytest.mark.django_db
@pytest.mark.postgresql
def test_postgresqls_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    with asked(monkeypatch, {"SHOW server_version_num": "130009"}):
        assert len(found(database.look)) == 1
    told = {"statement_timeout": "1000", "default_transaction_isolation": "serializable"}
    with asked(monkeypatch, told):
        assert len(found(database.look, Level.NOTE)) == 2
    with asked(monkeypatch, {"SHOW server_encoding": "LATIN1"}):
        assert len(found(database.look)) == 1


@pytest.mark.django_db
@pytest.mark.postgresql
def test_too_few_connections(settings: Any) -> None:
    assert found(doctor_connections.look) == []
    configure(settings, WEB_THREADS=500)
    [what] = found(doctor_connections.look)
    assert "may open" in what


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(pooler.look, Level.OK)
    # As in transaction mode: between two transactions the connection is another one.
    holding = pooler._holding

    @contextmanager
    def swapping(own: Any) -> Iterator[None]:
        own.close()
        with holding(own):
            yield

    monkeypatch.setattr(pooler, "_holding", swapping)
    [what] = found(pooler.look)
    assert "PgBouncer" in what
    connections.close_all()


@pytest.mark.django_db
@pytest.mark.sqlite
def test_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"sqlite_version": "3.34.1", "journal_mode": "delete"}
    with asked(monkeypatch, answers):
        assert len(found(database.look)) == 2
    monkeypatch.setattr(database, "file_system_of", lambda path: "nfs4")
    [what] = found(database.look)
    assert "nfs4" in what


def test_the_file_system_of_a_file() -> None:
    assert database.file_system_of(Path("/proc/self/stat")) == "proc"


@pytest.mark.django_db
@pytest.mark.sqlite
def test_no_inotify(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def none(path: Path) -> Iterator[None]:
        yield None

    assert found(doorbell.look, Level.OK)
    monkeypatch.setattr(doorbell, "log_touches", none)
    [what] = found(doorbell.look, Level.NOTE)
    assert "inotify" in what


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(doorbell.look, Level.OK)
    monkeypatch.setattr(doorbell, "PATIENCE", 0.05)
    monkeypatch.setattr(get_bell(), "ring", lambda topic, key: None)
    [what] = found(doorbell.look)
    assert "NOTIFY" in what


@pytest.mark.django_db
def test_clusters(alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(cluster.look) == ["No cluster lives."]
    live_cluster()
    assert found(cluster.look) == []
    job = make_job(alice)
    long_ago = timezone.now() - timedelta(minutes=5)
    Job.objects.filter(pk=job.pk).update(available_at=long_ago)
    [what] = found(cluster.look)
    assert "'default'" in what


def test_models(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(found(models.look, Level.NOTE)) == 1
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    configure(settings, AI_MODEL="openai:gpt-5-mini")
    [what] = found(models.look)
    assert "OPENAI_API_KEY" in what
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobodys")
    assert found(models.look) == []
    assert "nobodys" not in str(list(models.look(Visit())))


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "of_processes", lambda: iter([]))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    [what] = found(limits.look, Level.NOTE)
    assert "1024" in what
    monkeypatch.setattr(limits, "of_processes", lambda: iter([(7, 65536), (8, 256)]))
    assert found(limits.look, Level.NOTE) == ["Process 8 may open 256 files."]


def test_collected_files(settings: Any, tmp_path: Path) -> None:
    assert found(static_files.look) == []
    settings.STATIC_ROOT = None
    assert found(static_files.look, Level.NOTE) == []
    # Their own application serves none.
    settings.WHITENOISE_USE_FINDERS = False
    [unserved] = found(static_files.look, Level.NOTE)
    assert unserved.startswith("STATIC_ROOT isn't set")
    settings.STATIC_ROOT = str(tmp_path)
    [missing] = found(static_files.look)
    path = tmp_path / static_files.PAGE
    path.parent.mkdir(parents=True)
    path.write_text("of yesterday")
    [older] = found(static_files.look)
    assert (missing.split()[-1], older.split()[-1]) == ("missing.", "version's.")


def test_metrics(settings: Any, tmp_path: Path) -> None:
    configure(settings, METRICS_TOKEN="x", METRICS_DIR=str(tmp_path))
    assert found(watching.look, Level.NOTE) == []
    (tmp_path / "file").touch()
    configure(settings, METRICS_TOKEN="", METRICS_DIR=str(tmp_path / "file"))
    assert len(found(watching.look, Level.NOTE)) == 2
    # A project that doesn't include it.
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert len(found(watching.look, Level.NOTE)) == 1


# Proxies. A real one that buffers is in tests/acceptance/test_observe.py.

URL = "https://chat.example.com"


def heard(**differs: Any) -> proxies.Heard:
    arrivals = [number * probe.PAUSE for number in range(probe.FRAMES)]
    told: dict[str, Any] = {"status": 200, "headers": {}, "arrivals": arrivals, "seen": URL}
    return proxies.Heard(**(told | differs))


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ({}, None),
        ({"arrivals": [0.0] * 5}, "buffers"),
        ({"arrivals": [0.0, 0.4]}, "broke off after 2"),
        ({"status": 404, "headers": {"server": "other"}}, "answered 404, by other"),
        ({"headers": {"content-encoding": "gzip"}}, "compressed"),
        ({"seen": "http://127.0.0.1:8000"}, "takes its address for"),
    ],
)
def test_a_proxy(
    differs: dict[str, Any], words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "listen", lambda url: heard(**differs))
    monkeypatch.setattr(proxies, "_look_at_metrics", lambda url: iter([]))
    problems = found(proxies.look, url=f"{URL}/")
    assert len(problems) == bool(words)
    assert not words or words in problems[0]


def test_an_address_that_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str) -> proxies.Heard:
        raise httpx2.ConnectError("nobody")

    monkeypatch.setattr(proxies, "listen", refuse)
    [what] = found(proxies.look, url=URL)
    assert "can't be reached" in what
    assert found(proxies.look, Level.UNKNOWN) == ["Proxies weren't looked at."]
