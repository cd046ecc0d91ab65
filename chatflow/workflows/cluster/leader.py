"""The leader of a cluster: the one idle worker that listens to the doorbell itself.

It listens on the connection that it claims with. So a ring goes from the database straight to the
worker that takes the job, wakes no process in between, and finds the backend that claims awake. One
listens and not all, because all would look for every job, and because PostgreSQL wakes every
backend that listens to anything for whatever is rung. A leader that takes a job stops listening in
the claim itself, and the next idle worker leads. While all are busy nobody does: a worker that is
done looks before it waits.

To lead is to hold a lock of a file, which the kernel takes away from a worker that dies.
"""

import fcntl
import os
import tempfile

from chatflow.workflows.bells import Ear
from chatflow.workflows.cluster.rings import DUE, JOB, LEADER, ring
from chatflow.workflows.db import connection


class Leadership:
    """The lead of a cluster, as one worker sees it. All that are forked from here share it.

    Args:
        ear: with which the leader hears the doorbell.
    """

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._file, path = tempfile.mkstemp(prefix="chatflow-leader-")
        os.unlink(path)
        self._is_mine = False

    @property
    def descriptors(self) -> list[int]:
        """The leader's descriptor, readable when there is something to hear; none of another's."""
        return [self._ear.fileno()] if self._is_mine else []

    def lead(self) -> bytes:
        """Listen, unless another worker leads; return rings to look after.

        Raises:
            DatabaseError: the connection is lost.
        """
        if not self._is_mine and not self._lock():
            return b""
        if self._ear.listen():
            # Earlier rings went unheard. To look at everything covers those that were heard too.
            self._ear.hear()
            return JOB + DUE
        return self._hear()

    def unlisten(self) -> str | None:
        """Return SQL that stops listening, to be sent with a claim; None without need.

        It counts as sent. After a claim in vain, lead() listens anew.
        """
        return self._ear.unlisten() if self._is_mine else None

    def hand_over(self) -> bytes:
        """Stop listening, and let another worker lead; return the rings for it.

        Raises:
            DatabaseError: the connection is lost.
        """
        if not self._is_mine:
            return b""
        statement = self._ear.unlisten()
        if statement is not None:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        rings = self._hear()
        self._unlock()
        return rings + LEADER

    def let_go(self) -> bytes:
        """Let another worker lead, since this one's connection is lost; return the rings for it."""
        if not self._is_mine:
            return b""
        self._unlock()
        return JOB + DUE + LEADER

    def _hear(self) -> bytes:
        return b"".join(map(ring, self._ear.hear()))

    def _lock(self) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        self._is_mine = True
        return True

    def _unlock(self) -> None:
        self._is_mine = False
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)
