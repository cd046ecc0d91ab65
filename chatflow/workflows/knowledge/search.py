"""One search: words by full text, meaning by embeddings where there are any, blended."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet, Sum

from chatflow.workflows.knowledge import embeddings
from chatflow.workflows.knowledge.excerpts import MARKS, excerpt
from chatflow.workflows.knowledge.fulltext import CAP, full_text
from chatflow.workflows.knowledge.languages import shares, stop_words
from chatflow.workflows.knowledge.models import EVERYBODY, Chunk, Document, audience_of
from chatflow.workflows.knowledge.ranking import relevance, synonyms_of
from chatflow.workflows.knowledge.words import words_of

# Sources that a search returns, unless its caller says how many.
FOUND = 5
# Chunks that each of the two ways brings into the blend.
POOL = 50
# Of fewer chunks than these no word is rare: one that is nowhere says little more than another.
FEW = 100
# A passage of the conversation's own documents that is as relevant as this, of 1, comes first.
PREFERRED = 0.3
# As the paper on reciprocal rank fusion has it.
FUSION = 60
PREVIEW_LENGTH = 300
MARKED = re.compile(f"{MARKS[0]}([^{MARKS[0]}{MARKS[1]}]*){MARKS[1]}")


@dataclass(frozen=True)
class Source:
    """A part of a document that fits a question.

    Args:
        id: which document, and which of its chunks, such as ``0f8b…-3``.
        title: of the document, and the headings that the text stands under.
        url: where people read it.
        relevance: 0 to 100, comparable between searches: how much of the question the text covers,
            words that few documents have counting more. Without a word in common, how near the
            meaning is.
        content_preview: where it does, as plain text. Whoever shows it as HTML has to escape it.
        text: the whole chunk, for a prompt; see ``prompting.as_data()``.
        highlights: the words of the preview that fit, as they stand there.
    """

    id: str
    title: str
    url: str
    relevance: int
    content_preview: str
    text: str
    highlights: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for a client, as in an answer's ``sources``."""
        return {
            "id": self.id,
            "title": self.title,
            "url": self.url,
            "relevance": self.relevance,
            "content_preview": self.content_preview,
        }


@dataclass(frozen=True)
class Ranking:
    """What a question finds, and by which of the two ways.

    Args:
        words: the question's, as far as they say what it is about.
        weights: how much each of them says, and each of their synonyms.
        found: by the key of a chunk, how relevant it is by the words it has; the best first.
        near: likewise how near its meaning is.
        best: the keys of the chunks of both, in the order of the answer.
        own: those of them that come first, because they belong to the conversation.
        chunks: those that the user may see.
    """

    words: Sequence[str]
    weights: Mapping[str, float]
    found: Mapping[int, float]
    near: Mapping[int, float]
    best: Sequence[int]
    own: frozenset[int]
    chunks: "QuerySet[Chunk]"

    def relevance_of(self, chunk: int) -> float:
        return max(self.found.get(chunk, 0.0), self.near.get(chunk, 0.0))


def warm_up() -> None:
    """Make the lists of words that else the first search does."""
    stop_words()
    synonyms_of("")


def search(
    query: str, *, user: Any, tenant: str = "", session_id: int | None = None, limit: int = FOUND
) -> list[Source]:
    """Return the passages on *query* in documents that *user* may see, the best first.

    Args:
        query: a question or some words; whatever it is, it is no error.
        user: who is asking.
        tenant: the organisation for which they act; empty for none.
        session_id: the key of the conversation that it is asked in, whose own documents are found
            too, and first.
        limit: how many sources.
    """
    ranking = rank(query, user=user, tenant=tenant, session_id=session_id)
    best = ranking.best[: max(0, limit)]
    rows = ranking.chunks.in_bulk(best)
    return [
        _source(rows[key], ranking.relevance_of(key), ranking.words) for key in best if key in rows
    ]


