"""Meaning as vectors, from the provider that ``AI_EMBEDDING_MODEL`` names; nothing without one.

A provider that is down never stands in the way: a search then goes by words alone, and a document
is stored without vectors, which the next ``manage.py ingest`` adds.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Literal

from django.db.models import QuerySet

from chatflow.conf import conf
from chatflow.workflows.exceptions import first_line
from chatflow.workflows.knowledge import vectors
from chatflow.workflows.knowledge.models import Chunk

logger = logging.getLogger(__name__)

# Seconds that a provider has for a question, which somebody waits for, and for a batch of chunks.
PATIENCE = {"query": 5.0, "document": 30.0}
BATCH = 64


def nearest(query: str, audiences: Sequence[str], limit: int) -> dict[int, float]:
    """Return the chunks whose meaning is nearest to the query's, the nearest first.

    Returns:
        Their primary keys, and how near they are: the cosine, 0 to 1. Nothing where no model is
        configured, or its provider doesn't answer.
    """
    model = conf.AI_EMBEDDING_MODEL
    if not model or not query.strip():
        return {}
    try:
        [vector] = _embed(model, [query], "query")
    except Exception as error:
        logger.warning("Searching by words alone: %s failed: %s", model, first_line(error))
        return {}
    return vectors.nearest(vector, model, audiences, limit)


def embed_missing(chunks: "QuerySet[Chunk]") -> int:
    """Give a vector of the present model to those of *chunks* that have none.

    Returns:
        How many are still without one, because the provider failed.
    """
    model = conf.AI_EMBEDDING_MODEL
    if not model:
        return 0
    missing = chunks.exclude(embedded_by=model).order_by("pk")
    try:
        # Asked anew each time: no cursor stays open while the table may get an index.
        while batch := list(missing.defer("embedding")[:BATCH]):
            texts = [f"{chunk.label}\n\n{chunk.text}" for chunk in batch]
            vectors.write(batch, _embed(model, texts, "document"), model)
    except Exception as error:
        logger.warning("Stored without embeddings: %s failed: %s", model, first_line(error))
    return missing.count()


def _embed(
    model: str, texts: Sequence[str], kind: Literal["query", "document"]
) -> Sequence[Sequence[float]]:
    """Ask the provider; each call has a client of its own, as each has a loop of its own."""
    from pydantic_ai.embeddings import infer_embedding_model
    from pydantic_ai.providers import Provider, infer_provider

    async def ask() -> Sequence[Sequence[float]]:
        providers: list[Provider[object]] = []

        def provide(name: str) -> Provider[object]:
            providers.append(infer_provider(name))
            return providers[0]

        asked = infer_embedding_model(model, provider_factory=provide)
        async with asyncio.timeout(PATIENCE[kind]), providers[0]:
            result = await asked.embed(list(texts), input_type=kind)
        if len(result.embeddings) != len(texts):
            raise ValueError("The provider returned another number of vectors than of texts.")
        return result.embeddings

    return asyncio.run(ask())
