"""Identities: one for each start of a process."""

import os
import uuid

from chatflow.workflows.store.lifecycle import HOST, this_process, worker_id
from chatflow.workflows.store.lifecycle.workers import first_part


def test_this_process_is_the_same_throughout() -> None:
    mine = this_process()

    assert this_process() == mine
    assert (mine.host, mine.pid) == (HOST, os.getpid())


def test_a_copy_of_a_process_is_another_one() -> None:
    readable, writable = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writable, this_process().id.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        theirs = pipe.read()

    assert len(theirs) == len(this_process().id)
    assert theirs != this_process().id


def test_a_workers_name_tells_its_cluster() -> None:
    cluster, other = uuid.uuid4(), uuid.uuid4()

    assert worker_id(cluster, 12).startswith(first_part(cluster))
    assert not worker_id(other, 12).startswith(first_part(cluster))
    assert worker_id(cluster, 1) != worker_id(cluster, 12)
