"""The database's clock, and hosts whose own clocks say something else."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import connection

from chatflow.workflows import Context, clock, workflow
from chatflow.workflows.ai import budget
from chatflow.workflows.cluster.broker import JobBroker
from chatflow.workflows.models import ApprovalRequest, DailyUsage, Job, State
from chatflow.workflows.running import runner
from chatflow.workflows.services import decisions, queues
from chatflow.workflows.services.starts import start
from chatflow.workflows.store.database import get_database, read_clock
from chatflow.workflows.store.pruning import prune
from chatflow.workflows.testing.time_travel import set_clock
from tests.configure import configure
from tests.workflows.chat import Chat, claimed

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no clock have been read yet."""
    monkeypatch.setattr(clock, "_reading", None)
    monkeypatch.setattr(clock, "_warned", False)


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {get_database().now()}", {})
        [moment] = cursor.fetchone()
    if isinstance(moment, str):
        return datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert isinstance(moment, datetime)
    return moment


def set_back(**times: timedelta) -> None:
    """Move moments of the only job into the past, by the database's clock."""
    Job.objects.update(**{name: database_now() - ago for name, ago in times.items()})


# The clock itself.


@pytest.mark.usefixtures("unread")
def test_without_a_reading_it_is_the_hosts() -> None:
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.usefixtures("unread")
def test_it_goes_on_from_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "ticks", lambda: 102.0)
    clock.keep(datetime(2026, 1, 1, tzinfo=UTC), sent=100.0)
    # It was read half-way: a second ago.
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    monkeypatch.setattr(clock, "ticks", lambda: 132.0)
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 31, tzinfo=UTC)


@pytest.mark.usefixtures("unread")
def test_what_was_a_moment_ago() -> None:
    assert 5 <= clock.seconds_since(clock.now() - timedelta(seconds=5)) < 65
    assert clock.seconds_since(clock.now() + timedelta(seconds=5)) == 0.0


@pytest.mark.usefixtures("unread")
def test_a_skew_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="chatflow.workflows.clock")
    for seconds in (0, -1, 90, 91, 0, -90):
        clock.keep(datetime.now(UTC) + timedelta(seconds=seconds), sent=clock.ticks())
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "This host's clock is 90.0 s behind the database's",
        "This host's clock is 90.0 s ahead of the database's",
    ]


@pytest.mark.usefixtures("unread")
def test_a_slow_reading_proves_little(caplog: pytest.LogCaptureFixture) -> None:
    clock.keep(datetime.now(UTC) - timedelta(seconds=3), sent=clock.ticks() - 10)
    assert not caplog.records


@pytest.mark.django_db
@pytest.mark.usefixtures("wrong_clock")
def test_it_is_the_databases() -> None:
    read_clock(connection)
    assert abs(clock.now() - database_now()) < timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("unread")
@pytest.mark.postgresql
def test_a_new_connection_reads_it(caplog: pytest.LogCaptureFixture) -> None:
    connection.close()
    with set_clock(TEN_MINUTES):
        connection.ensure_connection()
        assert abs(clock.skew() - 600) < 1
    assert "600.0 s ahead of the database's" in caplog.text


# What is stored, and what is compared with it, on a host that is ten minutes off.


@pytest.mark.django_db
@pytest.mark.usefixtures("wrong_clock", "outcomes", "unkept")
def test_a_jobs_moments_are_the_databases(chat: Chat) -> None:
    for job in (chat.send(workflow="echo"), chat.send(workflow="echo")):
        job.refresh_from_db()
        message = job.chat_messages.get()
        for moment in (job.created_at, job.updated_at, job.available_at, message.created_at):
            assert abs(moment - database_now()) < timedelta(seconds=5)
    runner.run(claimed(), interruptible=False)
    step = Job.objects.order_by("pk")[0].steps.get()
    assert abs(step.created_at - database_now()) < timedelta(seconds=5)


@pytest.mark.django_db
@pytest.mark.usefixtures("wrong_clock", "outcomes")
def test_an_idempotency_key_lives_for_a_day(chat: Chat) -> None:
    def send() -> bool:
        return start(
            chat.user, "hi", session_key="s", workflow="echo", idempotency_key="k"
        ).replayed

    assert not send()
    set_back(created_at=timedelta(hours=23, minutes=55))
    assert send()
    set_back(created_at=timedelta(hours=24, minutes=5))
    assert not send()


@pytest.mark.django_db
@pytest.mark.usefixtures("wrong_clock", "unkept")
@pytest.mark.parametrize(("ago", "state"), [(55, State.QUEUED), (65, State.FAILED)])
def test_retry_until(chat: Chat, ago: int, state: State) -> None:
    @workflow("w", retry_until=3600)
    def fail(ctx: Context) -> str:
        raise RuntimeError

    chat.send(workflow="w")
    set_back(created_at=timedelta(minutes=ago))
    job = claimed()
    runner.run(job, interruptible=False)
    job.refresh_from_db()
    assert job.state == state


@pytest.mark.django_db
@pytest.mark.usefixtures("wrong_clock", "unkept")
def test_an_approval_expires(chat: Chat) -> None:
    def ask(ctx: Context) -> str:
        return str(ctx.approve("Pay?", expires_in=300).approved)

    chat.begin(ask)
    request = ApprovalRequest.objects.get()
    left = request.expires_at - database_now()
    assert timedelta(seconds=290) < left <= timedelta(seconds=300)
    assert [row.pk for row in decisions.pending(chat.user)] == [request.pk]
    assert chat.say("yes").response == "True"
    decided_at = ApprovalRequest.objects.get().decided_at
    assert decided_at is not None
    assert abs(decided_at - database_now()) < timedelta(seconds=5)


@pytest.mark.django_db
def test_a_day_of_a_budget(chat: Chat, settings: LazySettings) -> None:
    configure(settings, AI_DAILY_REQUESTS=1)
    with set_clock(timedelta(days=3)):
        budget.reserve(chat.user.pk, 10)
    assert DailyUsage.objects.get().day == database_now().date()


@pytest.mark.django_db
@pytest.mark.usefixtures("wrong_clock", "outcomes", "unkept")
@pytest.mark.parametrize(("ago", "recent"), [(55, True), (65, False)])
def test_failures_of_an_hour_ago(chat: Chat, ago: int, recent: bool) -> None:
    chat.say(workflow="fail")
    set_back(finished_at=timedelta(minutes=ago))
    assert bool(queues.finished_jobs(timedelta(hours=1))[State.FAILED]) is recent
    assert bool(queues.flush(hours=1)) is not recent


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("wrong_clock", "outcomes", "unkept")
@pytest.mark.parametrize(("minutes", "pruned"), [(-5, 0), (5, 1)])
def test_pruning(chat: Chat, minutes: int, pruned: int) -> None:
    chat.say(workflow="echo")
    set_back(finished_at=timedelta(days=30, minutes=minutes))
    assert prune(30) == pruned


@pytest.mark.django_db
def test_an_ordinary_task_is_due_at_once() -> None:
    broker = JobBroker("chatflow")
    with set_clock(TEN_MINUTES):
        pk = broker.enqueue("payload")
    assert [found for found, _ in broker.dequeue()] == [pk]
    # Somebody has it, whatever the clock of who looks.
    with set_clock(timedelta(hours=2)):
        assert broker.dequeue() == []
