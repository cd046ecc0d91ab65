"""Questions, their answers, and the turns between them."""

from typing import Any

import pytest

from chatflow.workflows import Context, services
from chatflow.workflows.models import Job, Session, State
from tests.workflows.chat import (
    Chat,
    Crashes,
    assert_log_is_sound,
    events,
    resume,
    run_waiting,
    streamed,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def test_ask(chat: Chat) -> None:
    ran: list[str] = []

    def work(ctx: Context) -> str:
        ctx.step("Read", ran.append, "read")
        name = ctx.ask("What is your name?")
        city = ctx.ask("Where do you live?")
        ctx.step("Save", ran.append, "save")
        return f"{ctx.message}: {name}, {city}"

    first = chat.begin(work, "sign up")
    assert (first.state, first.response) == (State.COMPLETED, "What is your name?")
    assert first.awaiting == {"kind": "text", "prompt": "What is your name?", "optional": False}
    assert events(first)[-1].data["awaiting"] == first.awaiting
    assert Session.objects.get().open_job == first

    second = chat.say("Ada")
    assert (second.workflow, second.response) == ("w", "Where do you live?")
    assert second.pk != first.pk

    third = chat.say("London")
    assert third.response == "sign up: Ada, London"
    assert third.awaiting is None
    assert Session.objects.get().open_job is None
    assert ran == ["read", "save"]
    for job in (first, second, third):
        assert_log_is_sound(job)


def test_an_answer_is_taken_as_it_was_written(chat: Chat) -> None:
    chat.begin(lambda ctx: repr(ctx.ask("Name?")))

    assert chat.say("  Ada, 2nd. ").response == "'  Ada, 2nd. '"


@pytest.mark.parametrize(("text", "answer"), [("skip", None), ("-", None), ("x@y.z", "x@y.z")])
def test_an_optional_question(chat: Chat, text: str, answer: str | None) -> None:
    first = chat.begin(lambda ctx: repr(ctx.ask("Email?", optional=True)))

    assert first.awaiting is not None
    assert first.awaiting["optional"] is True
    assert chat.say(text).response == repr(answer)


def test_only_an_optional_question_can_be_skipped(chat: Chat) -> None:
    chat.begin(lambda ctx: repr(ctx.ask("Name?")))

    assert chat.say("skip").response == "'skip'"


def test_choose(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        return repr(
            ctx.choose("Which?", [(7, "Acme Ltd"), {"value": 9, "label": "Acme Inc"}, "new"])
        )

    first = chat.begin(work)
    assert first.awaiting == {
        "kind": "choice",
        "prompt": "Which?",
        "optional": False,
        "choices": [
            {"value": 7, "label": "Acme Ltd"},
            {"value": 9, "label": "Acme Inc"},
            {"value": "new", "label": "new"},
        ],
    }

    unclear = chat.say("Acme")
    assert unclear.response == "Please choose one of the answers. Which?"
    assert unclear.awaiting == first.awaiting
    assert chat.say("the second, I think").response == "Please choose one of the answers. Which?"
    assert chat.say("acme inc").response == "9"


@pytest.mark.parametrize(("text", "answer"), [("Yes, please.", True), ("no thanks", False)])
def test_confirm(chat: Chat, text: str, answer: bool) -> None:
    first = chat.begin(lambda ctx: repr(ctx.confirm("Sure?")))

    assert first.awaiting == {"kind": "confirm", "prompt": "Sure?", "optional": False}
    assert chat.say("yes and no").response == "Please answer yes or no. Sure?"
    assert chat.say(text).response == repr(answer)


def test_confirm_or_text(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        said: list[Any] = []
        while (answer := ctx.confirm(f"Sure? ({len(said)})", or_text=True)) not in (True, False):
            said.append(answer)
        return repr([*said, answer])

    chat.begin(work)

    assert chat.say("change the quantity to 3").response == "Sure? (1)"
    assert chat.say("ok!").response == "['change the quantity to 3', True]"


def test_the_same_question_twice(chat: Chat) -> None:
    chat.begin(lambda ctx: f"{ctx.ask('More?')} {ctx.ask('More?')}")

    assert chat.say("one").response == "More?"
    assert chat.say("two").response == "one two"


def test_a_crash_between_question_and_answer(chat: Chat) -> None:
    """The worker dies after it has recorded the question, before the job has ended."""
    crashes = Crashes("ask")

    def work(ctx: Context) -> str:
        try:
            return f"Hello {ctx.ask('Name?')}"
        finally:
            crashes.at("ask")

    job = resume(chat.begin(work, "not an answer"))

    assert (job.state, job.response) == (State.COMPLETED, "Name?")
    assert chat.say("Ada").response == "Hello Ada"


def test_a_crash_after_the_answer(chat: Chat) -> None:
    crashes = Crashes("answered")

    def work(ctx: Context) -> str:
        name = ctx.ask("Name?")
        crashes.at("answered")
        return f"Hello {name}"

    chat.begin(work)

    assert resume(chat.say("Ada")).response == "Hello Ada"


def test_a_question_that_the_new_code_does_not_ask(chat: Chat) -> None:
    prompt = "Name?"
    chat.begin(lambda ctx: ctx.ask(prompt))
    prompt = "Email?"
    job = chat.say("Ada")

    assert (job.state, job.code) == (State.FAILED, "workflow_changed")


def test_an_answer_to_which_nobody_listens(chat: Chat) -> None:
    asks = True
    chat.begin(lambda ctx: ctx.ask("Name?") if asks else "done")
    asks = False

    assert chat.say("Ada").code == "workflow_changed"


def test_a_step_that_the_new_code_has_in_front_of_the_question(chat: Chat) -> None:
    steps: list[str] = []

    def work(ctx: Context) -> str:
        for name in steps:
            ctx.step(name, int)
        return str(ctx.ask("Name?"))

    chat.begin(work)
    steps.append("New")

    assert chat.say("Ada").code == "workflow_changed"


def test_words_and_progress_of_an_earlier_turn_are_not_shown_again(chat: Chat) -> None:
    def work(ctx: Context) -> None:
        ctx.progress(10, "Reading")
        ctx.write("Welcome. ")
        ctx.step("Think", lambda: ctx.write("Thinking. "))
        ctx.progress(20, "Asking")
        ctx.ask("Name?")
        ctx.progress(30, "Saving")
        ctx.write("Saved. ")
        ctx.ask("City?")
        ctx.write("Bye.")

    first, second, third = chat.begin(work), chat.say("Ada"), chat.say("London")

    assert [streamed(job) for job in (first, second, third)] == [
        "Welcome. Thinking. ",
        "Saved. ",
        "Bye.",
    ]
    said = [
        [event.message for event in events(job) if event.type == "progress"]
        for job in (first, second, third)
    ]
    assert said == [["Reading", "Asking"], ["Saving"], []]
    assert third.response == "Bye."


def test_a_crash_in_a_later_turn(chat: Chat) -> None:
    crashes = Crashes("middle")

    def think(ctx: Context) -> None:
        ctx.write("Hello ")
        crashes.at("middle")
        ctx.write("you.")

    def work(ctx: Context) -> None:
        ctx.write("Welcome. ")
        name = ctx.ask("Name?")
        ctx.write(f"{name}: ")
        ctx.step("Think", think, ctx)

    chat.begin(work)
    job = resume(chat.say("Ada"))

    assert job.response == streamed(job) == "Ada: Hello you."
    assert next(e for e in events(job) if e.type == "restarted").data["text_length"] == 5


def test_the_words_of_a_question_with_odd_characters(chat: Chat) -> None:
    chat.begin(lambda ctx: str(ctx.ask("Na\0me?\ud800" + "x" * 300)))

    assert chat.say("Ada").response == "Ada"


def test_a_question_is_asked_again_by_a_retry(chat: Chat) -> None:
    """The message that failed is no answer to the question that it led to."""

    def work(ctx: Context) -> str:
        try:
            return f"Hello {ctx.ask('Name?')}"
        finally:
            if ctx.job.state == "processing" and ctx.job.attempt == 1 and not ctx.job.retry_of_id:
                raise ValueError

    failed = chat.begin(work)
    assert failed.state == State.FAILED
    for _ in range(2):
        job = services.retry(failed)
        run_waiting()
        job.refresh_from_db()
        assert (job.state, job.response) == (State.COMPLETED, "Name?")
        Job.objects.filter(pk=job.pk).update(state="failed")
        failed = job
