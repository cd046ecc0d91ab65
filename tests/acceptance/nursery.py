"""Python processes that begin with the packages loaded: forks of one that has imported them.

A site's processes take a second of a processor each to load the same packages, and the tests start
hundreds. A fork has a group, a folder, an environment, files and arguments of its own, and nothing
of the project: settings, models and workflows it loads itself. What it does not show: a package
that the project forgets to import, or a hash of a text that two processes must agree on, as all
forks have one seed. The demo, the README's walks and the installed package are executed.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers import bound

ROOT = Path(__file__).resolve().parent.parent.parent
# A site's environment is its own; these alone come from the developer's.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ")
# What an interpreter looks at when it starts, and a fork has as the nursery has it.
UNBUFFERED = "PYTHONUNBUFFERED"
# What the processes of a site import, of what can be imported without settings.
PACKAGES = (
    *("asyncio", "multiprocessing.queues", "sqlite3", "uvloop", "httptools", "httpx", "psycopg"),
    *("django.core.handlers.asgi", "django.core.management.commands.migrate", "django.forms"),
    *("django.contrib.admin.options", "django.contrib.staticfiles.finders", "django.test.signals"),
    *("django.db.migrations.executor", "django.db.backends.sqlite3.base", "django.views.generic"),
    *("django.db.backends.postgresql.base", "rest_framework.serializers", "drf_spectacular.utils"),
    *("uvicorn.main", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on"),
    *("prometheus_client.multiprocess", "pydantic.main", "pydantic.type_adapter"),
    *("pydantic.json_schema", "jwt", "yaml", "requests", "rapidfuzz.process", "redis.asyncio"),
    *("corsheaders.middleware", "whitenoise.middleware", "gripcontrol", "pygments.lexers"),
    *("pydantic_ai.agent", "pydantic_ai.models.openai"),
)
PR_SET_PDEATHSIG = 1
# The length of a message's length, and of a pid.
NUMBER = 10


class Fork:
    """A process that was forked here, with those methods of subprocess.Popen that tests use.

    Args:
        pid: its number.
        ended: a pipe that says its exit status.
    """

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended
        self._lock = threading.Lock()
        # The nursery takes its number back before it tells of its end.
        try:
            self._process = os.pidfd_open(pid)
        except ProcessLookupError:
            self._process = -1

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self._process >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and is_readable(self._ended, timeout):
                said = os.read(self._ended, NUMBER)
                # Without a word the nursery has ended, and with it all of its forks.
                self.returncode = int(said or -signal.SIGTERM)
                for file in {self._ended, self._process} - {-1}:
                    os.close(file)
            return self.returncode


def is_readable(file: int, timeout: float | None) -> bool:
    """Wait so many seconds at most; select() takes no large numbers of files."""
    poller = select.poll()
    poller.register(file, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))


class Nursery:
    """Forks what is asked of it; one for each process that runs tests."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                bound(command, signal.SIGTERM),
                cwd=ROOT,
                env=env | {UNBUFFERED: "1"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._lock = threading.Lock()

    def kill(self) -> None:
        """End it, and with it all of its forks."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def fork(
        self, arguments: list[str], *, cwd: Path, env: Mapping[str, str], out: int, err: int
    ) -> Fork:
        """Start Python with these arguments.

        Args:
            arguments: a script and what goes with it, or ``-m`` and a module.
            cwd: its folder.
            env: its environment, all of it.
            out: the file that takes its output.
            err: that which takes its errors.
        """
        asked = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": dict(env)}).encode()
        ended, told = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [b"%*d" % (NUMBER, len(asked))], [out, err, told])
                self._socket.sendall(asked)
                pid = int(receive(self._socket, NUMBER))
        finally:
            os.close(told)
        return Fork(pid, ended)


@cache
def nursery() -> Nursery:
    return Nursery()


def can_fork(command: list[str], env: Mapping[str, str]) -> bool:
    """Say whether a command is one of this Python's that needs nothing of a fresh interpreter."""
    special = [name for name in env if name.startswith("PYTHON")]
    return (command[0] == sys.executable and command[1] in ("-m", "manage.py")) and special == [
        UNBUFFERED
    ]


def receive(control: socket.socket, size: int) -> bytes:
    """Receive so many bytes; a signal may come in between."""
    found = b""
    while len(found) < size:
        part = control.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


# In the nursery itself.


def serve(control: socket.socket) -> Callable[[], Any]:
    """Fork as it is asked, and tell of the ends; return what a fork has to do, in the fork."""
    waked, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ends: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), waked], [], [])
        if waked in ready:
            os.read(waked, 4096)
            tell_ends(ends)
        if control.fileno() not in ready:
            continue
        size, files, _, _ = socket.recv_fds(control, NUMBER, 3)
        if not size:
            sys.exit()
        asked = json.loads(receive(control, int(size)))
        if pid := os.fork():
            ends[pid] = files.pop()
            for file in files:
                os.close(file)
            control.sendall(b"%*d" % (NUMBER, pid))
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.detach()
        return settle(asked, *files[:2])


def tell_ends(ends: dict[int, int]) -> None:
    for pid in list(ends):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            told = ends.pop(pid)
            with suppress(BrokenPipeError):
                os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told)


def settle(asked: dict[str, Any], out: int, err: int) -> Callable[[], Any]:
    """Make this fork the process that was asked for; return what it has to do."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    [first, *others] = asked["arguments"]
    if first == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = others
        return lambda: runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    sys.argv = [first, *others]
    sys.path[0] = str(Path(first).resolve().parent)
    return lambda: runpy.run_path(first, run_name="__main__")


def main() -> None:
    for package in PACKAGES:
        importlib.import_module(package)
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))()


if __name__ == "__main__":
    main()
