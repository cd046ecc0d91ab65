"""SQLite's doorbell: a commit touches the write-ahead log, and changes ``PRAGMA data_version``."""

import ctypes
import os
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatflow.workflows.bells.base import Bell, OnRing, Subscription, readable
from chatflow.workflows.db import connection

# Seconds between looks where there is no inotify.
POLL = 0.01
# Seconds between looks whether the file is still the database: nothing tells of one that is gone.
CHECK = 1.0
# A commit writes the log first and publishes it in shared memory a moment later. After a touch of
# the log, data_version is therefore looked at again and again, for so many seconds at most.
SETTLE = 0.02

IN_MODIFY = 0x2
IN_CREATE = 0x100

# What tells a file from every other one, whatever its name: its device and its number there.
FileId = tuple[int, int]


class SQLiteSubscription(Subscription):
    """Listens to the database's file, and to the one that takes its place.

    Args:
        path: the file's; it may be a link.
    """

    def __init__(self, topics: tuple[str, ...], on_ring: OnRing, path: Path) -> None:
        super().__init__(topics, on_ring)
        self._path = path

    def listen(self) -> None:
        # SQLite keeps its log beside the file that a link leads to, under that file's name.
        path = self._path.resolve()
        opened = identify(path)
        with closing_database(path) as database, log_touches(path) as touches:
            version = data_version(database)
            self.ring_all()
            self.ready.set()
            while not self.closing:
                settle = self._wait(touches, path)
                if identify(self._path) not in (None, opened):
                    raise OSError(f"{path} was replaced")
                latest = version if settle is None else next_version(database, version, settle)
                if latest != version:
                    version = latest
                    self.ring_all()

    def _wait(self, touches: int | None, path: Path) -> float | None:
        """Wait for a commit, or the time for the next look.

        Returns:
            Seconds in which the commit will be seen; None if there was none.
        """
        if touches is None:
            readable([self._leave], POLL)
            return 0.0
        if touches not in readable([touches, self._leave], CHECK):
            return 0.0
        return SETTLE if touches_log(touches, path) else None


class SQLiteBell(Bell):
    def ring(self, topic: str, key: int) -> None:
        """Do nothing: the commit is the ring."""

    def subscription(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        return SQLiteSubscription(topics, on_ring, Path(connection.settings_dict["NAME"]))


def identify(path: Path) -> FileId | None:
    """Return what tells the file from every other one; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def closing_database(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, isolation_level=None, timeout=5)
    try:
        yield database
    finally:
        database.close()


def data_version(database: sqlite3.Connection) -> int:
    """Return a number that changes whenever another connection has committed."""
    version: int = database.execute("PRAGMA data_version").fetchone()[0]
    return version


def next_version(database: sqlite3.Connection, version: int, seconds: float) -> int:
    """Return the version that follows *version*; the same one if none does within *seconds*."""
    give_up_at = time.monotonic() + seconds
    while (latest := data_version(database)) == version and time.monotonic() < give_up_at:
        time.sleep(0.0005)
    return latest


@contextmanager
def log_touches(path: Path) -> Iterator[int | None]:
    """Give an inotify descriptor for the database's folder, or None where there is no inotify.

    Args:
        path: the database's, without links.
    """
    descriptor = -1
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor >= 0:
            folder = os.fsencode(path.parent)
            # The folder, not the log: the log is removed and made again.
            if libc.inotify_add_watch(descriptor, folder, IN_MODIFY | IN_CREATE) < 0:
                os.close(descriptor)
                descriptor = -1
    try:
        yield descriptor if descriptor >= 0 else None
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def touches_log(descriptor: int, path: Path) -> bool:
    """Read what inotify has, and say whether the database or its log was written."""
    names = {os.fsencode(path.name), os.fsencode(path.name + "-wal")}
    found = False
    with suppress(BlockingIOError):
        data = os.read(descriptor, 65536)
        offset = 0
        while offset < len(data):
            _, _, _, length = struct.unpack_from("iIII", data, offset)
            name = data[offset + 16 : offset + 16 + length].rstrip(b"\0")
            found = found or name in names or not name
            offset += 16 + length
    return found
