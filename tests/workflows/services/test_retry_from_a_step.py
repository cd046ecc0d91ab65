"""A job that is done again from one of its steps on."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatflow.workflows import Context, WorkflowError, services, workflow
from chatflow.workflows.exceptions import AlreadyRetried, StepNotFound, StillRunning, WentOn
from chatflow.workflows.models import Job, State, Step
from chatflow.workflows.services import redaction
from tests.workflows.chat import Chat, assert_log_is_sound, claimed, resume, run_waiting, streamed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


@pytest.fixture
def ran() -> list[str]:
    """What was run, and not only recorded: also the workflows."""
    return []


@pytest.fixture(autouse=True)
def _flows(ran: list[str]) -> None:
    def run(name: str) -> str:
        ran.append(name)
        return f"{name}{ran.count(name)}"

    @workflow("line")
    def line(ctx: Context) -> str:
        def outer() -> str:
            return run("outer") + ctx.step("inner", run, "inner") + ctx.step("last", run, "last")

        found = []
        for name in ("a", "b"):
            found.append(ctx.step(name, run, name))
            ctx.write(f"{found[-1]} ")
        found.append(ctx.step("outer", outer))
        found.append(ctx.step("c", run, "c"))
        if ctx.message == "fail" and ran.count("c") == 1:
            raise WorkflowError("No.")
        return " ".join(found)

    @workflow("asks")
    def asks(ctx: Context) -> str:
        first = ctx.step("a", run, "a")
        name = ctx.ask("Name?")
        ctx.approve("Really?")
        return f"{first} {name} {ctx.step('b', run, 'b')}"


def step(job: Job, name: str) -> Step:
    return Step.objects.get(job=job, name=name)


def again(job: Job, name: str) -> Job:
    new = services.retry(job, from_step=step(job, name))
    run_waiting()
    new.refresh_from_db()
    assert_log_is_sound(new)
    return new


@pytest.mark.parametrize("text", ["go", "fail"])
@pytest.mark.parametrize(
    ("name", "response", "runs"),
    [
        ("a", "a2 b2 outer2inner2last2 c2", ["a", "b", "outer", "inner", "last", "c"]),
        ("b", "a1 b2 outer2inner2last2 c2", ["b", "outer", "inner", "last", "c"]),
        ("outer", "a1 b1 outer2inner2last2 c2", ["outer", "inner", "last", "c"]),
        ("outer#1 > last", "a1 b1 outer2inner1last2 c2", ["outer", "last", "c"]),
        ("c", "a1 b1 outer1inner1last1 c2", ["c"]),
    ],
)
def test_it_and_those_behind_it_run_again(
    chat: Chat, ran: list[str], text: str, name: str, response: str, runs: list[str]
) -> None:
    old = chat.say(text, workflow="line")
    del ran[: ran.index("c") + 1]
    ran += ["a", "b", "outer", "inner", "last", "c"]
    before = len(ran)

    new = again(old, name)

    assert (new.response, ran[before:]) == (response, runs)
    assert new.retry_of == old
    assert streamed(new) == " ".join(new.response.split()[:2]) + " "


def test_the_old_records_are_kept_with_the_old_job(chat: Chat) -> None:
    old = chat.say(workflow="line")
    before = list(old.steps.order_by("pk").values_list("name", "result"))

    new = again(old, "b")

    assert list(old.steps.order_by("pk").values_list("name", "result")) == before
    assert next(each.name for each in new.steps.order_by("pk")) == "b"
    # No run comes by them, in whatever way the new one is done again.
    assert again(new, "outer").response.startswith("a1 b2 outer3")


def test_a_retry_resumes_what_the_one_from_a_step_has_done(chat: Chat, ran: list[str]) -> None:
    old = chat.say(workflow="line")
    new = services.retry(old, from_step=step(old, "b"))
    job = claimed()
    assert job.pk == new.pk
    before = len(ran)

    assert resume(new).response == "a1 b2 outer2inner2last2 c2"

    assert ran[before:] == ["b", "outer", "inner", "last", "c"]


def test_what_was_asked_behind_it_is_asked_again(chat: Chat, ran: list[str]) -> None:
    asking = chat.say(workflow="asks")

    new = again(asking, "a")

    chat_session = new.session
    chat_session.refresh_from_db()
    assert (new.response, chat_session.open_job) == ("Name?", new)
    chat.say("Ann")
    assert chat.say("yes").response == "a2 Ann b1"


def test_the_answers_in_front_of_it_stay(chat: Chat) -> None:
    for words in ("go", "Ann"):
        chat.say(words, workflow="asks" if words == "go" else None)
    last = chat.say("yes")
    assert last.response == "a1 Ann b1"

    assert again(last, "b").response == "a1 Ann b2"


def test_consent_is_never_taken_over_for_what_is_done_again(chat: Chat) -> None:
    chat.say(workflow="asks")
    chat.say("Ann")
    last = chat.say("yes")
    asked = Step.objects.get(root=last.root, name="ask: Really?")

    new = services.retry(last, from_step=asked)
    run_waiting()
    new.refresh_from_db()

    assert (new.awaiting or {})["kind"] == "approval"


def test_what_can_not_be_done(chat: Chat) -> None:
    other = Chat(chat.user, "other").say(workflow="asks")
    running = chat.send(workflow="line")
    first = step(other, "a")
    with pytest.raises(StillRunning):
        services.retry(running, from_step=first)
    run_waiting()
    with pytest.raises(StepNotFound):
        services.retry(running, from_step=first)
    Chat(chat.user, "other").say("Ann")
    with pytest.raises(WentOn):
        services.retry(other, from_step=first)
    mine = step(running, "a")
    services.retry(running, from_step=mine)
    with pytest.raises(AlreadyRetried):
        services.retry(running, from_step=mine)
    assert Job.objects.filter(state=State.QUEUED).count() == 1


def test_without_records_a_plain_retry_is_as_it_was(chat: Chat, ran: list[Any]) -> None:
    failed = chat.say("fail", workflow="line")
    new = services.retry(failed)
    run_waiting()
    new.refresh_from_db()
    assert new.state == State.FAILED
    assert ran.count("a") == 1


def test_retention_takes_the_words_of_what_was_set_aside(chat: Chat) -> None:
    again(chat.say(workflow="line"), "b")
    assert sum(step.result is not None for step in Step.objects.all()) > 6

    for _ in redaction.redact_jobs(timezone.now() + timedelta(days=1), redaction.Mark()):
        pass

    assert all(step.result is None for step in Step.objects.all())
