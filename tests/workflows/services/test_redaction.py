"""The words of what is old go; figures, states and times stay."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from chatflow.workflows import services
from chatflow.workflows.exceptions import NotRetryable
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.models import ApprovalRequest, Event, Job, Message, Session
from chatflow.workflows.running.memory import window
from chatflow.workflows.services import conversations, redaction
from chatflow.workflows.services.redaction import Mark
from chatflow.workflows.texts import REMOVED, TEXTS
from tests.chatflow.operations.walk import CANARY, fill
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]

LATER = timedelta(days=1)


def redact(before: datetime, jobs: Mark | None = None, messages: Mark | None = None) -> list[int]:
    """Take the words of what is older; return how many jobs, messages and files it were."""

    def count(steps: Iterator[int]) -> int:
        return sum(steps)

    done = [
        count(redaction.redact_jobs(before, jobs or Mark())),
        count(redaction.redact_messages(before, messages or Mark())),
    ]
    redaction.redact_approvals(before)
    return [*done, redaction.delete_files(before)]


def words(rows: list[Model]) -> set[str]:
    """Return the columns of words that still have the canary."""
    found = set()
    for row in rows:
        label = row._meta.label_lower
        for values in type(row)._base_manager.values(*TEXTS.get(label, ())):
            found |= {f"{label}.{name}" for name, value in values.items() if CANARY in str(value)}
    return found


def test_it_works(alice: User) -> None:
    rows = [row for row in fill(alice) if row._meta.label_lower in TEXTS]
    rows = [row for row in rows if row._meta.model_name not in ("taskrun", "token")]
    figures = Job.objects.values("state", "attempt", "last_seq", "created_at", "usage").get()
    assert len(words(rows)) > 25
    assert redact(timezone.now() + LATER) == [1, 2, 1]

    assert words(rows) == set()
    assert Job.objects.values(*figures).get() == figures
    assert Message.objects.filter(content=REMOVED).count() == 2
    assert Event.objects.count() == 2
    assert not Document.objects.exists()
    approval = ApprovalRequest.objects.get()
    assert (approval.approved, approval.prompt) == (True, REMOVED)


def test_what_is_new_stays(alice: User) -> None:
    rows = fill(alice)
    found = words(rows)

    assert redact(timezone.now() - LATER) == [0, 0, 0]
    assert words(rows) == found


def test_work_and_open_questions_stay(chat: Chat) -> None:
    """Until they have ended: then the walk, which has gone past them, comes back."""
    asked = chat.say("my question", workflow="ask")
    jobs, messages, before = Mark(), Mark(), timezone.now() + LATER
    assert redact(before, jobs, messages)[:2] == [0, 0]
    assert jobs.later == [asked.pk]
    assert jobs.upto == asked.pk
    assert Job.objects.get(pk=asked.pk).awaiting

    chat.say("cancel")
    assert redact(before, jobs, messages)[0] == Job.objects.count()
    assert jobs.later == []
    assert not Message.objects.exclude(content=REMOVED).exists()


def test_again_it_does_nothing(chat: Chat) -> None:
    chat.say("hello", workflow="echo")
    jobs, messages, before = Mark(), Mark(), timezone.now() + LATER
    assert redact(before, jobs, messages) == [1, 2, 0]
    assert redact(before, jobs, messages) == [0, 0, 0]


def test_what_goes_by_words_goes_on(chat: Chat) -> None:
    """The search, the memory of models, and retries."""
    failed = chat.say("my secret", workflow="fail")
    redact(timezone.now() + LATER)
    session = Session.objects.get()

    assert conversations.search(Session.objects.all(), "removed", 5) == {}
    assert window(session, before=failed.pk + 1) == []
    with pytest.raises(NotRetryable):
        services.retry(failed)
    assert chat.say("something new", workflow="echo").response


def test_many_batches(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "JOBS", 2)
    for _ in range(5):
        chat.say("hello", workflow="echo")
    mark: Any = Mark()
    done = list(redaction.redact_jobs(timezone.now() + LATER, mark))

    assert done == [2, 2, 1]
