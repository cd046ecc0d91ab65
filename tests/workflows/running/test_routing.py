"""What is taken for the answer to an open question, and what is not."""

from typing import Any

import pytest

from chatflow.workflows import Context, workflow
from chatflow.workflows.models import Session
from tests.workflows.chat import Chat, run_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


@pytest.fixture(autouse=True)
def _flows() -> None:
    workflow("report", title="Write a report", triggers=["report", "weekly digest"])(
        lambda ctx: "The report is written."
    )


def work(ctx: Context) -> str:
    return f"Hello {ctx.ask('Name?')}"


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("What is an SSE stream?", "chat"),
        ("help", "chat"),
        ("Please write a report", "report"),
        ("weekly digest for May", "report"),
    ],
)
def test_a_question_stays_open_for_what_is_no_answer(chat: Chat, text: str, by: str) -> None:
    asked = chat.begin(work)

    assert chat.say(text).workflow == by
    assert Session.objects.get().open_job == asked
    assert chat.say("Ada").response == "Hello Ada"


@pytest.mark.parametrize(
    "text", ["Report", "Report Ltd", "Acme?", "The report people", "Ms Help", "what", "w", "no"]
)
def test_what_may_be_an_answer_is_one(chat: Chat, text: str) -> None:
    chat.begin(work)

    assert chat.say(text).response == f"Hello {text}"


def test_an_author_may_take_everything(chat: Chat) -> None:
    asked = chat.begin(lambda ctx: f"Asked: {ctx.ask('What shall we ask?', anything=True)}")

    assert asked.awaiting is not None
    assert asked.awaiting["anything"] is True
    assert chat.say("What is that?").response == "Asked: What is that?"


@pytest.mark.parametrize(
    "ask",
    [
        lambda ctx: ctx.choose("Which?", ["report", "What else?"]),
        lambda ctx: ctx.confirm("Sure?", or_text=True),
    ],
)
def test_an_answer_that_fits_is_one(chat: Chat, ask: Any) -> None:
    asked = chat.begin(lambda ctx: f"Said: {ask(ctx)}")

    assert chat.say("What else?").root == asked


def test_a_message_that_waited_is_no_answer_either(chat: Chat) -> None:
    workflow("w")(work)
    asked = chat.send("go", workflow="w")
    waits = chat.send("What is that?")
    run_waiting()
    waits.refresh_from_db()

    assert waits.workflow == "chat"
    assert Session.objects.get().open_job == asked


def test_help_lists_the_workflows(chat: Chat) -> None:
    said = chat.say("Help!").response

    assert "**Write a report**" in said
    assert "“report”" in said
