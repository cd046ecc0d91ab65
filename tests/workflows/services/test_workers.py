"""Who works, and on what."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from chatflow.workflows.models import Cluster, Job, TaskRun, TaskStatus
from chatflow.workflows.services.workers import crews
from tests.workflows.chat import Chat, claimed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outcomes")]


def test_a_cluster_its_workers_and_others(alice: User) -> None:
    now = timezone.now()
    process = {"pid": 1, "is_async": False, "memory": 1000, "blocked_at": 0.0}
    row = Cluster.objects.create(
        host="here",
        pid=9,
        workers=2,
        seen_at=now,
        queues=["mail"],
        processes=[{**process, "worker": "a"}, {**process, "worker": "b", "pid": 2}],
    )
    mine, sync = (Chat(alice, key).send(workflow="echo") for key in "ab")
    for worker, job in (("a", mine), ("web", sync)):
        claimed()
        Job.objects.filter(pk=job.pk).update(worker=worker, host="there", pid=5)
    TaskRun.objects.create(
        path="app.tasks.send",
        backend="default",
        status=TaskStatus.RUNNING,
        worker="a",
        lease_until=now,
        last_attempted_at=now,
    )
    ours, others = crews([row])

    assert (ours.host, ours.pid, ours.queues) == ("here", 9, ["mail"])
    busy, idle = ours.processes
    assert (busy.pid, busy.memory) == (1, 1000)
    assert [(work.name, work.pk) for work in busy.work] == [
        ("echo", mine.pk),
        ("app.tasks.send", None),
    ]
    assert all(0 <= work.seconds < 60 for work in busy.work)
    assert idle.work == []
    [web] = others.processes
    assert (web.host, web.pid, [work.pk for work in web.work]) == ("there", 5, [sync.pk])


def test_a_cluster_of_an_earlier_version() -> None:
    row = Cluster.objects.create(host="here", pid=9, workers=2, seen_at=timezone.now())
    [crew] = crews([row])

    assert (crew.queues, crew.processes) == (None, [])
