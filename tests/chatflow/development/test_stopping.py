"""The wish to stop."""

import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chatflow.development.stopping import STOP_SIGNALS, StopRequest


@pytest.fixture
def request_to_stop() -> Iterator[StopRequest]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    wakeup = signal.set_wakeup_fd(-1)
    request = StopRequest()
    request.obey_signals()
    yield request
    signal.set_wakeup_fd(wakeup)
    for number, meaning in before.items():
        signal.signal(number, meaning)
    request.close()


def test_it_works(request_to_stop: StopRequest) -> None:
    assert not request_to_stop.is_made
    signal.raise_signal(signal.SIGINT)

    assert (request_to_stop.is_made, request_to_stop.is_urgent) == (True, False)
    # Whoever waits for it is woken.
    assert select.select([request_to_stop], [], [], 0)[0] == [request_to_stop]


@pytest.mark.parametrize(
    ("first", "second", "urgent"),
    [
        (signal.SIGINT, signal.SIGINT, True),
        (signal.SIGTERM, signal.SIGINT, True),
        # A service manager sends it to the group, and through make.
        (signal.SIGTERM, signal.SIGTERM, False),
        (signal.SIGINT, signal.SIGHUP, False),
    ],
)
def test_a_second_one(
    request_to_stop: StopRequest, first: signal.Signals, second: signal.Signals, urgent: bool
) -> None:
    signal.raise_signal(first)
    signal.raise_signal(second)

    assert request_to_stop.is_urgent is urgent
    # Nobody is less in a hurry than before.
    signal.raise_signal(signal.SIGTERM)
    assert request_to_stop.is_urgent is urgent


def start(code: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)


def test_what_a_process_prints(request_to_stop: StopRequest) -> None:
    process = start("print('words')")

    assert request_to_stop.communicate(process) == "words\n"
    assert process.returncode == 0


def test_a_process_that_would_go_on(request_to_stop: StopRequest) -> None:
    signal.raise_signal(signal.SIGTERM)
    sleeps = "import time; time.sleep(300)"
    # What it has started has its pipe as well.
    process = start(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeps!r}])")

    assert request_to_stop.communicate(process) == ""
    assert process.returncode == -signal.SIGKILL


def test_a_closed_terminal_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    others = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    wakeup = signal.set_wakeup_fd(-1)
    request = StopRequest()
    try:
        request.obey_signals()
        signal.raise_signal(signal.SIGHUP)
        assert not request.is_made
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, meaning in others.items():
            signal.signal(number, meaning)
        signal.signal(signal.SIGHUP, before)
        request.close()
