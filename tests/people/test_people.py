"""Everything works for users of any model. A process knows one, so each has its own process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERBS = "tests/people/verbs.py"
# Seconds that all of them may take; a net, not a measure.
NET = 300


@pytest.mark.databases
@pytest.mark.parametrize(
    "model",
    [
        # A member is a person, with the same key: so the two models see to both databases.
        pytest.param("people.Member", marks=pytest.mark.postgresql),
        pytest.param("people.Account", marks=pytest.mark.sqlite),
    ],
)
def test_the_verbs_work_for(model: str) -> None:
    options = ["--ds=tests.people.settings", "-q", "-x"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", VERBS],
        cwd=ROOT,
        env=os.environ | {"PEOPLE_MODEL": model},
        capture_output=True,
        text=True,
        timeout=NET,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "passed" in found.stdout
