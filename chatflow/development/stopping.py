"""The wish to stop: Ctrl-C, SIGTERM or a closed terminal, and a second Ctrl-C for the impatient."""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from types import FrameType

# Seconds between looks whether the request is made, where nothing tells of it.
LOOK = 0.1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Notes the signals, and wakes whoever waits for its file descriptor.

    Attributes:
        is_made: there was a signal.
        is_urgent: Ctrl-C came after it.
    """

    def __init__(self) -> None:
        self.is_made = False
        self.is_urgent = False
        # The signals write, whoever waits reads.
        self._readable, self._writable = socket.socketpair()
        self._writable.setblocking(False)

    def fileno(self) -> int:
        """Return what can be read as soon as the request is made."""
        return self._readable.fileno()

    def obey_signals(self) -> None:
        """Let the signals mean this from now on."""
        signal.set_wakeup_fd(self._writable.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            # Under nohup a closed terminal stays without effect.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def communicate(self, process: "subprocess.Popen[str]") -> str:
        """Return what a process prints until it ends; kill it, and its group, when it is made.

        Args:
            process: it leads a group of its own.
        """
        while True:
            try:
                return process.communicate(timeout=LOOK)[0]
            except subprocess.TimeoutExpired:
                if self.is_made:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of what wakes the waiting."""
        self._readable.close()
        self._writable.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # A service manager may well send SIGTERM twice: to the group, and through make.
        self.is_urgent |= self.is_made and number == signal.SIGINT
        self.is_made = True
