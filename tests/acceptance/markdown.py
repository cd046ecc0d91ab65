"""The code blocks of a Markdown page."""

import re
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^#+ (?P<heading>[^\n]*)|^```(?P<language>\w*)\n(?P<code>.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block, and the heading that it stands under."""

    heading: str
    language: str
    code: str


def blocks(path: Path, language: str | None = None) -> list[Block]:
    """Return the page's code blocks, in their order."""
    found, heading = [], ""
    for match in BLOCK.finditer(path.read_text()):
        if match["heading"] is not None:
            heading = match["heading"].strip()
        elif language in (None, match["language"]):
            found.append(Block(heading, match["language"], match["code"]))
    return found


def block(path: Path, heading: str, language: str | None = None, number: int = 0) -> str:
    """Return the code of the one block under the heading, or of the *number*-th."""
    return [each.code for each in blocks(path, language) if each.heading == heading][number]
