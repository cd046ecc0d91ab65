"""Processes that run, and those that wait to succeed them."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatflow.development import servers
from chatflow.development.servers import Server, stop
from chatflow.development.stopping import StopRequest

ROOT = Path(__file__).resolve().parents[3]
LOADED = "import runpy, sys; print('A warning.', file=sys.stderr, flush=True); "
LOADED += "runpy.run_path('chatflow/workflows/cluster/standby.py')['stand_by'](); "
# Says so on a pipe, and stays.
STAYS = "import os, signal, time; os.write({0}, b'x'); time.sleep(300)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    os.set_inheritable(ends[1], True)
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def request_to_stop() -> Iterator[StopRequest]:
    request = StopRequest()
    yield request
    request.close()


def start(code: str, pipe: tuple[int, int]) -> Server:
    command = [sys.executable, "-c", code.format(pipe[1])]
    return Server("server", command, root=ROOT, environment=os.environ, close_fds=False)


def hear(successor: Server) -> Server:
    select.select([successor], [], [])
    successor.hear()
    return successor


def test_it_works(pipe: tuple[int, int]) -> None:
    successor = hear(start(LOADED + STAYS, pipe))
    assert successor.is_ready
    assert not successor.has_failed
    successor.begin()
    assert successor.said == "A warning."
    assert os.read(pipe[0], 1) == b"x"
    assert successor.status is None
    successor.kill()
    assert successor.status == -signal.SIGKILL


def test_one_that_has_just_died(pipe: tuple[int, int]) -> None:
    successor = hear(start(LOADED + STAYS, pipe))
    successor.process.kill()
    successor.process.wait()
    successor.begin()

    assert successor.status == -signal.SIGKILL


def test_code_that_can_not_be_loaded(pipe: tuple[int, int]) -> None:
    successor = hear(start("nonsense", pipe))
    assert successor.has_failed
    assert not successor.is_ready
    successor.process.wait()
    successor.kill()
    assert successor.said.endswith("NameError: name 'nonsense' is not defined")


def test_they_end_in_their_own_ways(pipe: tuple[int, int], request_to_stop: StopRequest) -> None:
    server = start(STAYS, pipe)
    os.read(pipe[0], 1)
    stop([server], request_to_stop)

    assert server.status == -signal.SIGTERM


def test_who_does_not_end_is_killed_in_the_end(
    pipe: tuple[int, int], request_to_stop: StopRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "STOP_SECONDS", 0.1)
    server = start(STUBBORN, pipe)
    os.read(pipe[0], 1)
    stop([server], request_to_stop)

    assert server.status == -signal.SIGKILL


def test_somebody_is_in_a_hurry(pipe: tuple[int, int], request_to_stop: StopRequest) -> None:
    request_to_stop.is_made = request_to_stop.is_urgent = True
    server = start(STUBBORN, pipe)
    os.read(pipe[0], 1)
    stop([server], request_to_stop)

    assert server.status == -signal.SIGKILL
