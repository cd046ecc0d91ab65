"""One attempt: how it is stopped, and when it isn't."""

import math
import time

import pytest

from chatflow.workflows.exceptions import Cancelled, DeadlineExceeded, ShuttingDown
from chatflow.workflows.running.attempt import Attempt
from tests.workflows.chat import Chat, claimed

pytestmark = pytest.mark.django_db


@pytest.fixture
def attempt(chat: Chat) -> Attempt:
    chat.send()
    return Attempt(claimed())


def test_it_works(attempt: Attempt) -> None:
    attempt.check()
    attempt.stop(Cancelled("interrupted"))

    with pytest.raises(Cancelled, match="interrupted"):
        attempt.check()
    assert attempt.noticed


def test_the_deadline_is_seen_without_a_watchdog(attempt: Attempt) -> None:
    attempt.deadline = time.monotonic()

    with pytest.raises(DeadlineExceeded):
        attempt.check()


def test_its_time_counts_from_its_beginning(attempt: Attempt) -> None:
    """Until then it waits for its turn; then its watchdog, asleep by now, is told of its end."""
    looks: list[float] = []
    attempt.wake_by = looks.append
    attempt.check()
    assert attempt.limit == attempt.deadline == math.inf
    attempt.job.ran_for = 2.0
    before = time.monotonic()
    attempt.begin(5.0, interruptible=True)

    assert before + 3.0 <= attempt.deadline <= time.monotonic() + 3.0
    assert (attempt.limit, attempt.interruptible, looks) == (5.0, True, [attempt.deadline])


def test_the_first_reason_stands(attempt: Attempt) -> None:
    attempt.stop(ShuttingDown())
    attempt.stop(Cancelled())

    assert isinstance(attempt.interrupt, ShuttingDown)


def test_what_is_written_is_written_whole(attempt: Attempt) -> None:
    written = []

    def write() -> None:
        with attempt.shielded():
            attempt.stop(Cancelled())
            with attempt.shielded():
                attempt.check()
            attempt.check()
            written.append("all")
        written.append("too much")

    with pytest.raises(Cancelled):
        write()
    assert written == ["all"]


def test_what_has_been_left_is_not_interrupted(attempt: Attempt) -> None:
    attempt.close()
    attempt.stop(Cancelled())

    attempt.check()


def test_an_alarm_asks_for_a_look(attempt: Attempt) -> None:
    """Where somebody watches; in a web process inside of a transaction nobody does."""
    looks: list[float] = []
    attempt.call_at(1.0, attempt.check)
    attempt.wake_by = looks.append
    attempt.call_at(2.0, attempt.check)

    assert looks == [2.0]
    assert attempt.alarm == (2.0, attempt.check)
