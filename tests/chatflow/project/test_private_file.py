"""SQLite's file is for its owner alone."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatflow.project.private_file import PrivateConnection
from chatflow.settings import DATABASES

pytestmark = pytest.mark.sqlite


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def connect(path: Path | str) -> sqlite3.Connection:
    # As Django does it.
    return sqlite3.connect(str(path), factory=PrivateConnection, uri=True)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_works(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    connection = connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (x)")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["db.sqlite3", "db.sqlite3-shm", "db.sqlite3-wal"]
    assert [mode(file) for file in files] == [0o600] * 3
    connection.close()


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    path.touch(0o640)
    connect(path).close()
    assert mode(path) == 0o640


def test_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    connect(tmp_path / "link").close()
    assert mode(tmp_path / "real") == 0o600


def test_in_memory() -> None:
    for name in (":memory:", "file:x?mode=memory&cache=shared"):
        connect(name).close()
        assert not Path(name).exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect(tmp_path / "nowhere" / "db.sqlite3")


def test_the_site_uses_it() -> None:
    assert DATABASES["default"]["OPTIONS"]["factory"] is PrivateConnection
