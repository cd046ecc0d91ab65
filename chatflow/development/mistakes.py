"""Reading tracebacks for whoever wrote the code: which lines are theirs, and which went wrong."""

import os
import re
import sysconfig
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

FRAME = re.compile(r'^ +File "(?P<file>.+?)", line (?P<line>\d+)', re.MULTILINE)
ENGINE = Path(__file__).resolve().parent.parent.parent
# The parts of Chatflow that aren't written as everybody's own workflows are.
INNER = (f"{ENGINE}/chatflow/workflows/", f"{ENGINE}/chatflow/", f"{ENGINE}/manage.py")
LIBRARY = f"{ENGINE}/chatflow/workflows/library/"
STANDARD = sysconfig.get_path("stdlib")


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.relpath(self.file)}:{self.line}"


def find_mistake(files: Sequence[Path]) -> str:
    """Return what Python says of the first of *files* that it can't read, as a traceback ends.

    Nothing of them is run. Empty if it can read them all.
    """
    for file in files:
        if file.suffix != ".py":
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            return "".join(traceback.format_exception_only(error)).rstrip()
        except (OSError, RecursionError, MemoryError):
            # It is gone again, or too deeply nested: whoever loads it says so.
            continue
    return ""


def find_place(said: str) -> Place | None:
    """Return where the author's own code went wrong; the last line of all where none is theirs."""
    places = [Place(found["file"], int(found["line"])) for found in FRAME.finditer(said)]
    own = [each for each in places if is_own(each.file)]
    return (own or places)[-1] if places else None


def summarize(said: str) -> str:
    """Return the error in one line, such as ``ValueError: It is too long.``"""
    *_, last = re.split(r"^ +File .*$", said, flags=re.MULTILINE)
    lines = [line for line in last.splitlines() if line.strip() and not line.startswith(" ")]
    return lines[0] if lines else ""


def shorten(said: str, root: Path) -> str:
    """Leave the frames out of a traceback that are none of the author's, if there are others.

    Args:
        said: what a process has said on standard error; perhaps more than a traceback, or none.
        root: the project's folder, to which the files' names become relative.
    """
    pieces = list(_pieces(said))
    if any(is_own(file) for file, _ in pieces if file):
        pieces = [(file, text) for file, text in pieces if not file or is_own(file)]
    return "".join(text for _, text in pieces).replace(f'File "{root}/', 'File "')


def _pieces(said: str) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a text: frames with their files, and between them lines without one."""
    file, lines = "", list[str]()
    for line in said.splitlines(keepends=True):
        found = FRAME.match(line)
        if found or (file and not line.startswith("    ")):
            yield file, "".join(lines)
            file, lines = found["file"] if found else "", []
        lines.append(line)
    yield file, "".join(lines)


def is_own(file: str) -> bool:
    """Say whether a file is the author's, and not a library's, Python's or the engine's."""
    if file.startswith(("<", STANDARD)) or "site-packages" in file:
        return False
    return file.startswith(LIBRARY) or not file.startswith(INNER)
