"""Workers: who holds a job, under an identity of its own for each start of a process.

Host names and pids are for people. Two containers may have the same host name, and one that is
started again in place has the pids that it had before.
"""

import os
import socket
import uuid
from dataclasses import dataclass, field

# This machine's name, in the rows of its jobs.
HOST = socket.gethostname()


@dataclass(frozen=True)
class Worker:
    """A process that runs jobs. It makes this itself.

    Args:
        id: never used again for another process, or another start of it.
        host: its machine's name.
        pid: its number there.
    """

    id: str
    host: str = HOST
    pid: int = field(default_factory=os.getpid)


def worker_id(cluster: uuid.UUID, number: int) -> str:
    """Return the identity of a cluster's worker; the cluster never counts the same number twice."""
    return f"{first_part(cluster)}{number}"


def first_part(cluster: uuid.UUID) -> str:
    """Return the prefix of the identities of a cluster's workers, and of no others."""
    return f"{cluster.hex}."


_this_process = Worker(uuid.uuid4().hex)


def this_process() -> Worker:
    """Return this process, where no supervisor has named it: a web server's or a command's."""
    return _this_process


def _begin_anew() -> None:
    global _this_process
    _this_process = Worker(uuid.uuid4().hex)


# A copy is another process.
os.register_at_fork(after_in_child=_begin_anew)
