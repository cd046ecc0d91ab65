"""What is counted of the jobs under way, and of those that have ended."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.utils import timezone

from chatflow.workflows.models import ACTIVE, Job, Session, State
from chatflow.workflows.services import queues
from chatflow.workflows.services.queues import ActiveJobs

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def make(user: User, state: State, *, inline: bool = False) -> Job:
    session = Session.objects.create(user=user, key=f"s{Job.objects.count()}")
    now = timezone.now()
    return Job.objects.create(
        user=user,
        session=session,
        workflow="w",
        text="t",
        state=state,
        inline=inline,
        lease_until=now if state == State.PROCESSING else None,
        finished_at=None if state in ACTIVE else now,
    )


def test_it_works(alice: User) -> None:
    make(alice, State.QUEUED)
    make(alice, State.QUEUED, inline=True)
    make(alice, State.PROCESSING)
    make(alice, State.COMPLETED)
    Job.objects.filter(state="queued").update(created_at=F("created_at") - timedelta(minutes=1))

    active = queues.active_jobs()

    assert {state: each.count for state, each in active.items()} == {
        State.QUEUED: 2,
        State.PROCESSING: 1,
    }
    assert 60 <= active[State.QUEUED].oldest < 120


def test_without_any(db: None) -> None:
    assert set(queues.active_jobs().values()) == {ActiveJobs(count=0, oldest=0.0)}
    assert set(queues.finished_jobs(HOUR).values()) == {0}


def test_only_what_ended_lately_is_counted(alice: User) -> None:
    make(alice, State.FAILED)
    old = make(alice, State.FAILED)
    Job.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(minutes=61))

    found = queues.finished_jobs(HOUR)

    assert (found[State.FAILED], found[State.COMPLETED]) == (1, 0)


@pytest.mark.sqlite
def test_the_index_of_active_jobs_serves(alice: User) -> None:
    for sql in (queues.ACTIVE_JOBS.format(age="0"), queues.SIZES.format(age="0", now="0")):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert "USING INDEX" in plan or "USING COVERING INDEX" in plan
