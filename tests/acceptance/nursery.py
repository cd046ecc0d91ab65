"""Python processes that begin with the packages loaded: forks of one that has imported them.

A site's processes take a second of a processor each to load the same packages, and the tests start
hundreds. A fork has a process group, a folder, an environment, files and arguments of its own as
one that was executed, and nothing of the project: settings, models and workflows it loads itself.
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
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers import bound

ROOT = Path(__file__).resolve().parent.parent.parent
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
)
PR_SET_PDEATHSIG = 1
MOST = 1 << 20


class Fork:
    """A process that was forked here, with those methods of subprocess.Popen that tests use."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            said = os.read(self._ended, 64)
            os.close(self._ended)
            # Without a word the nursery itself has ended, and with it all of its forks.
            self.returncode = int(said or -signal.SIGKILL)
        return self.returncode


class Nursery:
    """Forks what is asked of it; one for each process that runs tests."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                bound(command, signal.SIGTERM), cwd=ROOT, pass_fds=[theirs.fileno()]
            )
        self._lock = threading.Lock()

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
        with self._lock:
            socket.send_fds(self._socket, [b"%10d" % len(asked)], [out, err, told])
            self._socket.sendall(asked)
            pid = int(self._socket.recv(10, socket.MSG_WAITALL))
        os.close(told)
        return Fork(pid, ended)


@cache
def nursery() -> Nursery:
    return Nursery()


def can_fork(command: list[str], env: Mapping[str, str]) -> bool:
    """Say whether a command is one of this Python's that needs nothing of a fresh interpreter."""
    special = [name for name in env if name.startswith("PYTHON") and name != "PYTHONUNBUFFERED"]
    return command[0] == sys.executable and command[1] in ("-m", "manage.py") and not special


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
            os.read(waked, MOST)
            tell_ends(ends)
        if control.fileno() not in ready:
            continue
        size, files, _, _ = socket.recv_fds(control, 10, 3)
        if not size:
            sys.exit()
        asked = json.loads(control.recv(int(size), socket.MSG_WAITALL))
        if pid := os.fork():
            ends[pid] = files.pop()
            for file in files:
                os.close(file)
            control.sendall(b"%10d" % pid)
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
            os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told)


def settle(asked: dict[str, Any], out: int, err: int) -> Callable[[], Any]:
    """Make this fork the process that was asked for; return what it has to do."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 1024)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    through = "PYTHONUNBUFFERED" in os.environ
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=through)  # type: ignore[union-attr]
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
