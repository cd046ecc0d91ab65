"""Who waits for whose locks: nobody for an atomic step, nobody for each other."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.exceptions import Cancelled, Fenced
from chatflow.workflows.models import Event, Job, Session, State
from chatflow.workflows.running import watchdog
from chatflow.workflows.running.attempt import Attempt
from chatflow.workflows.store import events, lifecycle
from chatflow.workflows.store.lifecycle import Outcome, Vigil
from tests.configure import configure
from tests.workflows.chat import ME, NET, Chat, at_once, claimed, reap

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.postgresql  # SQLite has one writer: everybody waits for a transaction there.
def test_an_atomic_step_holds_nobody_up(chat: Chat) -> None:
    chat.send()
    job = claimed()
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=60))
    seen: dict[str, object] = {}

    def others(number: int) -> None:
        seen["held"] = lifecycle.renew([(job.pk, job.attempt)])
        seen["stuck"] = lifecycle.stuck_workers([job.worker], Vigil(1.0))
        seen["reaped"] = reap()
        try:
            services.cancel(job)
        except OperationalError as error:
            seen["cancel"] = error

    with transaction.atomic():
        # As from inside of an atomic step: the row stays locked until the commit.
        events.append(job.pk, job.attempt, Event.Type.PROGRESS, progress=10)
        assert at_once(1, others) == [None]

    assert seen["held"] == ({job.pk: ""}, {job.pk})
    assert (seen["stuck"], seen["reaped"]) == (set(), 0)
    assert isinstance(seen["cancel"], OperationalError)
    # Once it has committed, it has the time to renew its lease; then it is like any other.
    assert lifecycle.stuck_workers([job.worker], Vigil(1.0)) == set()
    assert reap() == 0
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=60))
    assert lifecycle.stuck_workers([job.worker], Vigil(1.0)) == {ME.id}
    assert reap() == 1


@pytest.mark.postgresql
def test_a_short_lock_costs_no_lease(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Who could not renew because of it looks again soon, not after another third of the lease."""
    configure(settings, WORKFLOW_LEASE_SECONDS=15.0)
    chat.send()
    attempt = Attempt(claimed())
    attempt.listen_at = None
    watching = watchdog.Watchdog()
    watching._attempts[attempt.key] = attempt
    lapsed = timezone.now() - timedelta(seconds=60)
    Job.objects.update(lease_until=lapsed)
    now = [attempt.heartbeat_at]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    with transaction.atomic():
        Job.objects.select_for_update().get(pk=attempt.job.pk)
        assert at_once(1, lambda number: watching.look()) == [None]
    assert attempt.heartbeat_at == now[0] + watchdog.LOCKED
    assert Job.objects.get().lease_until == lapsed
    now[0] = attempt.heartbeat_at
    watching.look()

    assert attempt.heartbeat_at == now[0] + 5.0
    assert Job.objects.filter(lease_until__gt=timezone.now()).exists()
    assert attempt.interrupt is None


@pytest.mark.postgresql
def test_what_refers_to_a_job_keeps_nobody_from_it(chat: Chat) -> None:
    waiting, running = chat.send(), Chat(chat.user, "t").send()
    Job.objects.filter(pk=running.pk).update(priority=1)
    running = claimed()
    seen: list[Any] = []

    def others(number: int) -> None:
        seen.append(lifecycle.renew([(running.pk, running.attempt)]))
        seen.append(claimed().pk)

    with transaction.atomic(), connection.cursor() as cursor:
        # As PostgreSQL does for a foreign key.
        cursor.execute("SELECT 1 FROM workflows_job FOR KEY SHARE")
        assert at_once(1, others) == [None]

    assert seen == [({running.pk: ""}, frozenset()), waiting.pk]


@pytest.mark.postgresql
def test_a_lost_job_that_somebody_locks_holds_up_no_other(chat: Chat, alice: User) -> None:
    for key in ("s", "t"):
        services.start(alice, "x", session_key=key)
        claimed()
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=60))
    first, second = Job.objects.order_by("pk")
    seen: list[object] = []

    def take_back(number: int) -> None:
        seen.append(reap())

    with transaction.atomic():
        Session.objects.select_for_update().get(pk=first.session_id)
        assert at_once(1, take_back) == [None]
        second.refresh_from_db()
        assert (seen, second.state) == ([1], State.QUEUED)
    # It is looked at again.
    assert reap() == 1


@pytest.mark.postgresql
def test_code_that_does_not_stop_holds_up_no_heartbeat(chat: Chat) -> None:
    """The watchdog ends its job in its name, and renews the leases of all others."""
    chat.send()
    attempt = Attempt(claimed())
    attempt.stop(Cancelled())
    with transaction.atomic():
        Session.objects.select_for_update().get(pk=attempt.job.session_id)
        assert at_once(1, lambda number: watchdog.end_without(attempt)) == [None]

    watchdog.end_without(attempt)
    attempt.job.refresh_from_db()
    assert attempt.job.state == State.CANCELLED


def test_an_end_and_a_newer_message_at_once(chat: Chat, alice: User) -> None:
    for number in range(10):
        key = f"s{number}"
        services.start(alice, "hello", session_key=key)
        job = claimed()

        def both(which: int, job: Job = job, key: str = key) -> None:
            if which:
                services.start(alice, "newer", session_key=key, on_busy="interrupt")
                return
            try:
                lifecycle.end(job, Outcome(State.COMPLETED, response="done"))
            except Fenced:
                raise AssertionError("Nobody else may end a running job.") from None

        assert at_once(2, both) == [None, None]
        job.refresh_from_db()
        assert job.state == State.COMPLETED
        newer = Job.objects.get(session=job.session, text="newer")
        lifecycle.end(newer, lifecycle.cancelled("cancelled"))


def test_a_sync_job_that_is_blocked_ends_all_the_same(
    chat: Chat, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "GRACE", 0.1)
    go_on = threading.Event()

    def blocked(ctx: Context) -> str:
        assert go_on.wait(NET)
        return "too late"

    workflow("blocked", max_execution_time=0.1)(blocked)
    job = services.start(alice, "x", session_key="s", mode="sync", workflow="blocked").job

    def run() -> None:
        services.run_inline(job)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        give_up_at = time.monotonic() + NET
        while not Job.objects.get(pk=job.pk).is_finished:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
    finally:
        go_on.set()
        thread.join(NET)
    ended = Job.objects.get(pk=job.pk)
    assert (ended.state, ended.response) == (State.TIMEOUT, "")
    assert ended.events.filter(type__in=["completed", "timeout"]).count() == 1
