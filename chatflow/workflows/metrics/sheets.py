"""The sheets on which processes count: files of prometheus_client's format for several processes.

A counter of Prometheus must never fall, so what a dead process has counted is added to the sheet
of the dead, under the folder's lock, before its own is removed. A process lives while it holds
the lock of its sheet, which the kernel takes away with it: no pid is compared, and processes in
several containers may share a folder.
"""

import atexit
import fcntl
import logging
import os
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from chatflow.workflows.metrics.folder import NoFolder, find_folder, make_folder

logger = logging.getLogger(__name__)

# Keys of values, and how much is added to each.
Amounts = Sequence[tuple[str, float]]

# How the names of a sheet's files begin, by which the library knows their kinds; and how they end.
COUNTER, HISTOGRAM, GAUGE = "counter", "histogram", "gauge_livesum"
# What dead processes have counted stays; what they had open has gone with them.
KEPT = (COUNTER, HISTOGRAM)
DEAD = "dead"
# Of a file that a lost machine has left half-written.
BROKEN = (RuntimeError, ValueError, struct.error)


class Sheet:
    """What one process counts.

    Args:
        folder: in which its files are.

    Raises:
        OSError: they can't be made.
    """

    def __init__(self, folder: Path) -> None:
        self._name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._writing = threading.Lock()
        # The keys by which others are there as well.
        self._begun: set[str] = set()
        with _locked(folder):
            _bury_the_dead(folder)
            self._life = os.open(folder / f"{self._name}.alive", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._life, fcntl.LOCK_EX)
            self._files = {
                kind: MmapedDict(str(folder / f"{kind}_{self._name}.db"))
                for kind in (COUNTER, HISTOGRAM, GAUGE)
            }

    def add(self, kind: str, amounts: Amounts, beside: Amounts = ()) -> None:
        """Add to some values.

        Args:
            kind: of their series.
            amounts: each value's key, and how much is added.
            beside: the same for what is to be there too, as soon as the first of them is.
        """
        file = self._files[kind]
        with self._writing:
            if beside and amounts[0][0] not in self._begun:
                self._begun.add(amounts[0][0])
                amounts = (*beside, *amounts)
            for key, amount in amounts:
                value, _ = file.read_value(key)
                file.write_value(key, value + amount, 0.0)

    def leave(self) -> None:
        """Let go of the sheet, which lives while any process has its lock open."""
        os.close(self._life)
        for file in self._files.values():
            file.close()


_sheet: Sheet | None = None
_failed = False
_opening = threading.Lock()


def add(kind: str, amounts: Amounts, beside: Amounts = ()) -> None:
    """Add to values of this process; see Sheet.add(). Without a folder nothing is counted."""
    sheet = _sheet or _open()
    if sheet is not None:
        sheet.add(kind, amounts, beside)


def begin() -> None:
    """Open this process's sheet, where it's better now than when something is to be counted."""
    _open()


def collect() -> Iterable[Metric]:
    """Return all that this host's processes have counted."""
    folder = find_folder()
    if _open() is None:
        return []
    with _locked(folder):
        _bury_the_dead(folder)
        try:
            return list(MultiProcessCollector(None, str(folder)).collect())
        except BROKEN as error:
            logger.warning("What dead processes have counted can't be read: %s", str(error))
            for kind in KEPT:
                (folder / f"{kind}_{DEAD}.db").unlink(missing_ok=True)
            return list(MultiProcessCollector(None, str(folder)).collect())


def _open() -> Sheet | None:
    global _sheet, _failed
    with _opening:
        if _sheet is None and not _failed:
            try:
                _sheet = Sheet(make_folder())
            except (NoFolder, OSError) as error:
                _failed = True
                logger.warning("Nothing is counted for /metrics: %s.", str(error))
        return _sheet


def leave() -> None:
    """Let go of this process's sheet, or in a fork of the parent's; the next count opens one."""
    global _sheet, _failed, _opening
    if _sheet is not None:
        _sheet.leave()
    _sheet, _failed, _opening = None, False, threading.Lock()


os.register_at_fork(after_in_child=leave)
atexit.register(leave)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only one who adds sheets to the folder, takes them away, or reads them all."""
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        # Said, as a child that was forked meanwhile has it open too.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def _bury_the_dead(folder: Path) -> None:
    for alive in folder.glob("*.alive"):
        if not _is_dead(alive):
            continue
        for kind in KEPT:
            _add_to_dead(folder / f"{kind}_{alive.stem}.db", folder / f"{kind}_{DEAD}.db")
        (folder / f"{GAUGE}_{alive.stem}.db").unlink(missing_ok=True)
        alive.unlink(missing_ok=True)


def _is_dead(alive: Path) -> bool:
    try:
        held = os.open(alive, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(held)


def _add_to_dead(file: Path, dead: Path) -> None:
    with suppress(FileNotFoundError, *BROKEN):
        found = MmapedDict.read_all_values_from_file(str(file))
        values = [(key, value) for key, value, *_ in found if value]
        # First: to lose them is better than to count them twice.
        file.unlink()
        total = MmapedDict(str(dead))
        try:
            for key, value in values:
                total.write_value(key, total.read_value(key)[0] + value, 0.0)
        finally:
            total.close()
    file.unlink(missing_ok=True)
