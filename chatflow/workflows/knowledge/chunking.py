"""From sections to chunks of at most two hundred words; none reaches over a heading."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chatflow.workflows.knowledge.readers import Section

# Enough to answer from, and few enough that it is about one thing.
WORDS = 200
# A bound for text that has no spaces.
CHARACTERS = 4000
HEADING_LENGTH = 200
PATH_LENGTH = 600


@dataclass(frozen=True)
class Piece:
    """The parts of a chunk: the path of its headings, such as "Deploy > nginx", and its text."""

    heading: str
    text: str


def chunks(sections: Iterable[Section]) -> Iterator[Piece]:
    """Cut *sections* into pieces: at paragraphs where that goes, at words where it must."""
    for section in sections:
        path = " > ".join(heading[:HEADING_LENGTH] for heading in section.headings)
        for text in _packed(_paragraphs(section.text), "\n\n"):
            yield Piece(path[:PATH_LENGTH], text)


def _packed(parts: Iterable[str], between: str) -> Iterator[str]:
    """Join parts up to the size of a chunk.

    The size is counted along: measuring the whole anew for each part would take its square.
    """
    taken: list[str] = []
    length, words = -len(between), 0
    for part in parts:
        own = len(part.split())
        length, words = length + len(between) + len(part), words + own
        if taken and not _small(length, words):
            yield between.join(taken)
            taken, length, words = [], len(part), own
        taken.append(part)
    if taken:
        yield between.join(taken)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        if _small(len(paragraph), len(paragraph.split())):
            yield paragraph
        else:
            yield from filter(None, map(str.strip, _packed(_lines(paragraph), "")))


def _lines(paragraph: str) -> Iterator[str]:
    """Cut a long paragraph: a table or a list at its lines, a line at its words."""
    for line in re.findall(r"[^\n]*\n|[^\n]+$", paragraph):
        for words in re.findall(rf"(?:\S{{1,400}}\s*){{1,{WORDS}}}", line):
            yield from (words[at : at + CHARACTERS] for at in range(0, len(words), CHARACTERS))


def _small(length: int, words: int) -> bool:
    return length <= CHARACTERS and words <= WORDS
