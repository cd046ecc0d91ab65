"""The mistake of the last edit: the parent writes it, and the web server that runs on reads it."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TypedDict

from chatflow.development import MISTAKE
from chatflow.development.mistakes import find_place, shorten, summarize


class Mistake(TypedDict):
    """What went wrong, in plain text.

    Args:
        place: the file and the line, such as ``team/workflows.py:27``; empty where none was named.
        error: it in one line; empty where there was no traceback.
        text: all that was said, without the frames of others.
    """

    place: str
    error: str
    text: str


class Note:
    """A file in a folder of its own, which nobody else can read.

    Attributes:
        path: where it is, while there is a mistake.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="chatflow-dev-"))
        self.path = self._folder / "mistake"

    def write(self, said: str, root: Path) -> None:
        """Write down why new code can't be loaded.

        Args:
            said: what it has said on standard error.
            root: the project's folder, to which the files' names become relative.
        """
        place = find_place(said)
        found = Mistake(
            place=f"{os.path.relpath(place.file, root)}:{place.line}" if place else "",
            error=summarize(said) if place else "",
            text=shorten(said, root),
        )
        # Whole or not at all, for whoever reads it meanwhile.
        draft = self._folder / "draft"
        draft.write_text(json.dumps(found))
        draft.replace(self.path)

    def erase(self) -> None:
        """There is no mistake any more."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


def is_kept() -> bool:
    """Say whether this process serves a site under development."""
    return MISTAKE in os.environ


def read() -> Mistake | None:
    """Return the mistake of the last edit; None if there is none, or nobody writes it down."""
    try:
        found: Mistake = json.loads(Path(os.environ[MISTAKE]).read_text())
    except (KeyError, FileNotFoundError):
        return None
    return found
