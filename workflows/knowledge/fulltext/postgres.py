"""PostgreSQL: a generated tsvector with a GIN index. Migration 0002 makes both."""

from collections.abc import Sequence

from django.db import connection

from workflows.knowledge.fulltext.base import CAP, MARKS, FullText, Group

COUNTS = """
    SELECT word, (
        SELECT count(*) FROM (
            SELECT 1 FROM knowledge_chunk
            WHERE search @@ plainto_tsquery('english', word) AND audience = ANY(%s) LIMIT %s
        ) AS found
    ) FROM unnest(%s::text[]) AS word
"""
# The weights are those of text, name, title and heading. 1: a long text needs more occurrences.
BEST = """
    WITH candidate AS MATERIALIZED (
        SELECT id, search FROM knowledge_chunk
        WHERE search @@ to_tsquery('english', %s) AND audience = ANY(%s) LIMIT %s
    )
    SELECT id FROM candidate
    ORDER BY ts_rank_cd('{0.1, 0.2, 0.2, 0.8}', search, to_tsquery('english', %s), 1) DESC, id
    LIMIT %s
"""
EXCERPTS = """
    SELECT id, ts_headline('english', text, to_tsquery('english', %s), %s)
    FROM knowledge_chunk WHERE id = ANY(%s)
"""


class Postgres(FullText):
    may_have_pgvector = True

    def counts(self, words: Sequence[str], audiences: Sequence[str]) -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(COUNTS, [list(audiences), CAP, list(words)])
            return dict(cursor.fetchall())

    def best(
        self, groups: Sequence[Group], audiences: Sequence[str], limit: int, *, every: bool = False
    ) -> list[int]:
        query = _query(groups, " & " if every else " | ")
        with connection.cursor() as cursor:
            cursor.execute(BEST, [query, list(audiences), CAP, query, limit])
            return [chunk for (chunk,) in cursor]

    def excerpts(self, chunks: Sequence[int], words: Sequence[str]) -> dict[int, str]:
        start, stop = MARKS
        options = f"StartSel={start}, StopSel={stop}, MaxWords=40, MinWords=25"
        with connection.cursor() as cursor:
            cursor.execute(EXCERPTS, [_query([words], " | "), options, list(chunks)])
            return dict(cursor.fetchall())


def _query(groups: Sequence[Group], operator: str) -> str:
    """Return what to_tsquery() reads. Words are letters and digits, so none is an operator."""
    return operator.join(f"({' | '.join(f'{word}:*' for word in group)})" for group in groups)
