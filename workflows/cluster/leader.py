"""The front: the one idle worker of a cluster that hears the doorbell itself.

It listens on the connection that it claims with. So a ring goes from the database straight to who
takes the job, wakes no process in between, and finds the backend that claims awake. One listens and
not all, because all would look for every job, and because PostgreSQL wakes every backend that
listens to anything for whatever is rung. Who takes a job leaves the front in the claim itself, and
the next idle worker goes there. While all are busy nobody listens: who is done looks before it
waits.

The front is a lock of a file, which the kernel takes away from a worker that dies.
"""

import fcntl
import os
import tempfile

from django.db import connection

from workflows.bells import Ear
from workflows.cluster.rings import DUE, FRONT, JOB, ring


class Front:
    """The front as one worker sees it. All that are forked from here share it.

    Args:
        ear: what hears the doorbell.
    """

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._file, path = tempfile.mkstemp(prefix="chatflow-front-")
        os.unlink(path)
        self._inside = False

    @property
    def descriptors(self) -> list[int]:
        """What can be read when there is something to hear; nothing where another is in front."""
        return [self._ear.fileno()] if self._inside else []

    def enter(self) -> bytes:
        """Go to the front, unless another worker is there, and listen; return rings to look after.

        Raises:
            DatabaseError: the connection is lost.
        """
        if not self._inside:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return b""
            self._inside = True
        if self._ear.listen():
            # What was rung for before went unheard; to look at all there is covers what was heard.
            self._ear.hear()
            return JOB + DUE
        return self._hear()

    def leaving(self) -> str | None:
        """Return SQL for the claim with which this worker is likely to leave; None without need."""
        return self._ear.unlisten() if self._inside else None

    def leave(self) -> bytes:
        """Leave the front to another worker; return the rings for it.

        Raises:
            DatabaseError: the connection is lost.
        """
        if not self._inside:
            return b""
        statement = self._ear.unlisten()
        if statement is not None:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        rings = self._hear()
        self._unlock()
        return rings + FRONT

    def abandon(self) -> bytes:
        """Leave the front without the database, which is lost; return the rings for another."""
        if not self._inside:
            return b""
        self._unlock()
        return JOB + DUE + FRONT

    def _hear(self) -> bytes:
        return b"".join(map(ring, self._ear.hear()))

    def _unlock(self) -> None:
        self._inside = False
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)
