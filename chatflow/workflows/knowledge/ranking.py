"""How well chunks fit a question: one formula, whatever database has found them.

It is BM25F: words that few chunks have say more, each further occurrence says less, and a heading's
words count as several of the text's. A word is met by its stem, by a synonym, or by a longer word
that begins with it, such as "createuser" for "create". A synonym says no more than it does by
itself: a rare word isn't met by one that is everywhere. A chunk of a document that fits as a whole
is preferred.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from chatflow.workflows.knowledge.models import Chunk
from chatflow.workflows.knowledge.synonyms import SYNONYMS
from chatflow.workflows.knowledge.words import stem, terms

# What an occurrence counts, by where it is.
FIELDS = {"text": 1.0, "heading": 5.0, "above": 3.0, "name": 1.0}
SYNONYM = PREFIX = 0.5
PREFIX_LENGTH = 4
# Occurrences that are half as good as any number of them.
SATURATION = 2.0
# How much the length of a field counts: 0 not at all, 1 fully.
LENGTH = 0.5
# The share of the document's best chunks in the score of each chunk of it.
DOCUMENT = 0.2
DOCUMENT_BEST = 3
# The score of a text that answers a question beyond doubt.
FULL = 0.9
# What a text counts at least that has all words of a question, if only in passing.
COVERED = 0.6


def relevance(
    words: Sequence[str], weights: Mapping[str, float], chunks: Iterable[Chunk]
) -> dict[int, float]:
    """Return how well each of *chunks* fits, 0 to 1, the best first; those that don't are left out.

    Args:
        words: the question's.
        weights: how much each of them says, and each of their synonyms.
        chunks: the index's matches.
    """
    wanted = [_Wanted(word, weights) for word in words]
    texts = [_Text(chunk) for chunk in chunks]
    means = {
        field: sum(text.lengths[field] for text in texts) / max(1, len(texts)) for field in FIELDS
    }
    total = sum(each.weight for each in wanted)
    scores: dict[_Text, float] = {}
    covered: dict[int, float] = {}
    by_document: dict[object, list[float]] = defaultdict(list)
    for text in texts:
        found = [(each.weight, text.find(each)) for each in wanted]
        score = sum(weight * _saturated(text.occurrences(has, means)) for weight, has in found)
        scores[text] = score / total
        by_document[text.document].append(score / total)
        covered[text.chunk] = (
            sum(weight * min(1.0, max(has.values())) for weight, has in found) / total
        )
    whole = {
        document: sum(sorted(found)[-DOCUMENT_BEST:]) / DOCUMENT_BEST
        for document, found in by_document.items()
    }
    fits = {
        text.chunk: score + DOCUMENT * whole[text.document]
        for text, score in scores.items()
        if score
    }
    best = sorted(fits.items(), key=lambda item: (-item[1], item[0]))
    return {chunk: min(1.0, max(fit / FULL, COVERED * covered[chunk])) for chunk, fit in best}


@dataclass(frozen=True)
class Match:
    """What a chunk has of one word of a question.

    Args:
        word: the question's.
        weight: how much of the question it is, 0 to 1.
        fields: where the chunk has it, or a word that stands for it.
        like: the words by which it has it: itself, a synonym, a longer word that begins with it.
    """

    word: str
    weight: float
    fields: tuple[str, ...]
    like: tuple[str, ...]


def explain(words: Sequence[str], weights: Mapping[str, float], chunk: Chunk) -> list[Match]:
    """Return, for each word of a question, where *chunk* has it, and in which words.

    Args:
        words: as relevance() takes them; so are the weights.
        weights: of each of them, and of each of their synonyms.
        chunk: a passage.
    """
    text, wanted = _Text(chunk), [_Wanted(word, weights) for word in words]
    total = sum(each.weight for each in wanted) or 1.0
    return [
        Match(
            word=word,
            weight=each.weight / total,
            fields=tuple(field for field, count in text.find(each).items() if count),
            like=text.like(each),
        )
        for word, each in zip(words, wanted, strict=True)
    ]


def _saturated(occurrences: float) -> float:
    return occurrences / (occurrences + SATURATION)


class _Wanted:
    """A word of the question.

    Args:
        word: as words_of() returns it.
        weights: as relevance() takes them.
    """

    def __init__(self, word: str, weights: Mapping[str, float]) -> None:
        self.stem = stem(word)
        self.weight = weights[word]
        # By its stem, what an occurrence of each synonym counts.
        self.synonyms = {
            stem(synonym): SYNONYM * min(1.0, weights[synonym] / self.weight)
            for synonym in synonyms_of(word)
        }


class _Text:
    """A chunk's terms, by where they are."""

    def __init__(self, chunk: Chunk) -> None:
        above, _, own = chunk.heading.rpartition(" > ")
        fields = {
            "text": chunk.terms.split(),
            "heading": terms(own or chunk.title),
            "above": terms(f"{above} {chunk.title if own else ''}"),
            "name": terms(chunk.name),
        }
        self.chunk = chunk.pk
        self.document = chunk.document_id
        self._counts = {field: Counter(found) for field, found in fields.items()}
        self.lengths = {field: counts.total() for field, counts in self._counts.items()}

    def find(self, wanted: _Wanted) -> dict[str, float]:
        """Return how often a word or a similar one is in each field."""
        return {field: self._like(self._counts[field], wanted) for field in FIELDS}

    def occurrences(self, found: Mapping[str, float], means: Mapping[str, float]) -> float:
        """Return how much what find() has found counts: headings count more, long fields less."""
        return sum(
            weight
            * found[field]
            / (1 - LENGTH + LENGTH * self.lengths[field] / (means[field] or 1.0))
            for field, weight in FIELDS.items()
        )

    def like(self, wanted: _Wanted) -> tuple[str, ...]:
        """Return the stems by which find() finds a word: its own, synonyms, longer ones."""
        known = sorted(set().union(*self._counts.values()))
        return tuple(
            stem
            for stem in known
            if stem == wanted.stem
            or stem in wanted.synonyms
            or (len(wanted.stem) >= PREFIX_LENGTH and stem.startswith(wanted.stem))
        )

    def _like(self, counts: Counter[str], wanted: _Wanted) -> float:
        found = float(counts[wanted.stem])
        found += sum(share * counts[synonym] for synonym, share in wanted.synonyms.items())
        if len(wanted.stem) >= PREFIX_LENGTH:
            found += PREFIX * sum(
                count
                for word, count in counts.items()
                if word.startswith(wanted.stem) and word != wanted.stem
            )
        return found


def synonyms_of(word: str) -> Sequence[str]:
    """Return the synonyms of a word in any of its forms."""
    return _by_stem().get(stem(word), ())


@cache
def _by_stem() -> dict[str, tuple[str, ...]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for word, synonyms in SYNONYMS.items():
        found[stem(word)].update(each for each in synonyms if stem(each) != stem(word))
    return {word: tuple(sorted(others)) for word, others in found.items()}
