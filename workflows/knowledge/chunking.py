"""From sections to chunks of a few hundred words; none reaches over a heading."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workflows.knowledge.readers import Section

# Enough to answer from, and few enough that it is about one thing.
WORDS = 250
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
        for text in _packed(_paragraphs(section.text)):
            yield Piece(path[:PATH_LENGTH], text)


def _packed(paragraphs: Iterable[str]) -> Iterator[str]:
    """Join paragraphs up to the size of a chunk."""
    taken: list[str] = []
    for paragraph in paragraphs:
        if taken and not _fits("\n\n".join([*taken, paragraph])):
            yield "\n\n".join(taken)
            taken = []
        taken.append(paragraph)
    if taken:
        yield "\n\n".join(taken)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        if _fits(paragraph):
            yield paragraph
        else:
            yield from _lines(paragraph)


def _lines(paragraph: str) -> Iterator[str]:
    """Cut a long paragraph: a table or a list at its lines, a line at its words."""
    taken = ""
    for part in re.findall(r"[^\n]*\n|[^\n]+$", paragraph):
        for words in re.findall(rf"(?:\S{{1,400}}\s*){{1,{WORDS}}}", part):
            for piece in (words[at : at + CHARACTERS] for at in range(0, len(words), CHARACTERS)):
                if taken and not _fits(taken + piece):
                    yield taken.strip()
                    taken = ""
                taken += piece
    if taken.strip():
        yield taken.strip()


def _fits(text: str) -> bool:
    return len(text) <= CHARACTERS and len(text.split()) <= WORDS
