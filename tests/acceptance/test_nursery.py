"""Forks stand for executed processes: they begin, say, end, fail and die alike."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.acceptance.nursery import Fork, Nursery, can_fork, nursery
from tests.acceptance.processes import SECONDS, eventually, is_alive

LOOK = """
import os, sys
told = sys.argv[1:], dict(os.environ), os.getcwd(), sys.stdin.read(), "chatflow" in sys.modules
print(__name__, *told, os.getsid(0) == os.getpid(), os.listdir("/proc/self/fd"))
sys.exit(7)
"""


def start(folder: Path, code: str, *, among: Nursery | None = None) -> tuple[Fork, Path]:
    (folder / "script.py").write_text(code)
    said = folder / "said"
    with said.open("wb") as out:
        fork = (among or nursery()).fork(
            ["script.py", "one"],
            cwd=folder,
            env={"WHO": "me"},
            out=out.fileno(),
            err=out.fileno(),
        )
    return fork, said


def test_it_works(tmp_path: Path) -> None:
    fork, said = start(tmp_path, LOOK)
    assert fork.wait(SECONDS) == 7
    # The last file is that of the folder that it lists.
    begins = f"__main__ ['one'] {{'WHO': 'me'}} {tmp_path}  False True ['0', '1', '2', '3']"
    assert said.read_text().strip() == begins


def test_a_module_that_fails(tmp_path: Path) -> None:
    fork, said = start(tmp_path, "raise KeyError('a fault')")
    assert fork.wait(SECONDS) == 1
    assert "KeyError: 'a fault'" in said.read_text()


def test_a_kill(tmp_path: Path) -> None:
    """What it said is there: nothing of it was held back."""
    fork, said = start(tmp_path, "import signal; print('first'); signal.pause()")
    eventually(said.read_text)
    assert fork.poll() is None
    fork.kill()
    assert fork.wait(SECONDS) == -signal.SIGKILL
    assert said.read_text() == "first\n"
    fork.send_signal(signal.SIGTERM)


def test_signals_until_the_end(tmp_path: Path) -> None:
    for _ in range(20):
        fork, _ = start(tmp_path, "")
        while fork.poll() is None:
            fork.send_signal(signal.SIGCONT)


def test_the_end_of_the_nursery(tmp_path: Path) -> None:
    own = Nursery()
    fork, said = start(tmp_path, "import signal; print('up'); signal.pause()", among=own)
    eventually(said.read_text)
    own.kill()
    assert fork.wait(SECONDS) == -signal.SIGTERM
    eventually(lambda: not is_alive(fork.pid))


@pytest.mark.parametrize(
    ("command", "env", "can"),
    [
        ([sys.executable, "manage.py", "check"], {}, True),
        ([sys.executable, "-m", "uvicorn"], {}, True),
        ([sys.executable, "-c", "1"], {}, False),
        (["/usr/bin/python3", "manage.py"], {}, False),
        ([sys.executable, "manage.py"], {"PYTHONHASHSEED": "1"}, False),
    ],
)
def test_what_can_be_forked(command: list[str], env: dict[str, str], can: bool) -> None:
    assert can_fork(command, {"PYTHONUNBUFFERED": "1", **env}) is can
    assert not can_fork(command, env)


def test_many_files(tmp_path: Path) -> None:
    """A test may have a thousand streams open."""
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        fork, _ = start(tmp_path, "")
        assert fork.wait(SECONDS) == 0
    finally:
        for file in files:
            os.close(file)
