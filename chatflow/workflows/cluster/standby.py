"""Waiting for the word to begin: how a process with new code takes the place of one with old code,
or is the first.

Whoever starts it gives it a socket for standard input, and hears there that all is loaded. The word
to begin brings the terminal's standard error along; what was said before went elsewhere.
"""

import ctypes
import os
import signal
import socket
import sys

READY, GO = b"ready", b"go"

PR_SET_PDEATHSIG = 1


def stand_by() -> None:
    """Say that this process is ready, and return when it is to begin.

    Raises:
        SystemExit: it isn't needed any more.
    """
    if sys.platform == "linux":
        # From here on the end of whoever started it is its own.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    with socket.socket(fileno=os.dup(0)) as channel:
        channel.sendall(READY)
        word, descriptors, _, _ = socket.recv_fds(channel, len(GO), 1)
    if word != GO:
        sys.exit(1)
    [stderr] = descriptors
    os.dup2(stderr, 2)
    os.close(stderr)
