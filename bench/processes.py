"""The processes that are measured. The kernel ends them with the bench; see tests/servers.py."""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers import HOST, Server

ROOT = Path(__file__).resolve().parent.parent


class Program(Server):
    """A Python program with an environment of its own.

    Args:
        arguments: those of ``python``.
        environment: added to this process's.
        ready: returns whether it has started; by default whether it responds on its port.
        program: another Python than this one.
    """

    def __init__(
        self,
        *arguments: str,
        environment: dict[str, str],
        ready: Callable[[], bool] | None = None,
        program: str = sys.executable,
    ) -> None:
        super().__init__()
        self.arguments = arguments
        # Code is compiled once, as it is where it was installed.
        own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
        self.environment = own | environment
        self.ready = ready
        self.program = program

    def command(self) -> list[str]:
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return ["/usr/bin/env", *settings, self.program, *self.arguments]

    def responds(self) -> bool:
        return super().responds() if self.ready is None else self.ready()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


class Web(Program):
    """An ASGI application under uvicorn with its defaults, as Chatflow and its peers all are."""

    def command(self) -> list[str]:
        return [*super().command(), f"--host={HOST}", f"--port={self.port}"]


def uvicorn(application: str, environment: dict[str, str]) -> Web:
    return Web("-m", "uvicorn", application, environment=environment)


# Figures of a process, from the kernel.


def memory(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def processor_seconds(pids: list[int]) -> float:
    """Return the processor time that the processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]
