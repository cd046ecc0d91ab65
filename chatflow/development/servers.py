"""The processes of a site under development."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from chatflow.development.stopping import StopRequest

# As chatflow.workflows.cluster.standby says them.
READY, GO = b"ready", b"go"
# A sync job may keep a web server that long.
STOP_SECONDS = 10.0
LOOK = 0.05


class Server:
    """A process that loads the code, and waits until it may begin.

    It has a group of its own: Ctrl-C reaches its parent alone, which then stops it. What it says on
    standard error before it begins is kept from the terminal, as the other server says the same.

    Args:
        name: for people.
        command: what it runs.
        root: the folder that it runs in.
        environment: its environment.
        sockets: those that it inherits.
        options: for ``Popen``.

    Attributes:
        is_ready: it has loaded the code.
        said: what it has said on standard error, as soon as it was told to begin, or was killed.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        root: Path,
        environment: Mapping[str, str],
        sockets: Sequence[socket.socket] = (),
        **options: Any,
    ) -> None:
        self.name = name
        self.is_ready = False
        self.said = ""
        self._is_cut = False
        self._channel, theirs = socket.socketpair()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - _let_go() closes it
        with theirs:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [*command, "--standby"],
                cwd=root,
                env=environment,
                stdin=theirs.fileno(),
                stderr=self._stderr,
                pass_fds=[each.fileno() for each in sockets],
                process_group=0,
                **options,
            )

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self.process.poll()

    def fileno(self) -> int:
        """Return what can be read when it is ready, or has failed."""
        return self._channel.fileno()

    @property
    def has_failed(self) -> bool:
        """It has ended, or will, before it could begin."""
        return self._is_cut or self.status is not None

    def hear(self) -> None:
        """Take note of what it says on its socket, which can be read."""
        self.is_ready = self._channel.recv(len(READY)) == READY
        self._is_cut = not self.is_ready

    def begin(self) -> None:
        """Let it work."""
        try:
            socket.send_fds(self._channel, [GO], [2])
        except OSError:
            # It has just died, which whoever looks after it will see.
            pass
        self._let_go()

    def terminate(self) -> None:
        """Let it end in its own way: a cluster tells its workers."""
        self.process.terminate()

    def kill(self) -> None:
        """End it, and all that it has started, at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self._let_go()

    def _let_go(self) -> None:
        if not self._stderr.closed:
            self._stderr.seek(0)
            self.said = self._stderr.read().decode("utf-8", "replace").strip()
            self._stderr.close()
            self._channel.close()


def die_with_parent() -> None:
    """Have Linux end this process when its parent is gone, however that died."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def stop(servers: Sequence[Server], request: StopRequest) -> None:
    """End them all: in their own ways, unless that takes too long or somebody is in a hurry."""
    for server in servers:
        server.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    while not request.is_urgent and time.monotonic() < deadline:
        if all(server.status is not None for server in servers):
            break
        time.sleep(LOOK)
    for server in servers:
        server.kill()
