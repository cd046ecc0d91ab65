"""How well chunks fit a question: one formula, whatever database has found them.

It is BM25F: words that few chunks have say more, each further occurrence says less, and a heading's
words count as several of the text's. A word is met by its stem, by a synonym, or by a longer word
that begins with it, such as "createuser" for "create". A chunk of a document that fits as a whole
is preferred.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

import snowballstemmer

from workflows.knowledge.models import Chunk
from workflows.knowledge.stopwords import STOP_WORDS
from workflows.knowledge.synonyms import SYNONYMS

# What an occurrence counts, by where it is.
FIELDS = {"text": 1.0, "heading": 5.0, "above": 1.0, "name": 1.0}
SYNONYM = PREFIX = 0.5
PREFIX_LENGTH = 4
# Occurrences that are half as good as any number of them.
SATURATION = 2.0
# How much the length of a field counts: 0 not at all, 1 fully.
LENGTH = 0.5
# The share of the document's best chunks in the score of each chunk of it.
DOCUMENT = 0.5
DOCUMENT_BEST = 3
# The score of a text that answers a question beyond doubt.
FULL = 0.9

# Words of a question that are looked at.
MOST_WORDS = 32
WORD_LENGTH = 50

_stemmer = snowballstemmer.stemmer("english")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    return str(_stemmer.stemWord(word))


def words_of(query: str) -> list[str]:
    """Return the words of *query* that say what it is about, each once."""
    words = re.findall(r"[^\W_]+", query.lower())
    telling = [word[:WORD_LENGTH] for word in words if len(word) > 1 and word not in STOP_WORDS]
    return list({stem(word): word for word in reversed(telling)}.values())[::-1][:MOST_WORDS]


def relevance(weights: Mapping[str, float], chunks: Iterable[Chunk]) -> dict[int, float]:
    """Return how well each of *chunks* fits, 0 to 1, the best first; those that don't are left out.

    Args:
        weights: the question's words, and how much each of them says.
        chunks: the index's matches.
    """
    texts = [_Text(chunk) for chunk in chunks]
    means = {
        field: sum(text.lengths[field] for text in texts) / max(1, len(texts)) for field in FIELDS
    }
    total = sum(weights.values())
    scores = {
        text: sum(
            weight * _saturated(text.occurrences(stem(word), means))
            for word, weight in weights.items()
        )
        / total
        for text in texts
    }
    by_document: dict[object, list[float]] = defaultdict(list)
    for text, score in scores.items():
        by_document[text.document].append(score)
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
    return {chunk: min(1.0, score / FULL) for chunk, score in best}


def _saturated(occurrences: float) -> float:
    return occurrences / (occurrences + SATURATION)


class _Text:
    """A chunk's words, by where they are."""

    def __init__(self, chunk: Chunk) -> None:
        above, _, own = chunk.heading.rpartition(" > ")
        fields = {
            "text": chunk.text,
            "heading": own or chunk.title,
            "above": f"{above} {chunk.title if own else ''}",
            "name": chunk.name,
        }
        self.chunk = chunk.pk
        self.document = chunk.document_id
        self._counts = {
            field: Counter(map(stem, re.findall(r"[^\W_]+", text.lower())))
            for field, text in fields.items()
        }
        self.lengths = {field: counts.total() for field, counts in self._counts.items()}

    def occurrences(self, wanted: str, means: Mapping[str, float]) -> float:
        """Return how often the stem *wanted* or a similar one occurs, headings counting more."""
        return sum(
            weight
            * self._like(self._counts[field], wanted)
            / (1 - LENGTH + LENGTH * self.lengths[field] / (means[field] or 1.0))
            for field, weight in FIELDS.items()
        )

    def _like(self, counts: Counter[str], wanted: str) -> float:
        found = float(counts[wanted])
        found += SYNONYM * sum(counts[stem(synonym)] for synonym in SYNONYMS_OF.get(wanted, ()))
        if len(wanted) >= PREFIX_LENGTH:
            found += PREFIX * sum(
                count
                for word, count in counts.items()
                if word.startswith(wanted) and word != wanted
            )
        return found


def _by_stem() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for word, synonyms in SYNONYMS.items():
        found[stem(word)].update(each for each in synonyms if stem(each) != stem(word))
    return found


SYNONYMS_OF = {word: tuple(sorted(others)) for word, others in _by_stem().items()}
