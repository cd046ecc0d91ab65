"""Seeing the edits of a project's files."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from chatflow.development.mistakes import find_mistake
from chatflow.development.words import say

# What a process has read once, and keeps: modules, and templates, which Django caches.
SUFFIXES = {".py", ".html"}
# Folders without anything that a server loads, beside hidden ones, virtual environments and what
# MkDocs builds.
SKIPPED = {"__pycache__", "node_modules", "tests"}
# Milliseconds between two looks at the files, where the kernel doesn't tell of edits.
POLL_MS = 300
# Seconds until they are watched again, where that has failed.
RETRY = 0.3


class Edits:
    """Watches a project, in a thread of its own.

    Args:
        root: the project's folder.
        env_file: its `.env`, which need not exist.

    Attributes:
        mistake: what Python says of the last edit's syntax; empty where it has no objection.
    """

    def __init__(self, root: Path, env_file: Path) -> None:
        self._root = root
        self._env_file = env_file.absolute()
        self.mistake = ""
        # A datagram for each edit. A full buffer would only say again that there was one.
        self._heard, self._told = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.setblocking(False)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="edits", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._heard.close()
        self._told.close()

    def fileno(self) -> int:
        """Return what can be read as soon as there is an edit."""
        return self._heard.fileno()

    def read(self) -> str:
        """Return what was edited since it was asked last, in words; wait for it."""
        edited, flags = [], 0
        with suppress(BlockingIOError):
            while True:
                edited.append(self._heard.recv(4096, flags).decode("utf-8", "replace"))
                flags = socket.MSG_DONTWAIT
        return ", ".join(dict.fromkeys(edited))

    def matters(self, path: Path) -> bool:
        """Say whether the site must load anew when this file has changed."""
        if path == self._env_file:
            return True
        return path.suffix in SUFFIXES and not path.name.startswith((".", "test_"))

    def _watch(self) -> None:
        # Here, as the servers need not wait for the import.
        from watchfiles import Change, watch

        polls = False
        while not self._closing.is_set():
            try:
                # Folder by folder: a virtual environment in the project has thousands of them.
                folders = list(find_folders(self._root))
                for changes in watch(
                    *folders,
                    recursive=False,
                    watch_filter=None,
                    stop_event=self._closing,
                    ignore_permission_denied=True,
                    force_polling=polls or None,
                    poll_delay_ms=POLL_MS,
                ):
                    added = [Path(path) for change, path in changes if change == Change.added]
                    new = [path for path in added if path.is_dir() and is_own(path)]
                    self._tell([*(Path(path) for _, path in changes), *find_files(new)])
                    if new:
                        break
            except FileNotFoundError:
                # A folder is gone since it was found.
                continue
            except (OSError, RuntimeError) as error:
                # Mostly the programs of this user watch as much already as the kernel lets them.
                if not polls:
                    say(f"The kernel doesn't tell of edits ({error}): looking for them instead.")
                polls = True
                self._closing.wait(RETRY)

    def _tell(self, paths: list[Path]) -> None:
        edited = sorted(path for path in paths if self.matters(path))
        if edited:
            self.mistake = find_mistake(edited)
            others = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
            try:
                self._told.send(f"{os.path.relpath(edited[0], self._root)}{others}".encode())
            except BlockingIOError:
                pass


def find_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of a project, and the project itself."""
    for folder, inner, _ in os.walk(root):
        inner[:] = [name for name in inner if is_own(Path(folder, name))]
        yield Path(folder)


def find_files(folders: list[Path]) -> Iterator[Path]:
    """Yield the files in new folders, which were there before anybody watched them."""
    for new in folders:
        for folder in find_folders(new):
            # One that nobody may enter says so where it is loaded.
            with suppress(OSError):
                yield from folder.iterdir()


def is_own(folder: Path) -> bool:
    """Say whether a folder may hold code of the project's own."""
    hidden = folder.name.startswith(".") or folder.name in SKIPPED
    built = os.path.exists(folder / "pyvenv.cfg") or (
        folder.name == "site" and os.path.exists(folder.parent / "mkdocs.yml")
    )
    return not hidden and not built
