"""Scripts that run in Node, with the packages of package.json."""

import fcntl
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.processes import SECONDS
from tests.servers import bound

HERE = Path(__file__).resolve().parent
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]


def install() -> None:
    """Install the packages, unless they are there."""
    with (HERE / "package.json").open() as lock:
        # Files of tests run side by side.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (HERE / "node_modules").exists():
            subprocess.run(INSTALL, cwd=HERE, check=True, capture_output=True, timeout=SECONDS)


@contextmanager
def started(script: str, *arguments: str) -> Iterator[Iterator[str]]:
    """Start a script; give the lines that it writes, as they come."""
    install()
    command = bound(["node", script, *arguments], signal.SIGTERM)
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield (line.strip() for line in process.stdout)
        finally:
            process.kill()


def run(script: str, *arguments: str, input: str = "") -> str:
    """Run a script to its end, and return what it says; one that fails fails the test.

    Args:
        script: the name of its file in this folder.
        arguments: for it.
        input: what it reads.
    """
    install()
    done = subprocess.run(
        bound(["node", script, *arguments], signal.SIGTERM),
        cwd=HERE,
        input=input,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout
