"""Doing something with many jobs: first shown, then done, for those who may, and on record."""

import re
from collections.abc import Callable
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from chatflow.operations.admin import bulk
from chatflow.operations.models import Act
from chatflow.workflows import Context, WorkflowError, services, workflow
from chatflow.workflows.models import Event, Job, Message, State
from tests.workflows.chat import Chat, claimed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]

BULK = "/admin/chatflow_workflows/job/bulk/"
HIDDEN = re.compile(r'<input type="hidden" name="(.*?)" value="(.*?)">')


class Acting:
    """One act with some jobs, from its preview on.

    Args:
        client: of a member of the staff.
        act: its name.
        jobs: the selected ones; none: all that the filters leave.
        filters: of the list.
    """

    def __init__(self, client: Client, act: str, *jobs: Job, **filters: str) -> None:
        self.client, self.filters = client, filters
        scope = "selected" if jobs else "all"
        self.answer = self.post({"act": act, "scope": scope, "job": [job.pk for job in jobs]})

    def post(self, data: dict[str, Any]) -> Any:
        return self.client.post(BULK, data, query_params=self.filters)

    @property
    def text(self) -> str:
        assert self.answer.status_code == 200
        return " ".join(re.sub("<.*?>", " ", self.answer.content.decode()).split())

    def go_on(self, **more: str) -> list[str]:
        """Confirm it; return what the operator is told when all is done."""
        data: dict[str, Any] = {"confirmed": "1"}
        for name, value in HIDDEN.findall(self.answer.content.decode()):
            data.setdefault(name, []).append(unescape(value)) if name == "job" else data.update(
                {name: unescape(value)}
            )
        self.answer = self.post({**data, **more})
        return [str(message) for message in get_messages(self.answer.wsgi_request)]


def history(client: Client, job: Job) -> str:
    url = reverse("admin:chatflow_workflows_job_history", args=(job.pk,))
    return client.get(url).content.decode()


def test_it_shows_what_will_become_of_them(boss: Client, chat: Chat, bob: User) -> None:
    Chat(bob, "done").say(workflow="echo")
    Chat(bob, "failed").say(workflow="fail")
    running = chat.send(workflow="echo")
    claimed()
    waiting = [chat.send(workflow="echo") for _ in range(2)]
    acting = Acting(boss, "cancel", workflow="echo")
    assert "4 jobs that the list finds" in acting.text
    assert "2 Waiting Ends at once" in acting.text
    assert "1 Running Is told to stop" in acting.text
    assert "1 Done Stays as it is" in acting.text
    assert Job.objects.active().count() == 3
    later = chat.send(workflow="echo")
    assert sorted(acting.go_on(reason="It rains.")) == [
        "1 job: Had ended already.",
        "1 job: Told to stop.",
        "2 jobs: Cancelled.",
    ]
    assert {job.state for job in Job.objects.filter(pk__in=[job.pk for job in waiting])} == {
        State.CANCELLED
    }
    assert Job.objects.get(pk=running.pk).cancel_code == "cancelled"
    # What is sent after the preview is not meant.
    assert Job.objects.get(pk=later.pk).state == State.QUEUED
    assert "Cancel: Cancelled. “It rains.”" in history(boss, waiting[0])


def test_cancel_closes_an_open_question(boss: Client, chat: Chat) -> None:
    asked = chat.say(workflow="ask")
    told = Acting(boss, "cancel", asked).go_on()
    assert told == ["1 job: Had ended already; an open question is closed."]
    asked.session.refresh_from_db()
    assert asked.session.open_job is None


def test_retry(boss: Client, chat: Chat) -> None:
    failed, done = chat.say(workflow="fail"), chat.say(workflow="echo")
    told = Acting(boss, "retry", failed, done).go_on()
    new = Job.objects.get(retry_of=failed)
    assert told[:2] == [
        "1 job: Only a job that failed, timed out or was cancelled can be retried.",
        "1 job: Queued again.",
    ]
    url = reverse("admin:chatflow_workflows_job_change", args=(new.pk,))
    assert f'<a href="{url}">{new}</a>' in told[2]
    assert f"Retry: As {new}." in history(boss, failed)


def test_retry_of_a_unique_job_that_is_queued_already(boss: Client, chat: Chat) -> None:
    @workflow("unique", unique_key=lambda user, text: "key")
    def unique(ctx: Context) -> str:
        raise WorkflowError

    failed = chat.say(workflow="unique")
    chat.send(workflow="unique")
    told = Acting(boss, "retry", failed).go_on()
    assert told == ["1 job: The same work is already queued or running."]


def test_forget(boss: Client, chat: Chat) -> None:
    failed, done = chat.say(workflow="fail"), chat.say(workflow="echo")
    assert sorted(Acting(boss, "forget", failed, done).go_on()) == [
        "1 job: Not on the list of failures.",
        "1 job: Taken off the list of failures.",
    ]
    assert not Job.objects.failures().exists()


