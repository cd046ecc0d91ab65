"""Forks stand for executed processes: they end, fail and die alike."""

import signal
from pathlib import Path

from tests.acceptance.nursery import Fork, nursery


def start(folder: Path, *arguments: str) -> tuple[Fork, Path]:
    said = folder / "said"
    with said.open("wb") as out:
        fork = nursery().fork(
            list(arguments), cwd=folder, env={"WHO": "me"}, out=out.fileno(), err=out.fileno()
        )
    return fork, said


def test_it_works(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "print(__name__, sys.argv[1:], dict(os.environ), os.getcwd(), 'chatflow' in sys.modules)\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    fork, said = start(tmp_path, "script.py", "7")
    assert fork.wait(60) == 7
    assert said.read_text() == f"__main__ ['7'] {{'WHO': 'me'}} {tmp_path} False\n"


def test_an_exception(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("raise KeyError('a fault')")
    fork, said = start(tmp_path, "-m", "fails")
    assert fork.wait(60) == 1
    assert "KeyError: 'a fault'" in said.read_text()


def test_a_kill(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("import signal; signal.pause()")
    fork, _ = start(tmp_path, "waits.py")
    assert fork.poll() is None
    fork.kill()
    assert fork.wait(60) == -signal.SIGKILL
    # It was reaped, and is signalled no more.
    fork.send_signal(signal.SIGTERM)