def rank(query: str, *, user: Any, tenant: str = "", session_id: int | None = None) -> Ranking:
    """Return what search() goes by, for whoever wants to know why; the arguments are the same."""
    audiences = [EVERYBODY, audience_of(user.pk, tenant=tenant)]
    if tenant:
        audiences.append(audience_of(None, tenant=tenant))
    if session_id is not None:
        audiences.append(audience_of(user.pk, session_id))
    words = words_of(query)
    # The index knows whom it answers; the documents themselves have the last word.
    documents = Document.objects.found_in(user, tenant, session_id)
    chunks = Chunk.objects.filter(document__in=documents)
    chunks = chunks.select_related("document").defer("embedding", "document__content")
    weights: Mapping[str, float] = {}
    found: Mapping[int, float] = {}
    if words:
        weights, found = _by_words(query, words, documents, chunks, audiences)
    near = embeddings.nearest(query, audiences, POOL)
    best = _blended(found, near)
    own: frozenset[int] = frozenset()
    if session_id is not None:
        keys = chunks.filter(pk__in=best, document__session=session_id)
        own = frozenset(
            key
            for key in keys.values_list("pk", flat=True)
            if max(found.get(key, 0.0), near.get(key, 0.0)) >= PREFERRED
        )
        best.sort(key=lambda key: key not in own)
    return Ranking(words, weights, found, near, best, own, chunks)


def _by_words(
    query: str,
    words: Sequence[str],
    documents: "QuerySet[Document]",
    chunks: "QuerySet[Chunk]",
    audiences: Sequence[str],
) -> tuple[dict[str, float], dict[int, float]]:
    """Return how much words say, and how relevant chunks are by them, 0 to 1, the best first."""
    synonyms = {synonym for word in words for synonym in synonyms_of(word)}
    counts = full_text().counts([*words, *synonyms.difference(words)], audiences)
    # By documents, which are fewer than their chunks.
    total = max(FEW, documents.aggregate(chunks=Sum("chunk_count"))["chunks"] or 0)
    # What BM25 calls the inverse document frequency. A word that is nowhere says most of all:
    # who asks for it isn't answered by a text that lacks it.
    weights = {word: math.log(1 + (total + 0.5) / (has + 0.5)) for word, has in counts.items()}
    asked = {word: counts[word] for word in words}
    weights.update({word: share * weights[word] for word, share in shares(query, asked).items()})
    candidates = _candidates(asked, audiences)
    return weights, relevance(words, weights, chunks.in_bulk(candidates).values())


def _candidates(counts: Mapping[str, int], audiences: Sequence[str]) -> list[int]:
    """Let the rarest words find, as many of them as stay cheap; the others only rank."""
    rarest = sorted(counts, key=lambda word: counts[word])
    groups = [[word, *synonyms_of(word)] for word in rarest]
    if counts[rarest[0]] >= CAP:
        # No word is rare: then it is their meeting that says something.
        together = full_text().best(groups, audiences, POOL, every=True)
        if together:
            return together
    cheap, budget = 1, CAP - counts[rarest[0]]
    for word in rarest[1:]:
        budget -= counts[word]
        cheap += budget >= 0
    # Where all that they find comes into the pool, the others needn't rank it.
    also = groups[cheap:] if counts[rarest[0]] > POOL else []
    return full_text().best(groups[:cheap], audiences, POOL, also=also)


def _blended(found: Mapping[int, float], near: Mapping[int, float]) -> list[int]:
    """Return the chunks of both orders, by reciprocal rank fusion: a good place in each counts."""
    scores: dict[int, float] = {}
    for order in (found, near):
        for place, chunk in enumerate(order, 1):
            scores[chunk] = scores.get(chunk, 0.0) + 1 / (FUSION + place)
    return sorted(scores, key=lambda chunk: -scores[chunk])


def _source(chunk: Chunk, relevance: float, words: Sequence[str]) -> Source:
    marked = excerpt(chunk.text, words)
    highlights = list(dict.fromkeys(MARKED.findall(marked)))
    page = chunk.document.page
    preview = " ".join(MARKED.sub(r"\1", marked).split())
    return Source(
        id=f"{chunk.document_id}-{chunk.position}",
        title=chunk.label,
        url=chunk.document.url or (page and f"{page}#chunk-{chunk.position}"),
        relevance=round(100 * relevance),
        content_preview=preview[:PREVIEW_LENGTH],
        text=chunk.text,
        highlights=highlights,
    )
