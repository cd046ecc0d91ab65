"""A cluster's sign of life."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from chatflow.workflows.cluster.presence import Presence, WorkerProcess, bury_dead_clusters
from chatflow.workflows.cluster.processes import find_beginning, find_memory, find_place
from chatflow.workflows.models import Cluster, Job, State
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import HOST, Worker
from tests.workflows.chat import Chat
from tests.workflows.faults import make_outage, make_refusal

DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def presence() -> Presence:
    return Presence(workers=3, pace=1.0)


def test_it_takes_nobody_for_lost_at_first(presence: Presence) -> None:
    """Others may just have stood still, or been blocked for long."""
    assert not presence.vigil.keep()


def away(**kwargs: Any) -> None:
    raise make_outage("gone")


def test_it_works(presence: Presence) -> None:
    presence.register()
    row = Cluster.objects.get()

    assert (row.pk, row.host, row.pid, row.workers) == (presence.cluster_id, HOST, os.getpid(), 3)
    assert lifecycle.clusters_alive() == 1


def test_it_goes_on_living(presence: Presence) -> None:
    presence.register()
    first = Cluster.objects.get()
    # Two moments may be the same millisecond.
    earlier = first.seen_at - timedelta(seconds=10)
    Cluster.objects.update(seen_at=earlier)
    presence.register()
    second = Cluster.objects.get()

    assert earlier < second.seen_at
    assert first.started_at == second.started_at


def test_it_withdraws_itself_only(presence: Presence) -> None:
    other = Presence(workers=1, pace=1.0)
    presence.register()
    other.register()
    presence.withdraw()

    assert [row.pk for row in Cluster.objects.all()] == [other.cluster_id]


def test_a_database_that_is_away(presence: Presence, caplog: pytest.LogCaptureFixture) -> None:
    presence.vigil._doubts_until = 0.0
    assert presence.vigil.keep()
    presence.do_chore(away, count=False)
    assert "The database is out of reach (gone)" in caplog.text
    assert not presence.vigil.keep()
    # Once for an outage, not with each chore.
    caplog.clear()
    presence.do_chore(away, count=False)
    assert caplog.text == ""
    presence.do_chore(lambda: None)
    presence.do_chore(away, count=False)
    assert "The database is out of reach (gone)" in caplog.text


@pytest.mark.parametrize("error", [make_refusal("55P03"), DatabaseError("no such column")])
def test_a_chore_that_fails_is_no_outage(
    presence: Presence, caplog: pytest.LogCaptureFixture, error: DatabaseError
) -> None:
    """Leases can be trusted all the same."""

    def fail() -> None:
        raise error

    presence.vigil._doubts_until = 0.0
    assert presence.vigil.keep()
    presence.do_chore(fail)

    assert "A chore was left undone" in caplog.text
    assert presence.vigil.keep()


def test_other_errors_are_not_hidden(presence: Presence) -> None:
    with pytest.raises(ZeroDivisionError):
        presence.do_chore(lambda: 1 / 0)


# Clusters that have died here.


def test_names_are_never_given_again(presence: Presence) -> None:
    other = Presence(workers=1, pace=1.0)
    names = [each.next_worker_id() for each in (presence, presence, other)]

    assert len(set(names)) == 3


@pytest.fixture
def dead(chat: Chat) -> Iterator[Cluster]:
    """Return a cluster whose process lives, until it is killed, and holds a job."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    presence = Presence(workers=1, pace=1.0)
    chat.send()
    lifecycle.claim((), Worker(presence.next_worker_id()), is_async=True)
    yield Cluster.objects.create(
        pk=presence.cluster_id,
        host=HOST,
        pid=process.pid,
        place=find_place(),
        began=find_beginning(process.pid),
        workers=1,
        seen_at=timezone.now(),
    )
    process.kill()
    process.communicate()


def test_a_dead_cluster_is_buried_at_once(dead: Cluster) -> None:
    bury_dead_clusters()
    job = Job.objects.get()
    assert (job.state, job.lost) == (State.PROCESSING, 0)
    os.kill(dead.pid, signal.SIGKILL)
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    bury_dead_clusters()

    job.refresh_from_db()
    assert (job.state, job.lost) == (State.QUEUED, 1)
    assert not Cluster.objects.exists()


def test_a_recycled_pid_is_another_process(dead: Cluster) -> None:
    Cluster.objects.update(began=F("began") - 1)
    bury_dead_clusters()

    assert Job.objects.get().state == State.QUEUED


@pytest.mark.parametrize("change", [{"place": ""}, {"place": "another boot"}, {"began": None}])
def test_whose_death_is_not_certain_is_left_alone(dead: Cluster, change: dict[str, Any]) -> None:
    Cluster.objects.update(pid=2**22 + 1, **change)
    bury_dead_clusters()

    assert Job.objects.get().state == State.PROCESSING
    assert Cluster.objects.exists()


def test_the_oldest_cluster_counts_what_has_ended(presence: Presence, caplog: Any) -> None:
    """And no mistake there stops it."""
    counted: list[str] = []

    def broken() -> None:
        raise ValueError("broken")

    def count(by: Presence, name: str) -> None:
        by.count(SimpleNamespace(count=lambda: counted.append(name)))  # type: ignore[arg-type]

    other = Presence(workers=1, pace=1.0)
    presence.register()
    other.register()
    Cluster.objects.filter(pk=other.cluster_id).update(started_at=F("started_at") + DAY)
    for each, name in ((presence, "old"), (other, "young")):
        count(each, name)
    Cluster.objects.filter(pk=presence.cluster_id).update(seen_at=F("seen_at") - DAY)
    count(other, "young")
    assert counted == ["old", "young"]
    other.count(SimpleNamespace(count=broken))  # type: ignore[arg-type]
    assert "could not be counted" in caplog.text


def test_it_tells_of_its_queues_and_its_processes() -> None:
    mine = Presence(workers=1, pace=1.0, queues=["mail"])
    process = WorkerProcess(worker="w", pid=os.getpid(), memory=find_memory(os.getpid()))
    for _ in range(2):
        mine.register([process])
    row = Cluster.objects.get()

    assert row.queues == ["mail"]
    [told] = row.processes or []
    assert (told["worker"], told["pid"], told["blocked_at"]) == ("w", os.getpid(), 0.0)
    assert told["memory"] > 10_000_000
    assert find_memory(2**22 + 1) is None
