"""A process that waits until it may begin."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import runpy, sys
print("Loading.", file=sys.stderr, flush=True)
# By its path: the package around it takes a second to import.
runpy.run_path("chatflow/workflows/cluster/standby.py")["stand_by"]()
print("Beginning.", file=sys.stderr, flush=True)
"""

pytestmark = pytest.mark.sqlite


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[tuple[socket.socket, "subprocess.Popen[bytes]"]]:
    """Return the socket of a process that stands by, and it."""
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE], cwd=ROOT, stdin=theirs.fileno(), stderr=said
        )
        theirs.close()
        yield ours, process
        process.kill()
        process.wait()


def test_it_works(channel: tuple[socket.socket, "subprocess.Popen[bytes]"], tmp_path: Path) -> None:
    ours, process = channel
    assert ours.recv(16) == b"ready"
    with (tmp_path / "terminal").open("wb") as terminal:
        socket.send_fds(ours, [b"go"], [terminal.fileno()])
    assert process.wait(20) == 0

    assert (tmp_path / "said").read_text() == "Loading.\n"
    assert (tmp_path / "terminal").read_text() == "Beginning.\n"


def test_nobody_needs_it_any_more(
    channel: tuple[socket.socket, "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """Its parent has died, or has seen another edit."""
    ours, process = channel
    assert ours.recv(16) == b"ready"
    ours.close()
    assert process.wait(20) == 1

    assert os.listdir(tmp_path) == ["said"]
    assert (tmp_path / "said").read_text() == "Loading.\n"
