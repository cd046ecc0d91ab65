"""SQLite's file is for its owner alone."""

import os
import sqlite3
from contextlib import suppress
from typing import Any


class PrivateConnection(sqlite3.Connection):
    """A connection that makes a new file with mode 600, whatever the umask is.

    SQLite gives the files beside it, -wal and -shm, the same mode.
    """

    def __init__(self, database: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        path = os.fspath(database)
        if not path.startswith((":memory:", "file:")):
            # It may be there, or have no folder: then SQLite says so. It may be behind a link.
            with suppress(OSError):
                os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL, 0o600))
        super().__init__(database, *args, **kwargs)
