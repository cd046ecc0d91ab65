"""Several processes count, die and are forked, and nothing is lost or counted twice."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatflow.workflows.metrics import sheets
from chatflow.workflows.metrics.folder import NoFolder, make_folder
from chatflow.workflows.metrics.series import (
    ALL,
    DIALECT_STREAMS,
    JOB_RUNNING,
    JOB_WAITING,
    LEASE_LOSSES,
    STREAMS,
    collect,
)
from tests.configure import configure

# A process that counts, says so, and waits until it is ended.
COUNTS = """
import sys
from django.conf import settings
settings.configure(CHATFLOW={"METRICS_DIR": sys.argv[1]})
from chatflow.workflows.metrics.series import JOB_WAITING, LEASE_LOSSES, STREAMS
LEASE_LOSSES.add(2, "death")
STREAMS.add(3)
JOB_WAITING.observe(0.07, "default")
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    configure(settings, METRICS_DIR=str(tmp_path / "metrics"))
    monkeypatch.setattr(sheets, "_sheet", None)
    yield tmp_path / "metrics"
    sheets.leave()


def values() -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
        for metric in collect()
        for sample in metric.samples
    }


DEATHS = "chatflow_lease_losses_total[('cause', 'death')]"
OPEN = "chatflow_open_streams"
COUNT = "chatflow_job_waiting_seconds_count[('queue', 'default')]"


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COUNTS, str(folder)]
    process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def test_what_was_never_counted_is_there() -> None:
    assert values()[DEATHS] == values()[OPEN] == 0
    assert {metric.name for metric in collect()} == {each.name for each in ALL}


def test_the_living_and_the_dead_are_added_up(folder: Path) -> None:
    with start(folder) as first, start(folder) as second:
        LEASE_LOSSES.add(1, "death")
        found = values()
        assert (found[DEATHS], found[OPEN], found[COUNT]) == (5, 6, 2)
        first.kill()
        first.wait()
        for _ in range(2):
            found = values()
            # Its streams are gone with it, but what it has counted stays.
            assert (found[DEATHS], found[OPEN], found[COUNT]) == (5, 3, 2)
        second.kill()
        second.wait()
    with start(folder) as third:
        # It has buried the second.
        assert len(list(folder.glob("*.alive"))) == 2
        assert (values()[DEATHS], values()[OPEN]) == (7, 3)
        third.kill()
    assert values()[DEATHS] == 7
    assert len(list(folder.glob("*.db"))) == 5


def test_a_fork_has_a_sheet_of_its_own() -> None:
    LEASE_LOSSES.add(1, "death")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        # Where it doesn't get that far: it ends, and the test fails.
        signal.alarm(60)
        LEASE_LOSSES.add(10, "death")
        os.write(write, b"x")
        os.read(os.pipe()[0], 1)
    os.close(write)
    assert os.read(read, 1) == b"x"
    assert values()[DEATHS] == 11
    LEASE_LOSSES.add(1, "death")
    # The parent's sheet isn't taken for a dead one's when the child goes.
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert values()[DEATHS] == 12
    STREAMS.add(1)
    assert values()[OPEN] == 1


def test_all_classes_of_a_histogram_are_there() -> None:
    JOB_RUNNING.observe(0.3, "chat", "completed")
    JOB_RUNNING.observe(4000, "chat", "completed")
    found = next(metric for metric in collect() if metric.name == JOB_RUNNING.name)
    buckets = {
        each.labels["le"]: each.value for each in found.samples if each.name.endswith("_bucket")
    }
    assert buckets["0.2"] == 0
    assert buckets["0.5"] == buckets["3600.0"] == 1
    assert buckets["+Inf"] == 2


def test_a_broken_file_of_the_dead_stops_nothing(folder: Path) -> None:
    JOB_WAITING.observe(1, "default")
    (folder / "histogram_dead.db").write_bytes(b"\xff\xff\x00\x00")
    assert values()[COUNT] == 1


def test_without_a_folder_nothing_fails(
    settings: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    configure(settings, METRICS_DIR=str(tmp_path / "file"))
    DIALECT_STREAMS.add(1, "seed")
    DIALECT_STREAMS.add(1, "seed")
    assert values()[OPEN] == 0
    assert len(caplog.messages) == 1
    assert "can't be made" in caplog.text


def test_nobody_elses_folder_is_used(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    configure(settings, METRICS_DIR="")
    path = make_folder()
    assert path.parent == tmp_path
    assert path.stat().st_mode & 0o777 == 0o700
    path.chmod(0o777)
    with pytest.raises(NoFolder, match="another account"):
        make_folder()
    path.rmdir()
    path.symlink_to(tmp_path)
    with pytest.raises(NoFolder):
        make_folder()
