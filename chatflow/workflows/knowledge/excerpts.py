"""The part of a text that fits a question, with the words that do."""

from collections import Counter, deque
from collections.abc import Collection, Iterator
from typing import NamedTuple

from chatflow.workflows.knowledge.words import RUN, is_unspaced, spans, stem, words

# Put around each match; the readers let neither into a document.
MARKS = ("\ue000", "\ue001")
# Characters of an excerpt, and of those before its first match.
LENGTH = 300
BEFORE = 60
PREFIX_LENGTH = 4


class Match(NamedTuple):
    start: int
    end: int
    stem: str


def excerpt(text: str, wanted: Collection[str]) -> str:
    """Return the part of *text* that has most of the words, MARKS around them.

    Args:
        text: of a chunk.
        wanted: words, as words_of() returns them.
    """
    found = list(_matches(text, {stem(word) for word in wanted}))
    first = _densest(found)
    start = max(0, first - BEFORE)
    if start:
        start = text.find(" ", start, first) + 1 or first
    return _marked(text, found, start, start + LENGTH)


def _matches(text: str, wanted: set[str]) -> Iterator[Match]:
    for start, end in spans(text):
        for run in RUN.finditer(text, start, end):
            if is_unspaced(run[0]):
                yield from _pairs(text, run.start(), run.end(), wanted)
            elif match := _fitting(run[0], wanted):
                yield Match(run.start(), run.end(), match)


def _pairs(text: str, start: int, end: int, wanted: set[str]) -> Iterator[Match]:
    """Yield a match for each character that a wanted word begins with, or goes on with."""
    for at in range(start, end):
        for piece in (text[max(start, at - 1) : at + 1], text[at : min(end, at + 2)], text[at]):
            if match := _fitting(piece, wanted):
                yield Match(at, at + 1, match)
                break


def _fitting(piece: str, wanted: set[str]) -> str | None:
    """Return the wanted stem that *piece* has, or a word of it begins with."""
    own = [stem(word) for word in words(piece)]
    for term in own:
        if term in wanted:
            return term
    longer = (
        each
        for each in wanted
        if len(each) >= PREFIX_LENGTH and any(term.startswith(each) for term in own)
    )
    return next(longer, None)


def _densest(found: list[Match]) -> int:
    """Return where the part begins that has most of the words."""
    best = most = 0
    near: deque[Match] = deque()
    counts: Counter[str] = Counter()
    for match in found:
        near.append(match)
        counts[match.stem] += 1
        while len(near) > 1 and match.end - near[0].start > LENGTH - BEFORE:
            counts[near.popleft().stem] -= 1
            counts += Counter()
        if len(counts) > most:
            most, best = len(counts), near[0].start
    return best


def _marked(text: str, found: list[Match], start: int, end: int) -> str:
    parts = ["…" if start else ""]
    at = start
    for match in found:
        if match.start < at or match.end > end:
            continue
        parts += [text[at : match.start], MARKS[0], text[match.start : match.end], MARKS[1]]
        at = match.end
    parts.append(text[at:end])
    return "".join(parts).replace("".join(reversed(MARKS)), "")
