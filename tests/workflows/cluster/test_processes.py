"""Whether a process is dead: only where that is certain."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatflow.workflows.cluster import processes
from chatflow.workflows.cluster.processes import find_beginning, find_place, is_dead

GONE = 2**22 + 1  # Above the largest pid.


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def began(process: "subprocess.Popen[bytes]") -> int:
    found = find_beginning(process.pid)
    assert found is not None
    return found


def test_it_works(process: "subprocess.Popen[bytes]") -> None:
    moment = began(process)
    assert not is_dead(process.pid, moment)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    # A zombie, and then nothing.
    assert is_dead(process.pid, moment)
    process.wait()
    assert is_dead(process.pid, moment)


def test_a_pid_that_was_given_out_again(process: "subprocess.Popen[bytes]") -> None:
    assert is_dead(process.pid, began(process) - 1)


def test_a_place_is_a_boot_and_a_namespace() -> None:
    place = find_place()

    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() in place
    assert os.readlink("/proc/self/ns/pid") in place


def test_another_namespaces_proc_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: GONE)

    assert find_place() == ""


def test_a_hidden_process_is_not_dead(
    process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc can be mounted so that it hides what belongs to other users."""

    def hide(pid: int) -> Any:
        raise FileNotFoundError(pid)

    monkeypatch.setattr(processes, "_read_stat", hide)

    assert not is_dead(process.pid, 1)
    assert is_dead(GONE, 1)
    assert find_beginning(process.pid) is None
