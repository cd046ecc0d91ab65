"""Chatflow inside of another project. A process has one project, so this one has its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Seconds that all of it may take; a net, not a measure.
NET = 300


@pytest.mark.postgresql
def test_the_promises_hold_in_another_project() -> None:
    options = ["--ds=tests.host.settings", "-q", "-x", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/host/promises.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=NET,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "passed" in found.stdout
