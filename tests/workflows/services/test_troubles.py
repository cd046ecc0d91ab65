"""What is stuck, and what isn't."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from chatflow.conf import conf
from chatflow.workflows import Context, histograms, workflow
from chatflow.workflows.models import (
    ApprovalRequest,
    Cluster,
    DailyUsage,
    Figures,
    Job,
    Session,
    State,
)
from chatflow.workflows.services import queues
from chatflow.workflows.services.troubles import Trouble, troubles
from tests.workflows.chat import Chat, claimed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _flows() -> None:
    @workflow("slow", max_execution_time=60, queue="mail")
    def slow(ctx: Context) -> str:
        return "Done."


def cluster(*names: str, **fields: Any) -> Cluster:
    now = timezone.now()
    return Cluster.objects.create(
        host="here", pid=1, workers=2, seen_at=now, queues=list(names), **fields
    )


def found() -> list[Trouble]:
    return troubles(queues.sizes(), list(queues.clusters()))


def texts() -> list[str]:
    return [trouble.text for trouble in found()]


def test_all_is_well(alice: User) -> None:
    cluster()
    Chat(alice, "s").send(workflow="slow")
    claimed()
    Chat(alice, "t").send(workflow="slow")

    assert found() == []


def test_a_queue_that_nobody_serves(alice: User) -> None:
    cluster("default")
    # An earlier version doesn't say what it serves.
    for key in "abc":
        Chat(alice, key).send(workflow="slow")
    assert found() == [
        Trouble(
            "3 jobs wait in queue mail, which nobody serves.",
            "job",
            {"queue": "mail", "state__exact": "queued"},
            True,
        )
    ]
    Job.objects.exclude(pk=Job.objects.latest("pk").pk).delete()
    assert texts() == ["1 job waits in queue mail, which nobody serves."]
    cluster("other", "mail")
    assert found() == []
    Cluster.objects.update(queues=None)
    assert found() == []


def test_no_cluster(alice: User) -> None:
    assert texts() == ["No cluster is alive. Nothing would be worked on."]
    Chat(alice).send(workflow="slow")
    assert texts() == ["No cluster is alive. 1 job waits."]


def test_a_job_that_waits_for_long(alice: User) -> None:
    cluster()
    Chat(alice).send(workflow="slow")
    Job.objects.update(available_at=timezone.now() - timedelta(minutes=61))

    assert texts() == ["A job has waited in queue mail for 1 h 1 min."]


def test_a_lost_worker_and_a_job_that_outruns_its_limit(alice: User) -> None:
    cluster()
    for key in "ab":
        Chat(alice, key).send(workflow="slow")
        claimed()
    now = timezone.now()
    lost, outran = Job.objects.order_by("pk")
    Job.objects.filter(pk=lost.pk).update(lease_until=now - timedelta(seconds=30))
    Job.objects.filter(pk=outran.pk).update(claimed_at=now - timedelta(seconds=40), ran_for=50)

    assert texts() == [
        "1 job has lost the worker, and nobody has taken it back yet.",
        "1 job of slow has run for longer than its limit of 1 min.",
    ]


def fared(hours: int, span: Figures.Span, **counts: int) -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    since = now - timedelta(hours=hours) if hours else timezone.now()
    empty = histograms.empty()
    Figures.objects.create(
        span=span, since=since, queue="q", workflow="w", waited=empty, ran=empty, **counts
    )


def test_failures_that_rise() -> None:
    cluster()
    fared(5, Figures.Span.HOUR, completed=90, failed=10)
    fared(0, Figures.Span.MINUTE, completed=15, timeout=5)
    assert texts() == [
        "5 of 20 jobs of the last hour failed: 25%, where it was 10% in the day before."
    ]
    Figures.objects.filter(span=Figures.Span.HOUR).update(failed=30)
    assert found() == []


def test_a_coroutine_that_blocked_its_worker() -> None:
    process = {"worker": "w", "pid": 7, "is_async": True, "memory": 1}
    now = timezone.now().timestamp()
    cluster(processes=[{**process, "blocked_at": now - 90}, {**process, "blocked_at": now - 3600}])

    [text] = texts()
    assert text.startswith("A coroutine blocked worker 7 on here 1 min 30 s ago")


def test_approvals_that_expire_soon(alice: User) -> None:
    cluster()
    session = Session.objects.create(user=alice, key="s")
    job = Job.objects.create(
        user=alice, session=session, state=State.COMPLETED, finished_at=timezone.now()
    )
    Session.objects.update(open_job=job)
    for minutes in (-1, 30, 90):
        ApprovalRequest.objects.create(
            user=alice,
            session=session,
            job=job,
            expires_at=timezone.now() + timedelta(minutes=minutes),
        )
    assert texts() == ["1 request for approval expires within the hour."]
    ApprovalRequest.objects.update(approved=True, decided_at=timezone.now())
    assert found() == []


def test_users_at_their_budget(alice: User, bob: User, settings: Any) -> None:
    cluster()
    today = timezone.now().date()
    DailyUsage.objects.create(user=alice, day=today, requests=10, tokens=1)
    DailyUsage.objects.create(user=bob, day=today, requests=1, tokens=9_500)
    DailyUsage.objects.create(user=bob, day=today - timedelta(days=1), requests=10, tokens=1)
    assert found() == []
    settings.CHATFLOW = {**settings.CHATFLOW, "AI_DAILY_REQUESTS": 10, "AI_DAILY_TOKENS": 10_000}
    assert conf.AI_DAILY_TOKENS

    assert texts() == ["2 users have used today's budget for models up."]
