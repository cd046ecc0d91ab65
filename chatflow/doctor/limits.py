"""What the kernel lets the processes have: open files, of which a stream is one."""

import re
import resource
from collections.abc import Iterator
from pathlib import Path

from chatflow.doctor.findings import Finding, Visit, note, ok
from chatflow.workflows.metrics.folder import find_folder

# Streams that a web process can have by a system's usual limit are fewer than this.
ENOUGH = 8192
OPEN_FILES = re.compile(r"^Max open files\s+(\d+|unlimited)", re.MULTILINE)


def look(visit: Visit) -> Iterator[Finding]:
    """Look at the processes that count for /metrics; without any, at this one."""
    found = dict(of_processes())
    if found:
        pid, least = min(found.items(), key=lambda each: each[1])
        who = f"Process {pid}"
    else:
        who, least = "This process", resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        least = least if least != resource.RLIM_INFINITY else ENOUGH
    if least >= ENOUGH:
        yield ok(f"{who} may open {least} files.")
        return
    yield note(
        f"{who} may open {least} files.",
        "A stream is one: a web process that has no more refuses connections.",
        "LimitNOFILE=65536 in the unit of the web processes; or ulimit -n 65536 before uvicorn",
    )


def of_processes() -> Iterator[tuple[int, int]]:
    """Yield the pids of this host's processes, each with how many files it may open."""
    for alive in find_folder().glob("*.alive"):
        pid = int(alive.name.partition("-")[0])
        try:
            limits = OPEN_FILES.search(Path(f"/proc/{pid}/limits").read_text())
        except OSError:
            # Of another container, or another account's.
            continue
        if limits is not None and limits[1] != "unlimited":
            yield pid, int(limits[1])
