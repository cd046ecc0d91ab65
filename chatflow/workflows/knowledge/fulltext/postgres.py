"""PostgreSQL: generated tsvectors with GIN indexes. Migration 0004 makes them."""

from collections.abc import Sequence
from typing import Any

from chatflow.workflows.db import connection
from chatflow.workflows.knowledge.fulltext.base import CAP, FullText, Group
from chatflow.workflows.knowledge.words import stem

COUNTS = """
    SELECT word, (
        SELECT count(*) FROM (
            SELECT 1 FROM knowledge_chunk
            WHERE search @@ to_tsquery('simple', term) AND audience = ANY(%s) LIMIT %s
        ) AS found
    ) FROM unnest(%s::text[], %s::text[]) AS asked (word, term)
"""
# The weights are those of terms and topics. 1: a long text needs more occurrences.
BEST = """
    WITH candidate AS MATERIALIZED (
        (SELECT id, search FROM knowledge_chunk
         WHERE topic @@ to_tsquery('simple', %s) AND audience = ANY(%s) LIMIT %s)
        UNION ALL
        (SELECT id, search FROM knowledge_chunk
         WHERE search @@ to_tsquery('simple', %s) AND audience = ANY(%s) LIMIT %s)
    )
    SELECT id FROM candidate
    GROUP BY id, search
    ORDER BY ts_rank_cd('{0.1, 0, 0, 0.8}', search, to_tsquery('simple', %s), 1) DESC, id
    LIMIT %s
"""


class Postgres(FullText):
    may_have_pgvector = True

    def counts(self, words: Sequence[str], audiences: Sequence[str]) -> dict[str, int]:
        terms = [_term(word) for word in words]
        with connection.cursor() as cursor:
            cursor.execute(COUNTS, [list(audiences), CAP, list(words), terms])
            return dict(cursor.fetchall())

    def best(
        self,
        groups: Sequence[Group],
        audiences: Sequence[str],
        limit: int,
        *,
        every: bool = False,
        also: Sequence[Group] = (),
    ) -> list[int]:
        query = _query(groups, " & " if every else " | ")
        rank = _query([*groups, *also], " | ")
        looked_at: list[Any] = [query, list(audiences), CAP]
        with connection.cursor() as cursor:
            cursor.execute(BEST, [*looked_at, *looked_at, rank, limit])
            return [chunk for (chunk,) in cursor]


def _query(groups: Sequence[Group], operator: str) -> str:
    """Return what to_tsquery() reads."""
    return operator.join(
        f"({' | '.join(f'{_term(word)}:*' for word in group)})" for group in groups
    )


def _term(word: str) -> str:
    """Return the stem as an operand; words have letters, digits and marks only."""
    return f"'{stem(word)}'"
