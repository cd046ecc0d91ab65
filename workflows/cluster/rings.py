"""The rings that no worker has looked after yet. All workers of a cluster share them.

Where one process listens for all of them it puts each ring into a pipe, as a byte; else the worker
in front does that, with those that it can't look after itself. Who is idle takes the rings out and
looks; who finds a job puts back those that were not for it, and so wakes the next. Thus one new job
wakes one worker, and all others leave its claim alone. A pipe has no lock that could die with a
worker; for rings that one takes with it to its grave, others are put in when it is replaced.
"""

import os
from contextlib import suppress

JOB = b"j"
DUE = b"d"
# The front is free.
FRONT = b"f"
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
        """Return all rings, which nobody else will take then."""
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
