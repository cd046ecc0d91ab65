"""Progress and words, as the user sees them."""

import pytest

from chatflow.workflows import Context
from chatflow.workflows.models import State
from tests.workflows.chat import Chat, Crashes, assert_log_is_sound, events, resume, streamed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def test_progress(chat: Chat) -> None:
    def report(ctx: Context) -> str:
        ctx.progress(30, "Nearly")
        ctx.progress(10, "It never goes back")
        ctx.progress(-5)
        ctx.progress(1000, "x" * 600)
        return "done"

    job = chat.begin(report)

    said = [event for event in events(job) if event.type == "progress"]
    assert [event.progress for event in said] == [30, 30, 30, 99]
    assert [event.message for event in said] == [
        "Nearly",
        "It never goes back",
        "It never goes back",
        "x" * 500,
    ]
    assert_log_is_sound(job)


def test_written_words_are_the_answer_where_there_is_no_other(chat: Chat) -> None:
    def stream(ctx: Context) -> None:
        for word in ("one ", "", "two"):
            ctx.write(word)

    job = chat.begin(stream)

    assert job.response == "one two"
    assert [event.data["delta"] for event in events(job) if event.type == "delta"] == [
        "one ",
        "two",
    ]


def test_text_that_no_database_can_store(chat: Chat) -> None:
    def spoil(ctx: Context) -> str:
        dirty = "a\0b\ud800c"
        ctx.progress(5, dirty)
        ctx.write(dirty)
        first = ctx.step(dirty, lambda: {"k": dirty})
        assert first == {"k": "a\N{REPLACEMENT CHARACTER}b?c"}
        return dirty

    job = chat.begin(spoil)

    assert (job.state, job.traceback) == (State.COMPLETED, "")
    assert job.response == streamed(job) == "a\N{REPLACEMENT CHARACTER}b?c"


def test_progress_is_not_said_twice(chat: Chat) -> None:
    crashes = Crashes("end")

    def report(ctx: Context) -> str:
        ctx.progress(10, "One")
        ctx.step("Work", int)
        ctx.progress(20, "Two")
        crashes.at("end")
        ctx.progress(30, "Three")
        return "done"

    job = resume(chat.begin(report))

    said = [event.message for event in events(job) if event.type == "progress"]
    assert said == ["One", "Two", "Three"]
    assert_log_is_sound(job)
