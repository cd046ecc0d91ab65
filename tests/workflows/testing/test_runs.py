"""The kit's verb, as a team's tests use it."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from pydantic import BaseModel, Field

from chatflow.workflows import Context, WorkflowError, services, workflow
from chatflow.workflows.exceptions import UnknownWorkflow
from chatflow.workflows.models import Event
from chatflow.workflows.testing import OPEN, Approve, Reject, Turn
from tests.configure import configure

Run = Any


@dataclass
class Report:
    team: str
    tickets: int


def collect(team: str) -> Report:
    return Report(team, 49)


class Refund(BaseModel):
    amount: int = Field(ge=1, le=500)


@pytest.fixture(autouse=True)
def _workflows() -> None:
    @workflow("greeter")
    def greeter(ctx: Context) -> str:
        return f"Hello {ctx.ask('What is your name?')}."

    @workflow("report", steps=2)
    def report(ctx: Context) -> Any:
        team = ctx.ask("Which team?")
        found = ctx.step("Collect", collect, team)
        ctx.write("Half. ")
        if not ctx.confirm(f"Publish {found.tickets} tickets?"):
            return "Nothing was published."
        number: int = ctx.step("Save", int, found.tickets)
        return ctx.reply(
            f"Report {number}.", actions=[{"type": "link", "label": "Open", "url": "/reports/"}]
        )

    @workflow("refund")
    def refund(ctx: Context) -> str:
        approval = ctx.approve("Refund it?", answer=Refund, details={"Order": 4711})
        if not approval.approved:
            return f"No: {approval.reason}."
        assert isinstance(approval.answer, Refund)
        return f"{approval.by} approved {approval.answer.amount}."

    @workflow("form")
    def form(ctx: Context) -> str:
        return f"{ctx.form('How much?', Refund).amount}, {ctx.ask('Why?', optional=True)}"


def test_it_works(run: Run) -> None:
    turn = run("greeter", "hello", answers=["Ada"])

    assert turn.response == "Hello Ada."
    assert turn.questions == ["What is your name?"]
    assert (turn.state, turn.error, turn.exception, turn.awaiting) == ("completed", "", None, None)


def test_the_function_is_the_fixture(db: None) -> None:
    from chatflow.workflows.testing import run

    assert run("greeter", "hello", answers=["Ada"]).response == "Hello Ada."


def test_what_came_of_it(run: Run, alice: User) -> None:
    turn = run("report", "report", answers=["Support", True], user=alice)

    collected = {"team": "Support", "tickets": 49}
    assert turn.steps == [("Collect", collected, 1), ("Save", 49, 1)]
    assert turn.steps[0].name == "Collect"
    assert turn.words == "Half. "
    assert [action["label"] for action in turn.actions] == ["Open"]
    assert turn.questions == ["Which team?", "Publish 49 tickets?"]
    assert [event.message for event in turn.events if event.type == Event.Type.STEP_STARTED] == [
        "Processing step 1 of 2...",
        "Processing step 2 of 2...",
    ]
    assert {job.user for job in turn.jobs} == {alice}
    assert len(turn.jobs) == 3
    assert turn.usage == {}
    assert repr(turn) == "<Turn completed: Report 49.>"


def test_a_question_too_many_fails_with_its_text(run: Run) -> None:
    with pytest.raises(AssertionError, match=r"asks once more .* 'Publish 49 tickets\?'"):
        run("report", "report", answers=["Support"])


@pytest.mark.parametrize("wrong", [{"answers": "Ada"}, {"model": "Hello."}])
def test_a_text_is_no_list(run: Run, wrong: Any) -> None:
    with pytest.raises(TypeError, match="are a list"):
        run("greeter", "hello", **wrong)


def test_an_answer_too_many_fails(run: Run) -> None:
    with pytest.raises(AssertionError, match=r"Nobody asked for these answers: \['yes'\]"):
        run("greeter", "hello", answers=["Ada", "yes"])


def test_a_question_is_left_open(run: Run) -> None:
    asked = run("report", "report", answers=["Support", OPEN])

    assert asked.awaiting["kind"] == "confirm"
    assert asked.response == "Publish 49 tickets?"
    answered = asked.answer("no")
    assert answered.response == "Nothing was published."
    assert answered.steps == [("Collect", {"team": "Support", "tickets": 49}, 1)]


def test_an_answer_that_does_not_fit_is_asked_again(run: Run) -> None:
    turn = run("report", "report", answers=["Support", "perhaps", False])

    assert turn.questions == ["Which team?", "Publish 49 tickets?", "Publish 49 tickets?"]
    assert turn.jobs[-2].response == "Please answer yes or no. Publish 49 tickets?"


@pytest.mark.parametrize("data", [{"amount": 20}, Refund(amount=20)])
def test_data_fills_in_a_form(run: Run, data: Any) -> None:
    assert run("form", answers=[data, None]).response == "20, None"


def test_a_word_that_cancels_ends_it(run: Run) -> None:
    turn = run("report", "report", answers=["Support", "cancel"])

    assert turn.response == "Cancelled."


def test_approvals(run: Run, alice: User, bob: User) -> None:
    approve = Approve("fine", answer={"amount": 20}, by=bob)

    turn = run("refund", user=alice, answers=[approve])

    assert turn.response == "bob approved 20."
    (asked,) = turn.approvals
    assert (asked.prompt, asked.details, asked.reason) == ("Refund it?", {"Order": 4711}, "fine")
    assert turn.questions == []
    assert run("refund", answers=[Reject("too old")]).response == "No: too old."
    assert run("refund", answers=["no, too old"]).response == "No: too old."


def test_a_decision_is_for_an_approval_only(run: Run) -> None:
    with pytest.raises(AssertionError, match=r"no request for an approval: What is your name\?"):
        run("greeter", answers=[Approve()])


def test_who_decides_is_a_user(run: Run) -> None:
    with pytest.raises(TypeError, match="is a user, such as by=bob, not the name 'bob'"):
        run("refund", answers=[Approve(by="bob")])


def test_a_workflow_that_is_not_there(run: Run) -> None:
    with pytest.raises(UnknownWorkflow, match=r"called 'refnd'\. Did you mean 'refund'\?"):
        run("refnd")
    with pytest.raises(UnknownWorkflow, match=r"called 'zzz'\. There are .*refund"):
        run("zzz")


def test_a_user_that_the_kit_can_not_make(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(user: User) -> None:
        raise IntegrityError("company_id may not be NULL")

    monkeypatch.setattr(User, "save", save)

    with pytest.raises(AssertionError, match=r"give run\(\) one: company_id"):
        run("greeter")


def test_failures(run: Run) -> None:
    @workflow("broken")
    def broken(ctx: Context) -> str:
        return ctx.step("Divide", lambda: str(1 / 0))

    @workflow("refused")
    def refused(ctx: Context) -> str:
        raise WorkflowError("The printer is on fire.", code="fire")

    @workflow("wrong")
    def wrong(ctx: Context) -> Any:
        return 5

    turn = run("broken")
    assert (turn.state, turn.code, turn.response) == ("failed", "workflow_failed", "")
    assert isinstance(turn.exception, ZeroDivisionError)
    assert turn.steps == [("Divide", None, 1)]
    assert "ZeroDivisionError" in repr(turn)
    turn = run("refused")
    assert (turn.error, turn.code) == ("The printer is on fire.", "fire")
    assert isinstance(run("wrong").exception, TypeError)


def test_the_worker_dies_behind_a_step(run: Run) -> None:
    turn = run("report", answers=["Support", True], crash_after=["Collect", "Save"])

    assert turn.response == "Report 49."
    assert [(step.name, step.runs) for step in turn.steps] == [("Collect", 1), ("Save", 1)]
    assert [job.attempt for job in turn.jobs] == [1, 2, 2]
    assert turn.words == "Half. "


def test_a_crash_shows_what_runs_twice(run: Run) -> None:
    """The inner step stands; the one around it has no record yet, and runs again."""
    calls = []

    @workflow("nested")
    def nested(ctx: Context) -> str:
        def outer() -> int:
            calls.append("outer")
            inner: int = ctx.step("Inner", len, "abc")
            return inner + 1

        return str(ctx.step("Outer", outer))

    turn = run("nested", crash_after="Inner")

    assert turn.steps == [("Outer", 4, 2), ("Inner", 3, 1)]
    assert calls == ["outer", "outer"]


def test_a_crash_leaves_nothing_of_the_attempt_behind(run: Run) -> None:
    """What the code does on its way out is not done by a killed worker, and so not recorded."""

    @workflow("cleaning")
    def cleaning(ctx: Context) -> str:
        try:
            ctx.step("Save", int, 1)
        finally:
            ctx.step("Clean up", int, 2)
        return "Done."

    turn = run("cleaning", crash_after="Save")

    assert turn.steps == [("Save", 1, 1), ("Clean up", 2, 1)]


def test_an_atomic_step_is_committed_before_the_crash(run: Run, alice: User) -> None:
    @workflow("rename")
    def rename(ctx: Context) -> str:
        def write() -> None:
            User.objects.filter(pk=ctx.user.pk).update(first_name="Ada")

        ctx.step("Rename", write, atomic=True)
        return User.objects.get(pk=ctx.user.pk).first_name

    turn = run("rename", user=alice, crash_after="Rename")

    assert (turn.response, turn.steps) == ("Ada", [("Rename", None, 1)])


def test_a_step_to_crash_after_must_be_there(run: Run) -> None:
    with pytest.raises(AssertionError, match="No step called 'Svae'"):
        run("greeter", answers=["Ada"], crash_after="Svae")


def test_what_else_runs_is_not_the_runs_own(run: Run, bob: User) -> None:
    """A job that the workflow starts is run as well, as a worker would."""

    @workflow("child")
    def child(ctx: Context) -> str:
        ctx.step("Of the child", int, 1)
        raise OSError("Away.")

    @workflow("parent")
    def parent(ctx: Context) -> str:
        def begin() -> str:
            return services.start(bob, "go", session_key="s", workflow="child").job.public_id

        ctx.step("Begin", begin)
        raise WorkflowError("That was all.")

    turn = run("parent")

    assert [step.name for step in turn.steps] == ["Begin"]
    assert isinstance(turn.exception, WorkflowError)
    assert bob.chatflow_jobs.get().state == "failed"


@pytest.mark.parametrize("crash_after", ["First", "Second", "Save"])
def test_async_workflows(run: Run, crash_after: str) -> None:
    async def fetch(source: str) -> int:
        await asyncio.sleep(0)
        return len(source)

    @workflow("gather")
    async def gather(ctx: Context) -> str:
        both = await asyncio.gather(
            ctx.astep("First", fetch, "first"), ctx.astep("Second", fetch, "second")
        )
        await ctx.awrite("Both. ")
        name = await ctx.aask("Name?")
        await ctx.astep("Save", len, name)
        return f"{name}: {sum(both)}"

    turn = run("gather", answers=["Ada"], crash_after=crash_after)

    assert turn.response == "Ada: 11"
    assert [(step.name, step.result) for step in turn.steps] == [
        ("First", 5),
        ("Second", 6),
        ("Save", 3),
    ]
    assert {step.name: step.runs for step in turn.steps}[crash_after] == 1
    assert turn.words == "Both. "


def test_tries_do_not_wait(run: Run) -> None:
    calls = []

    def flaky() -> int:
        calls.append("call")
        if len(calls) < 3:
            raise OSError("Away.")
        return len(calls)

    @workflow("patient", tries=3, backoff=[60, 3600])
    def patient(ctx: Context) -> str:
        return str(ctx.step("Fetch", flaky))

    turn = run("patient")

    assert (turn.response, turn.exception) == ("3", None)
    assert turn.steps == [("Fetch", 3, 3)]


def test_retries_of_a_step_are_counted(run: Run) -> None:
    @workflow("eager")
    def eager(ctx: Context) -> str:
        return str(ctx.step("Fetch", lambda: 1 // 0, retries=2))

    assert run("eager").steps == [("Fetch", None, 3)]


def test_trying_until_some_time_ends(run: Run) -> None:
    """An hour of tries, ten minutes apart, takes no time, and has an end."""

    @workflow("stubborn", retry_until=3600, backoff=600)
    def stubborn(ctx: Context) -> str:
        raise OSError("Away.")

    turn = run("stubborn")

    assert turn.state == "failed"
    assert turn.job.attempt == 6


def test_trying_for_ever_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatflow.workflows.testing.conversations.MOST_TRIES", 3)

    @workflow("endless", retry_until=3600, backoff=1)
    def endless(ctx: Context) -> str:
        raise OSError("Away.")

    with pytest.raises(AssertionError, match="'endless' was tried 3 times"):
        run("endless")


def test_the_input_of_an_action(run: Run) -> None:
    @workflow("order")
    def order(ctx: Context) -> str:
        return f"Table {ctx.input['table']}."

    assert run("order", input={"table": 4}).response == "Table 4."


def test_files(run: Run, tmp_path: Any) -> None:
    (tmp_path / "menu.txt").write_text("Soup and salad.")

    @workflow("menu")
    def menu(ctx: Context) -> str:
        return " / ".join(f"{file.name}: {ctx.read_text(file)}" for file in ctx.files)

    turn = run("menu", files=[("note.md", b"At noon."), tmp_path / "menu.txt"])

    assert turn.response == "note.md: At noon. / menu.txt: Soup and salad."


def test_conversations_are_apart_unless_they_are_one(run: Run) -> None:
    @workflow("memory")
    def memory(ctx: Context) -> str:
        return " ".join(message["content"] for message in ctx.history())

    run("greeter", "hello", answers=["Ada"])
    assert run("memory", "first").response == ""
    run("memory", "one", session="s")
    assert run("memory", "two", session="s").response == "one "


def test_the_message_chooses_the_workflow(run: Run) -> None:
    @workflow("weather", triggers=["weather"])
    def weather(ctx: Context) -> str:
        return "Rain."

    assert run(None, "What is the weather?").response == "Rain."


@pytest.mark.parametrize("connection_name", ["sync", "redis"])
def test_the_sites_queue_plays_no_part(run: Run, settings: Any, connection_name: str) -> None:
    configure(settings, QUEUE_CONNECTION=connection_name)

    turn = run("report", answers=["Support", True], crash_after="Save")

    assert turn.response == "Report 49."


@pytest.mark.django_db(transaction=True)
def test_tests_that_commit(run: Run) -> None:
    assert not connection.in_atomic_block
    turn: Turn = run("report", answers=["Support", True], crash_after="Save")
    assert turn.response == "Report 49."


def test_for_an_organisation(run: Run) -> None:
    @workflow("whose")
    def whose(ctx: Context) -> str:
        ctx.approve("Sure?")
        return f"{ctx.ask('Name?')} of {ctx.tenant}"

    assert run("whose", answers=[Approve(), "Ada"], tenant="acme").response == "Ada of acme"
