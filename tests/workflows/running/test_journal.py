"""The lines that a job leaves in the log where somebody reads along."""

import logging
import re

import pytest

from chatflow.workflows import Context, workflow
from chatflow.workflows.exceptions import HandedOver, ShuttingDown
from chatflow.workflows.running import journal
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was told of the job, without names and times."""
    lines = [each.getMessage() for each in caplog.records if each.name == journal.__name__]
    return [re.sub(r"^\S+ | after [\d.]+ s|: workflow_\w+$", "", line) for line in lines]


@pytest.fixture
def reader(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, journal.__name__)
    return caplog


def test_it_works(chat: Chat, reader: pytest.LogCaptureFixture) -> None:
    chat.begin(lambda ctx: "Done.")

    assert told(reader) == ["began", "completed"]


def test_nobody_reads_along(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    """As in production, where two lines a job are too many."""
    chat.begin(lambda ctx: "Done.")

    assert told(caplog) == []


def test_a_question(chat: Chat, reader: pytest.LogCaptureFixture) -> None:
    chat.begin(lambda ctx: ctx.ask("Which team?"))

    assert told(reader) == ["began", "asked"]


def test_an_exception(chat: Chat, reader: pytest.LogCaptureFixture) -> None:
    job = chat.begin(lambda ctx: 1 / 0)

    assert told(reader) == ["began", "failed"]
    [*_, record] = [each for each in reader.records if each.name == journal.__name__]
    assert record.__dict__["job"].pk == job.pk
    assert "ZeroDivisionError: division by zero" in record.__dict__["traceback"]


def test_a_worker_that_is_told_to_stop(chat: Chat, reader: pytest.LogCaptureFixture) -> None:
    stops = iter([ShuttingDown])

    def work(ctx: Context) -> str:
        for stop in stops:
            ctx.record.attempt.stop(stop())
        return ctx.step("Work", str)

    chat.begin(work)

    assert told(reader) == ["began", "was given back", "began", "completed"]


def test_a_workflow_that_tries_again(chat: Chat, reader: pytest.LogCaptureFixture) -> None:
    chat.begin(lambda ctx: 1 / 0, tries=2)

    assert told(reader) == ["began", "was given back", "began", "failed"]
    records = [each for each in reader.records if each.name == journal.__name__]
    assert "ZeroDivisionError" in records[1].__dict__["traceback"]


def test_a_message_for_another_workflow(chat: Chat, reader: pytest.LogCaptureFixture) -> None:
    def route(ctx: Context) -> None:
        raise HandedOver("echo")

    workflow("echo")(lambda ctx: "Echo.")
    chat.begin(route)

    assert told(reader) == ["began", "takes over", "began", "completed"]
