"""The folder in which the processes of one installation on this host keep what they count."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from chatflow.conf import conf
from chatflow.workflows.db import connection

# What tells one installation from another that the same account runs on this host.
IDENTITY = ("ENGINE", "HOST", "PORT", "NAME")


class NoFolder(Exception):
    """There is no folder for the figures; the text says why."""


def find_folder() -> Path:
    """Return the path: ``METRICS_DIR``, or one below the folder for temporary files."""
    if conf.METRICS_DIR:
        return Path(conf.METRICS_DIR)
    database = connection.settings_dict
    identity = "\0".join(str(database.get(name) or "") for name in IDENTITY)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"chatflow-metrics-{os.getuid()}-{digest}"


def make_folder() -> Path:
    """Make the folder, for this account alone, where it isn't there yet; return its path.

    Raises:
        NoFolder: it can't be made or written to, or lies where others could have put it.
    """
    path = find_folder()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise NoFolder(f"{path} can't be made: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or not os.access(path, os.W_OK | os.X_OK):
        raise NoFolder(f"{path} can't be written to")
    # Anybody may make one of any name among the temporary files.
    is_private = found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o022
    if not conf.METRICS_DIR and not is_private:
        raise NoFolder(f"{path} is another account's")
    return path