def test_move(boss: Client, chat: Chat) -> None:
    @workflow("mail", queue="mail")
    def mail(ctx: Context) -> str:
        return "Sent."

    done, waiting = chat.say(workflow="echo"), chat.send(workflow="echo")
    acting = Acting(boss, "move", done, waiting)
    assert "1 Waiting Waits in the other queue." in acting.text
    acting.go_on(queue="nowhere")
    assert "nowhere is not one of the available choices" in acting.text
    assert sorted(acting.go_on(queue="mail")) == [
        "1 job: Didn't wait, or waited there already.",
        "1 job: Moved.",
    ]
    assert Job.objects.get(pk=waiting.pk).queue == "mail"
    assert "From default to mail." in history(boss, waiting)


def test_delete(boss: Client, chat: Chat, bob: User) -> None:
    asked = chat.say("my question", workflow="ask")
    asks = Chat(bob, "asks").say(workflow="ask")
    answered = chat.say("Ann")
    waiting = Chat(bob, "waiting").send(workflow="echo")
    acting = Acting(boss, "delete", answered, asks, waiting)
    assert "There is no way back." in acting.text
    assert sorted(acting.go_on(reason="On request.")) == [
        "1 job: Deleted.",
        "2 jobs: Kept: it or its conversation goes on.",
    ]
    # The conversation as a whole; but what was said stays.
    assert set(Job.objects.all()) == {waiting, asks}
    assert not Event.objects.filter(job__in=[asked.pk, answered.pk]).exists()
    assert Message.objects.filter(session=asked.session).count() == 4


def test_more_than_one_request_may_take(
    boss: Client, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops where its time is over, says how much is left, and goes on from there."""
    monkeypatch.setattr(bulk, "WORKS", 0.0)
    monkeypatch.setattr(bulk, "AT_A_TIME", 2)
    jobs = [chat.send(workflow="echo") for _ in range(3)]
    # Its own clock: threads that run beside it go by the other.
    clock = SimpleNamespace(monotonic=iter(range(100)).__next__)
    monkeypatch.setattr(bulk, "time", clock)
    monkeypatch.setattr(bulk, "WORKS", 2)
    acting = Acting(boss, "cancel", state="queued")
    assert acting.go_on() == []
    assert "1 done" in acting.text
    assert "2 left" in acting.text
    monkeypatch.setattr(bulk, "WORKS", 1000)
    assert acting.go_on() == ["3 jobs: Cancelled."]
    assert [job.state for job in Job.objects.all()] == [State.CANCELLED] * len(jobs)


def test_a_page_that_is_loaded_again_does_nothing_twice(boss: Client, chat: Chat) -> None:
    """It goes over the same jobs once more: nothing is done, and nothing is on record again."""
    failed, running = chat.say(workflow="fail"), chat.send(workflow="echo")
    claimed()
    queued = chat.send(workflow="echo")
    for act, jobs in (("retry", [failed]), ("cancel", [queued, running]), ("forget", [failed])):
        acting = Acting(boss, act, *jobs)
        preview = acting.answer
        acting.go_on()
        counted = Act.objects.count(), Job.objects.count()
        acting.answer = preview
        acting.go_on(brief="1")
        # A script isn't led anywhere.
        assert acting.answer.status_code == 204
        assert (Act.objects.count(), Job.objects.count()) == counted


def test_filters_that_mean_nothing_leave_nothing(boss: Client, chat: Chat) -> None:
    waiting = chat.send(workflow="echo")
    acting = Acting(boss, "cancel", state="lost")
    assert "0 jobs that the list finds" in acting.text
    acting.post({"act": "cancel", "scope": "all", "confirmed": "1"})
    assert Job.objects.get(pk=waiting.pk).state == State.QUEUED
    told = acting.post({"act": "cancel", "scope": "selected"})
    assert [str(each) for each in get_messages(told.wsgi_request)] == [
        "There was no such job any more.",
        "Select jobs first.",
    ]
    assert acting.post({"act": "cancel", "job": "1", "standing": "forged"}).status_code == 400


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        (("view_job", "delete_job"), ()),
        (("change_job",), ("cancel", "retry", "move", "forget")),
        (("change_job", "delete_job"), ("cancel", "retry", "move", "forget", "delete")),
    ],
)
def test_permissions(
    staff: Callable[..., Client],
    chat: Chat,
    permissions: tuple[str, ...],
    allowed: tuple[str, ...],
) -> None:
    job = chat.say("my secret", workflow="fail")
    member = staff(*permissions)
    text = member.get("/admin/chatflow_workflows/job/").content.decode()
    for act in ("cancel", "retry", "move", "forget", "delete"):
        assert (f'<option value="{act}">' in text) == (act in allowed)
        acting = Acting(member, act, job)
        assert acting.answer.status_code == (200 if act in allowed else 403)
        assert "secret" not in acting.answer.content.decode()
    assert member.get(BULK).status_code == (302 if allowed else 403)


def test_it_takes_a_page_of_this_site(boss: Client, chat: Chat) -> None:
    waiting = chat.send(workflow="echo")
    outside = Client(enforce_csrf_checks=True)
    outside.force_login(User.objects.get(username="boss"))
    data = {"act": "cancel", "job": waiting.pk, "confirmed": "1"}
    assert outside.post(BULK, data).status_code == 403
    assert services.get_job(chat.user, waiting.public_id).state == State.QUEUED
