"""Work in the foreground: whose jobs it takes back when it begins."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from chatflow.workflows.cluster.foreground import Shift, work
from chatflow.workflows.models import Job, State
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Vigil, vigil
from tests.configure import configure
from tests.workflows.chat import Chat, claimed
from tests.workflows.tasks import errands
from tests.workflows.tasks.conftest import TASKS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(chat: Chat, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of somebody else's, whose lease ran out while the machine was suspended."""
    configure(settings, WORKFLOW_LEASE_SECONDS=0.3)
    monkeypatch.setattr(vigil, "RENEWAL", 0.1)
    chat.send()
    job = claimed()
    Job.objects.update(lease_until=Now() - timedelta(seconds=60))
    return job


@pytest.fixture
def begin() -> Callable[..., None]:
    """Return what begins work, and takes none."""

    def begin(*, patient: bool) -> None:
        work(Shift(pieces=0, patient=patient), lambda *_: None)

    return begin


def test_whoever_has_just_started_takes_nothing(job: Job, begin: Callable[..., None]) -> None:
    begin(patient=True)
    job.refresh_from_db()

    assert (job.state, job.lost) == (State.PROCESSING, 0)


def test_once_leaves_the_living_the_time_to_renew(
    job: Job, begin: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    doubt = Vigil.doubt

    def doubt_and_renew(mine: Vigil) -> None:
        doubt(mine)
        lifecycle.renew([(job.pk, job.attempt)])

    monkeypatch.setattr(Vigil, "doubt", doubt_and_renew)
    begin(patient=False)
    job.refresh_from_db()

    assert (job.state, job.lost) == (State.PROCESSING, 0)


def test_once_takes_back_what_stays_lost(job: Job, begin: Callable[..., None]) -> None:
    begin(patient=False)
    job.refresh_from_db()

    assert (job.state, job.lost) == (State.QUEUED, 1)


def test_what_is_reported_of_tasks(settings: Any) -> None:
    settings.TASKS = TASKS
    good, bad = errands.add.enqueue(1), errands.fail.enqueue("no")
    reported: list[tuple[str, str]] = []
    work(Shift(patient=False), lambda words, _, result: reported.append((words, result)))

    path = "tests.workflows.tasks.errands"
    assert reported == [(f"{good.id} {path}.add", "DONE"), (f"{bad.id} {path}.fail", "FAIL")]
