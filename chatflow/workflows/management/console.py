"""Checked arguments and tables, for the queue's commands."""

import logging
import unicodedata
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence

from django.core.management.base import CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db.models import Model
from django.dispatch import Signal

from chatflow.workflows.exceptions import first_line
from chatflow.workflows.services import queues

logger = logging.getLogger(__name__)

# Who runs a command has done something that is to be on record, if anybody keeps one: `act`,
# `target` and `outcome`, as audit.record_at_terminal() takes them.
acted = Signal()

GAP = "  "
# A hundred years, which is more than any retention; databases can't go back much further.
MOST_DAYS = 36_500
MOST_HOURS = MOST_DAYS * 24


def whole_number(minimum: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """Return the ``type`` of an argument that is a whole number from *minimum* to *most*."""

    def read(text: str) -> int:
        # Python reads no number of thousands of digits.
        digits = text.isascii() and text.isdigit() and len(text) <= 20
        if not (digits and minimum <= int(text) <= most):
            raise ArgumentTypeError(
                f"must be a whole number of at least {minimum} and at most {most}, "
                f"not {text[:40]!r}."
            )
        return int(text)

    return read


def tell(act: str, target: Model | None = None, outcome: str = "") -> None:
    """Tell who keeps the record what a command has done.

    Args:
        act: in a word or two.
        target: the row that it was done to; None for several, or none.
        outcome: what became of it.
    """
    acted.send(sender=None, act=act, target=target, outcome=outcome)


def add_queue_option(parser: CommandParser) -> None:
    """Let a command be told which queues to serve; queue_names() reads it."""
    parser.add_argument(
        "--queue",
        default="",
        metavar="NAMES",
        help="Comma-separated names of queues, the most urgent first. Default: all queues.",
    )


def queue_names(text: str) -> list[str]:
    """Return the names in the option's text.

    Raises:
        CommandError: neither workflows nor tasks use such a queue, and no job waits in it.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        unknown = queues.unknown(names)
    except DatabaseError as error:
        # A cluster may start before its database does, and waits for it.
        logger.warning("The queues' names could not be checked (%s).", first_line(error))
        return names
    if unknown:
        raise CommandError(f"There is no queue {unknown[0]!r}.")
    return names


def describe_unserved(names: Sequence[str]) -> str:
    """Return whose jobs a worker of these queues leaves to others; nothing where it leaves none."""
    left = queues.unserved(names) if names else {}
    if not left:
        return ""
    whose = [f"{queue} ({', '.join(names)})" for queue, names in sorted(left.items())]
    return (
        f"Not served here: {', '.join(whose)}. Without another cluster their jobs wait for ever; "
        "one without --queue serves all queues."
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return *rows* under their headers, in columns as wide as they need, numbers on the right."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(headers, *cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(cell, int | float) for cell in column)
        for column in list(zip(*rows, strict=True)) or [()] * len(headers)
    ]
    lines = [list(headers), ["-" * size for size in widths], *cells]
    return "\n".join(_line(line, widths, right) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, size, aligned_right in zip(cells, widths, right, strict=True):
        blank = " " * (size - width(cell))
        padded.append(blank + cell if aligned_right else cell + blank)
    return GAP.join(padded).rstrip()


def printable(text: str, longest: int = 80) -> str:
    """Return the first line of *text*, cut, and without characters that control the terminal."""
    line = next(iter(text.strip().splitlines()), "")
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def width(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )
