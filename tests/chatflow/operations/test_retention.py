"""What queue_prune takes away by the settings, beside old jobs."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from chatflow.operations import audit
from chatflow.operations.models import Act, Mark
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.models import Job, Message
from chatflow.workflows.texts import REMOVED
from tests.chatflow.operations.walk import fill
from tests.configure import configure

pytestmark = pytest.mark.django_db


def prune() -> list[str]:
    out = StringIO()
    call_command("queue_prune", stdout=out)
    return out.getvalue().splitlines()


def age(days: int) -> None:
    """Let all that there is be so many days older."""
    ago = timezone.now() - timedelta(days=days)
    Job.objects.update(created_at=ago, finished_at=ago)
    Message.objects.update(created_at=ago)
    Document.objects.update(created_at=ago)


def test_it_works(alice: User, settings: Any) -> None:
    configure(settings, KEEP_TEXTS_DAYS=7)
    fill(alice)
    age(8)
    said = prune()

    assert said == ["Pruned 0 jobs.", "Took the words of 1 jobs and 2 messages, and 1 files."]
    assert Job.objects.get().text == REMOVED
    assert Act.objects.get().outcome == said[1]
    assert {mark.upto for mark in Mark.objects.all()} == {
        Job.objects.latest("pk").pk,
        Message.objects.latest("pk").pk,
    }
    assert prune()[1] == "Took the words of 0 jobs and 0 messages, and 0 files."
    assert Act.objects.count() == 1


def test_without_the_setting_all_stays(alice: User) -> None:
    fill(alice)
    age(20)

    assert prune() == ["Pruned 0 jobs."]
    assert not Message.objects.filter(content=REMOVED).exists()


def test_old_acts(alice: User, settings: Any) -> None:
    audit.record_at_terminal(alice, "Look")
    configure(settings, KEEP_ACTS_DAYS=30)
    assert prune() == ["Pruned 0 jobs."]
    Act.objects.create(who="bob", act="Look", at=timezone.now() - timedelta(days=31))

    assert prune()[1] == "Removed 1 acts from the log."
    assert list(Act.objects.order_by("pk").values_list("act", flat=True)) == ["Look", "Retention"]
