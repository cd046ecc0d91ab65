"""Processes: whether one that ran on this machine is dead for certain.

A pid says so only in the place where it was given out: a namespace of pids, in one boot of one
kernel. And only with the moment at which its process began, as pids are given out again.
"""

import os
import resource
from pathlib import Path

# Fields of /proc/PID/stat behind the command's name, counted from 0: its state, and when it began,
# in ticks since the boot by the clock of its time namespace.
STATE, BEGAN = 0, 19
# The field of /proc/PID/statm that counts the pages in memory.
RESIDENT = 1
# A zombie, and one that has just ceased to be that.
DEAD = ("Z", "X")
NAMESPACES = [
    path for path in map("/proc/self/ns/{}".format, ("pid", "time")) if os.path.lexists(path)
]


def find_place() -> str:
    """Return the place where this process has its pid; empty where that can't be told."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            # Another namespace's /proc.
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return " ".join([boot, *map(os.readlink, NAMESPACES)])
    except OSError:
        return ""


def find_beginning(pid: int) -> int | None:
    """Return when a process of this place began, by its clock; None where that can't be told."""
    try:
        return int(_read_stat(pid)[BEGAN])
    except OSError:
        return None


def find_memory(pid: int) -> int | None:
    """Return the bytes of a process that are in memory; None where that can't be told."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[RESIDENT]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


def is_dead(pid: int, began: int) -> bool:
    """Say whether the process that began at that moment, here in this place, is dead."""
    try:
        stat = _read_stat(pid)
    except OSError:
        # It may be another user's, and hidden.
        return not _exists(pid)
    return stat[STATE] in DEAD or int(stat[BEGAN]) != began


def _read_stat(pid: int) -> list[str]:
    # The command's name may contain anything, brackets as well.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
