"""What is said in the terminal while a workflow is written."""

import logging
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from chatflow.development import terminal
from chatflow.workflows import Context, WorkflowError
from chatflow.workflows.exceptions import Cancelled
from chatflow.workflows.models import Job
from chatflow.workflows.running import journal, runner
from tests.workflows.chat import Chat, run_waiting

SITE = "http://127.0.0.1:8000/prefix"
HERE = os.path.relpath(__file__)


@pytest.fixture
def chat(alice: User) -> Chat:
    return Chat(alice)


@pytest.fixture
def shown() -> Iterator[StringIO]:
    """Return what has the lines of the jobs."""
    names = [
        journal.__name__,
        runner.__name__,
        "uvicorn.access",
        "chatflow.workflows.cluster.supervisor",
    ]
    loggers = [logging.getLogger(name) for name in names]
    kept = [(each, vars(each).copy(), [*each.filters]) for each in loggers]
    terminal.show_jobs(SITE)
    [handler] = journal.logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(StringIO())
    yield handler.stream
    for logger, before, filters in kept:
        vars(logger).update(before, filters=filters)
        logger.setLevel(before["level"])


def lines(shown: StringIO) -> list[str]:
    """Return the lines without their times."""
    return [line.partition(" ")[2] for line in shown.getvalue().splitlines()]


@pytest.mark.django_db
class TestJobs:
    def test_it_works(self, chat: Chat, shown: StringIO) -> None:
        job = chat.begin(lambda ctx: "Done.")

        began, ended = lines(shown)
        assert began == f"{job.workflow} began: {job}"
        assert ended.startswith(f"{job.workflow} completed after 0.")
        assert ended.endswith(f" s: {job}")

    def test_an_exception(
        self, chat: Chat, shown: StringIO, caplog: pytest.LogCaptureFixture
    ) -> None:
        def work(ctx: Context) -> None:
            ctx.step("Dividing", divide, 1)

        job = chat.begin(work)

        _, line = lines(shown)
        # And no traceback anywhere.
        assert not [each for each in caplog.records if each.exc_info]
        place = f"{HERE}:{divide.__code__.co_firstlineno + 1}"
        page = f"{SITE}/admin/chatflow_workflows/job/{job.pk}/change/"
        assert line.startswith(f"{job.workflow} failed after ")
        assert line.endswith(f": ZeroDivisionError: division by zero at {place} {page}")

    def test_what_the_author_raises_for_the_user(self, chat: Chat, shown: StringIO) -> None:
        def work(ctx: Context) -> None:
            raise WorkflowError("There is no such team.")

        chat.begin(work)

        _, line = lines(shown)
        assert f"WorkflowError: There is no such team. at {HERE}:" in line

    def test_what_no_code_has_raised(self, chat: Chat, shown: StringIO) -> None:
        job = chat.send()
        Job.objects.filter(pk=job.pk).update(workflow="gone")
        run_waiting()

        [line] = lines(shown)
        assert line.startswith("gone failed after ")
        page = f"{SITE}/admin/chatflow_workflows/job/{job.pk}/change/"
        assert line.endswith(f": {job}: There is no workflow called 'gone'. {page}")

    def test_a_cancelled_job(self, chat: Chat, shown: StringIO) -> None:
        def work(ctx: Context) -> None:
            raise Cancelled

        job = chat.begin(work)

        assert lines(shown)[-1].endswith(f" s: {job}")

    def test_a_try_that_is_not_the_last(self, chat: Chat, shown: StringIO) -> None:
        job = chat.begin(lambda ctx: divide(1), tries=2)

        _, line, *_ = lines(shown)
        assert line.startswith(f"{job.workflow} was given back after ")
        assert ": ZeroDivisionError: division by zero at " in line


def divide(n: int) -> float:
    return n / 0


@pytest.mark.parametrize(
    ("path", "status", "is_shown"),
    [
        ("/static/chatflow/js/page/chat-page.js", 200, False),
        ("/static/chatflow/js/page/chat-page.js?v=1", 304, False),
        ("/prefix/static/page.css", 200, False),
        ("/static/missing.js", 404, True),
        ("/healthz", 200, False),
        ("/prefix/readyz", 503, True),
        ("/ai-demo/chat/", 200, True),
        ("/ai-demo/chat/history/1?next=/static/", 200, True),
    ],
)
def test_what_nobody_asks_for(path: str, status: int, is_shown: bool) -> None:
    arguments = ("127.0.0.1:1", "GET", path, "1.1", status)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "…", arguments, None)

    assert terminal.is_asked_by_somebody(record) is is_shown


def test_other_records_of_the_servers() -> None:
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "Hello.", None, None)

    assert terminal.is_asked_by_somebody(record)


def test_a_record_without_a_page() -> None:
    record = logging.LogRecord("j", logging.INFO, "", 0, "a failed", None, None)
    record.traceback = f'Traceback:\n  File "{Path(__file__)}", line 3, in f\nValueError: no\n'

    line = terminal.JobLines(SITE).format(record)

    assert line.endswith(f" a failed: ValueError: no at {HERE}:3")
