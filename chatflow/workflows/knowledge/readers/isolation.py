"""The one door to the readers: a document is parsed in a process of its own, never in the caller's.

A reading process (``__main__``) is started when it is first needed, and is kept for the next
document. For each one it forks a child, which has limits of time and memory, knows no secret and
no database, and ends with its document. Whatever goes wrong there costs that document only.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from contextvars import ContextVar
from threading import BoundedSemaphore, Lock
from time import monotonic

from chatflow.workflows.knowledge.readers import base
from chatflow.workflows.knowledge.readers.base import BROKEN, LENGTH, Reader, Section, Unreadable

# Documents that one process has parsed at once; its other threads go on answering.
SLOTS = 4
# Seconds of CPU that a document may cost, and seconds that it may take in all.
CPU_SECONDS = 20
SECONDS = 40
# Bytes of address space, those of the interpreter included.
MEMORY = 768 * 1024 * 1024
# Bytes of an answer: as many characters as a document may have, the longest that UTF-8 knows.
MOST_OUTPUT = 4 * base.MOST_TEXT + 10_000_000

TOO_LONG = "This document takes too long to read."
FULL = "Too many documents are being read at once. Please try again."
STOPPING = "The reading was broken off. Please try again."

# Set by whoever serves a client. It is given what ends the reading, and calls that if the client
# leaves; calling it later does no harm.
on_leave: ContextVar[Callable[[Callable[[], None]], None] | None] = ContextVar(
    "on_leave", default=None
)


class Busy(Unreadable):
    """The document can't be read now, but later perhaps."""


def read(reader: Reader, content: bytes) -> list[Section]:
    """Return what *reader* makes of a document, in a process of its own.

    Raises:
        Unreadable: it can't be read, or not within the limits.
        Busy: SLOTS documents are being read, the client has left, or this process stops.
    """
    answer = _room.answer(_request(reader, content))
    try:
        found = json.loads(answer)
        if "unreadable" in found:
            raise Unreadable(str(found["unreadable"]))
        return [Section(tuple(headings), text) for headings, text in found["sections"]]
    except (ValueError, TypeError, LookupError, RecursionError):
        # A reader that has been taken over may have written it.
        raise Unreadable(BROKEN) from None


def stop() -> None:
    """Break off all that is being read, and read nothing more: this process is about to end."""
    _room.stop()


def _request(reader: Reader, content: bytes) -> bytes:
    header = {
        "reader": f"{type(reader).__module__}:{type(reader).__qualname__}",
        "length": len(content),
        "most_text": base.MOST_TEXT,
        "cpu_seconds": CPU_SECONDS,
        "seconds": SECONDS,
        "memory": MEMORY,
    }
    return json.dumps(header).encode() + b"\n" + content


class _Room:
    """The reading processes of this process: those at work, and those that wait for a document."""

    def __init__(self) -> None:
        self._slots = BoundedSemaphore(SLOTS)
        self._lock = Lock()
        self._waiting: list[_Process] = []
        self._at_work: set[_Reading] = set()
        self._stopped = False

    def answer(self, request: bytes) -> bytes:
        if not self._slots.acquire(blocking=False):
            raise Busy(FULL)
        try:
            reading = self._begin()
            try:
                return reading.answer(request)
            finally:
                self._end(reading)
        finally:
            self._slots.release()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            readings, processes = [*self._at_work], [*self._waiting]
            self._waiting.clear()
        for reading in readings:
            reading.stop()
        for process in processes:
            process.end()

    def _begin(self) -> "_Reading":
        with self._lock:
            process = self._waiting.pop() if self._waiting else None
        if process and not process.waits():
            process.end()
            process = None
        try:
            reading = _Reading(process or _Process())
        except OSError as error:
            # Out of memory, processes or open files.
            raise Busy(FULL) from error
        with self._lock:
            self._at_work.add(reading)
            stopped = self._stopped
        if stopped:
            reading.stop()
        elif watch := on_leave.get():
            watch(reading.stop)
        return reading

    def _end(self, reading: "_Reading") -> None:
        process = reading.release()
        with self._lock:
            self._at_work.discard(reading)
            # One is enough for whoever brings one document after another.
            if process and not self._waiting and not self._stopped:
                self._waiting.append(process)
                return
        if process:
            process.end()


class _Reading:
    """One document with its process. Another thread may stop it."""

    def __init__(self, process: "_Process") -> None:
        self._process = process
        self._lock = Lock()
        self._over = self._stopped = self._answered = False

    def answer(self, request: bytes) -> bytes:
        try:
            answer = self._process.answer(request, monotonic() + SECONDS)
        except TimeoutError:
            raise Unreadable(TOO_LONG) from None
        except (OSError, EOFError):
            raise self._reason() from None
        self._answered = True
        return answer

    def stop(self) -> None:
        with self._lock:
            if not self._over:
                self._stopped = True
                self._process.hang_up()

    def release(self) -> "_Process | None":
        """Return the process if it can read another document; otherwise end it."""
        with self._lock:
            self._over = True
        if self._answered and not self._stopped:
            return self._process
        self._process.end()
        return None

    def _reason(self) -> Unreadable:
        status = self._process.end()
        if self._stopped:
            return Busy(STOPPING)
        return Unreadable(TOO_LONG if status == signal.SIGXCPU else BROKEN)


class _Process:
    """A reading process, in a group of its own with its children."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with closing(theirs):
            try:
                self._process = _start(theirs.fileno())
            except OSError:
                self._socket.close()
                raise

    def waits(self) -> bool:
        """Whether it can take a document: it lives, and has said nothing unasked."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return self._process.poll() is None
        except OSError:
            pass
        return False

    def answer(self, request: bytes, deadline: float) -> bytes:
        """Send a request, and return its answer.

        Raises:
            TimeoutError: it doesn't come before *deadline*, by the monotonic clock.
            EOFError, OSError: the process ends without one, or sends too much.
        """
        self._wait_until(deadline)
        self._socket.sendall(request)
        length = int.from_bytes(self._receive(LENGTH, deadline))
        if length > MOST_OUTPUT:
            raise EOFError
        return self._receive(length, deadline)

    def _receive(self, length: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < length:
            self._wait_until(deadline)
            piece = self._socket.recv(min(length - len(received), 1 << 20))
            if not piece:
                raise EOFError
            received += piece
        return bytes(received)

    def _wait_until(self, deadline: float) -> None:
        self._socket.settimeout(max(0.001, deadline - monotonic()))

    def hang_up(self) -> None:
        """Tell the process to end what it does, from any thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def end(self) -> int:
        """End the process and its children; return its exit status."""
        self.hang_up()
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            status = self._process.wait()
        self._socket.close()
        return status


def _start(line: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "chatflow.workflows.knowledge.readers"],
        stdin=line,
        stdout=line,
        # Nothing of this process's own environment, where its secrets are.
        env={"PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)},
        cwd="/",
        start_new_session=True,
    )


_room = _Room()
# After a fork they are the parent's.
_others: list[_Room] = []


def _forget() -> None:
    global _room
    _others.append(_room)
    _room = _Room()


os.register_at_fork(after_in_child=_forget)
atexit.register(stop)
