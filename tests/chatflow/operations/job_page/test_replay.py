"""What a user saw of a job at any moment, by the frames of its stream."""

import json

import pytest
from django.contrib.auth.models import User

from chatflow.dialects.seed import Seed
from chatflow.operations.job_page.replay import fold, frames
from chatflow.workflows import Context, WorkflowError
from chatflow.workflows.models import Job
from tests.workflows.chat import Chat, events

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


@pytest.fixture
def job(alice: User) -> Job:
    def talk(ctx: Context) -> str:
        ctx.step("Look", int)
        ctx.write("Hello ")
        ctx.progress(50, "Half")
        ctx.write("Ann")
        if ctx.message == "fail":
            ctx.step("Break", fail)
        return "Hello Ann."

    def fail() -> int:
        raise WorkflowError("No.")

    return Chat(alice).begin(talk)


def test_the_frames_are_those_of_the_stream(job: Job) -> None:
    rows = events(job)
    for row, frame in zip(rows, frames(job, rows), strict=True):
        [sent] = Seed(job).frames(row)
        assert json.loads(sent.split(b"data: ")[1]) == {
            name: value for name, value in frame.items() if name != "at"
        }
        assert frame["at"] == round((row.created_at - job.created_at).total_seconds() * 1000)


def test_each_moment_shows_what_had_come_by_then(job: Job) -> None:
    found = frames(job, events(job))
    for number, frame in enumerate(found):
        frame["at"] = 100 * (number + 1)
    seen = [fold(found, upto=100 * number) for number in range(len(found) + 1)]

    assert seen[0].state == "queued"
    assert [screen.text for screen in seen] == sorted(screen.text for screen in seen)
    half = next(screen for screen in seen if screen.message == "Half")
    assert (half.text, half.progress, [step.state for step in half.steps]) == (
        "Hello ",
        50,
        ["done"],
    )
    assert (seen[-1].words, seen[-1].state, seen[-2].end) == ("Hello Ann.", "completed", None)


def test_a_failure_leaves_the_words_and_its_step(job: Job, alice: User) -> None:
    failed = Chat(alice).say("fail", workflow="w")
    screen = fold(frames(failed, events(failed)))

    assert (screen.words, screen.state) == ("Hello Ann", "failed")
    assert [(step.name, step.state) for step in screen.steps] == [
        ("Look", "done"),
        ("Break", "failed"),
    ]
    assert (screen.end or {})["error"] == "No."


def test_words_that_were_taken_back_are_gone() -> None:
    def frame(type: str, **data: object) -> dict[str, object]:
        return {"type": type, "progress": 0, "message": "", "at": 0, **data}

    said = [frame("delta", delta="Hello 👋 wrong"), frame("restarted", text_length=8)]
    assert fold(said).text == "Hello 👋 "
