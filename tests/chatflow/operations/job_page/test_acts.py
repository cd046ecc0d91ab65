"""What is done about a job on its page: by whom, how it is recorded, and what comes of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from chatflow.operations.models import Act
from chatflow.workflows import Context, services, workflow
from chatflow.workflows.models import ApprovalRequest, Job, Message, State, Step
from tests.workflows.chat import Chat, claimed, run_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]


def recorded() -> list[tuple[str, str, str, str]]:
    """Return the acts that were recorded: to what, what, with which outcome, and why."""
    fields = ("target_id", "act", "outcome", "why")
    return list(Act.objects.order_by("pk").values_list(*fields))


def act(client: Client, job: Job, name: str, **fields: object) -> str:
    """Do something; return what is said of it."""
    url = reverse("admin:chatflow_workflows_job_act", args=(job.pk, name))
    response = client.post(url, fields)
    assert response.status_code == 302
    # Those before it are still to be shown.
    *_, last = get_messages(response.wsgi_request)
    return str(last)


def acts_of(client: Client, job: Job) -> set[str]:
    response = client.get(reverse("admin:chatflow_workflows_job_change", args=(job.pk,)))
    acts: set[str] = response.context["acts"]
    return acts


def newest() -> Job:
    run_waiting()
    job = Job.objects.order_by("pk").last()
    assert job is not None
    return job


def test_cancel(boss: Client, chat: Chat) -> None:
    job = chat.send(workflow="echo")
    claimed()
    assert acts_of(boss, job) == {"cancel"}
    assert act(boss, job, "cancel", reason="too long") == "Told to stop."
    assert recorded() == [(job.public_id, "Cancel", "Told to stop.", "too long")]
    assert acts_of(boss, job) == set()


def test_retry(boss: Client, chat: Chat) -> None:
    job = chat.say(workflow="fail")
    assert acts_of(boss, job) == {"retry", "retry-from", "edit"}
    act(boss, job, "retry", reason="again")
    assert newest().retry_of == job
    assert recorded() == [(job.public_id, "Retry", f"Retried as {newest()}.", "again")]
    assert acts_of(boss, job) == {"edit"}


def test_retry_from_a_step(boss: Client, chat: Chat) -> None:
    job = chat.say("hello", workflow="echo")
    step = Step.objects.get(job=job)
    [done] = [bar for bar in _bars(boss, job) if bar.may_retry]
    assert done.step == step.pk
    url = reverse("admin:chatflow_workflows_job_change", args=(job.pk,))
    assert f"?from={step.pk}#retry-from" in boss.get(url).content.decode()
    chosen = boss.get(url, {"from": step.pk}).content.decode()
    assert "Retry from “Listening”" in chosen
    assert f'name="step" value="{step.pk}"' in chosen
    for wrong in ("x", step.pk + 1):
        assert "Retry from “" not in boss.get(url, {"from": wrong}).content.decode()
    act(boss, job, "retry-from", step=step.pk)
    assert (newest().retry_of, newest().response) == (job, "hello")
    assert recorded()[0][2].startswith("Retried from the step “Listening” on")
    for wrong in ("", "x", "0", 10**30):
        assert act(boss, job, "retry-from", step=wrong) == "There is no such step."
    other = Chat(chat.user, "other").say(workflow="echo")
    assert act(boss, other, "retry-from", step=step.pk) == "This job has no such step any more."


def _bars(client: Client, job: Job) -> Any:
    return client.get(reverse("admin:chatflow_workflows_job_change", args=(job.pk,))).context[
        "bars"
    ]


def test_other_words_and_other_input(boss: Client, chat: Chat) -> None:
    @workflow("order")
    def order(ctx: Context) -> str:
        return f"{ctx.message}: {(ctx.input or {})['count']}"

    job = services.start(
        chat.user, "Order", session_key="s", workflow="order", input={"count": 1}
    ).job
    run_waiting()
    for wrong in ("[1]", "{", "NaN"):
        assert act(boss, job, "edit", text="More", input=wrong) == "The input is no JSON object."
    assert act(boss, job, "edit", text=" ", input="{}") == "There must be words."
    assert act(boss, job, "edit", text="x" * 4001, input="{}").startswith("Say it in at most")
    assert not recorded()
    act(boss, job, "edit", text="More\r\nof it", input='{"count": 5}', reason="he asked")
    assert newest().response == "More\nof it: 5"
    assert recorded()[0][3] == "he asked"


def test_an_answer_for_the_user(boss: Client, chat: Chat) -> None:
    job = chat.say(workflow="ask")
    assert acts_of(boss, job) == {"cancel", "answer", "edit", "retry-from"}
    act(boss, job, "answer", answer="Ann", reason="by phone")
    assert newest().response == "Hello Ann."
    assert Message.objects.filter(content="Ann\n\n(Answered by boss.)").exists()
    assert recorded() == [
        (
            job.public_id,
            "Answer for the user",
            f"Answered its question for the user; it goes on as {newest()}.",
            "by phone",
        )
    ]
    assert act(boss, job, "answer", answer="Bob") == "This question is not open any more."


@pytest.mark.parametrize(("name", "approved"), [("approve", True), ("reject", False)])
def test_a_decision_for_the_user(boss: Client, chat: Chat, name: str, approved: bool) -> None:
    job = chat.begin(lambda ctx: str(ctx.approve("Delete it?").approved))
    assert acts_of(boss, job) >= {"approve", "reject", "cancel"}
    assert act(boss, job, "answer", answer="yes") == "An approval is approved or rejected."
    act(boss, job, name, reason="checked")
    row = ApprovalRequest.objects.get()
    assert (row.approved, row.by, row.via, row.reason) == (approved, "boss", "admin", "checked")
    assert newest().response == str(approved)
    assert len(recorded()) == 1


@pytest.mark.parametrize(
    "name", ["cancel", "retry", "retry-from", "edit", "answer", "approve", "reject"]
)
def test_nobody_acts_without_the_permission_or_by_a_get(
    staff: Callable[..., Client], boss: Client, chat: Chat, name: str
) -> None:
    job = chat.say(workflow="ask")
    url = reverse("admin:chatflow_workflows_job_act", args=(job.pk, name))
    viewer = staff("view_job", "view_step", "view_event")
    assert acts_of(viewer, job) == set()
    assert viewer.post(url).status_code == 403
    assert staff("change_job").post(url).status_code in (302, 403)
    assert boss.get(url).status_code == 405
    assert Client(enforce_csrf_checks=True).post(url).status_code in (302, 403)
    assert Job.objects.filter(state=State.QUEUED).count() == 0


def test_who_may_not_read_words_neither_answers_nor_edits(
    staff: Callable[..., Client], chat: Chat
) -> None:
    job = chat.say(workflow="ask")
    operator = staff("change_job", "change_approvalrequest")
    assert acts_of(operator, job) == {"cancel", "retry-from"}
    for name in ("answer", "edit"):
        url = reverse("admin:chatflow_workflows_job_act", args=(job.pk, name))
        assert operator.post(url, {"answer": "x", "text": "x"}).status_code == 403


def test_a_token_of_the_page_is_wanted(chat: Chat, boss: Client) -> None:
    job = chat.send(workflow="echo")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies
    url = reverse("admin:chatflow_workflows_job_act", args=(job.pk, "cancel"))
    assert strict.post(url).status_code == 403
    job.refresh_from_db()
    assert job.state == State.QUEUED


def test_an_unknown_act(chat: Chat, boss: Client) -> None:
    job = chat.send(workflow="echo")
    url = reverse("admin:chatflow_workflows_job_act", args=(job.pk, "explode"))
    assert boss.post(url).status_code == 404
