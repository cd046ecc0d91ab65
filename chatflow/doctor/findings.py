"""What a check finds."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # Worth knowing; it may be meant so.
    PROBLEM = "problem"
    UNKNOWN = "unknown"  # It couldn't be looked at.


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        level: how bad it is.
        what: what is so, in a sentence.
        why: why it matters; empty where nothing is wrong.
        mend: what to write or do about it.
    """

    level: Level
    what: str
    why: str = ""
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Visit:
    """What the doctor was asked.

    Args:
        url: the site's public address, such as ``https://chat.example.com``; empty for none.
    """

    url: str = ""


Check = Callable[[Visit], Iterator[Finding]]


def ok(what: str) -> Finding:
    return Finding(Level.OK, what)


def note(what: str, why: str, mend: str) -> Finding:
    return Finding(Level.NOTE, what, why, mend)


def problem(what: str, why: str, mend: str) -> Finding:
    return Finding(Level.PROBLEM, what, why, mend)


def unknown(what: str, mend: str = "") -> Finding:
    return Finding(Level.UNKNOWN, what, "", mend)
