"""The rings that no worker has looked after yet. All workers of a cluster share them.

Where one process listens for all of them, it puts each ring into a pipe, as a byte; else the leader
puts in those that it can't look after itself. An idle worker takes the rings out and looks. If it
finds a job, it puts back the rings that were not for that one, which wakes the next. So one new job
wakes one worker, and no other tries to claim it.

A pipe has no lock that could die with a worker. The rings that a dying worker had taken are lost;
so new ones are put in when it is replaced.
"""

import os
from contextlib import suppress

JOB = b"j"
DUE = b"d"
# Nobody leads.
LEADER = b"l"
# A pipe holds so many at most; more than that say nothing more.
MANY = 65536


def ring(topic: str) -> bytes:
    """Return the ring for a topic of the doorbell's."""
    return DUE if topic == "due" else JOB


class Rings:
    """A pipe of rings: ``fd`` can be read while there are any."""

    def __init__(self) -> None:
        self.fd, self._put_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._put_fd, False)

    def put(self, rings: bytes) -> None:
        if rings:
            with suppress(BlockingIOError):
                os.write(self._put_fd, rings)

    def take(self) -> bytes:
        """Take all rings out, and return them."""
        try:
            return os.read(self.fd, MANY)
        except BlockingIOError:
            return b""

    def on_ring(self, topic: str, key: int | None) -> None:
        """Put in a ring of the doorbell's."""
        if key is None:
            # Any may have been missed.
            self.put(JOB + DUE)
        else:
            self.put(ring(topic))

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._put_fd)
