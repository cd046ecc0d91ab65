"""SQLite: an FTS5 table that triggers keep up to date. Migration 0002 makes all of them."""

from collections.abc import Sequence

from django.db import connection

from workflows.knowledge.fulltext.base import CAP, MARKS, FullText, Group

TABLE = "knowledge_chunk_text"
# By the columns of the table: the audience is no reason to be a better match.
WEIGHTS = "0.0, 2.0, 2.0, 8.0, 1.0"
TEXT_COLUMN = 4
COLUMNS = "{title name heading text}"


class Sqlite(FullText):
    def counts(self, words: Sequence[str], audiences: Sequence[str]) -> dict[str, int]:
        counts = {}
        with connection.cursor() as cursor:
            for word in words:
                cursor.execute(
                    f"SELECT count(*) FROM (SELECT 1 FROM {TABLE} WHERE {TABLE} MATCH %s LIMIT %s)",
                    [_match(f'"{word}"', audiences), CAP],
                )
                [counts[word]] = cursor.fetchone()
        return counts

    def best(
        self, groups: Sequence[Group], audiences: Sequence[str], limit: int, *, every: bool = False
    ) -> list[int]:
        query = (" AND " if every else " OR ").join(f"({_any_of(group)})" for group in groups)
        with connection.cursor() as cursor:
            # A chunk is scored when it is looked at: the inner limit is what bounds the cost. The
            # audience is no part of the match here, for bm25() counts all rows that have it.
            places = ", ".join(["%s"] * len(audiences))
            cursor.execute(
                f"SELECT id FROM (SELECT chunk.id, bm25({TABLE}, {WEIGHTS}) AS score"
                f" FROM {TABLE} CROSS JOIN knowledge_chunk chunk ON chunk.id = {TABLE}.rowid"
                f" WHERE {TABLE} MATCH %s AND chunk.audience IN ({places}) LIMIT %s)"
                " ORDER BY score, id LIMIT %s",
                [f"{COLUMNS} : ({query})", *audiences, CAP, limit],
            )
            return [chunk for (chunk,) in cursor]

    def excerpts(self, chunks: Sequence[int], words: Sequence[str]) -> dict[int, str]:
        places = ", ".join(["%s"] * len(chunks))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT rowid, snippet({TABLE}, {TEXT_COLUMN}, %s, %s, '…', 40)"
                f" FROM {TABLE} WHERE {TABLE} MATCH %s AND rowid IN ({places})",
                [*MARKS, f"text : ({_any_of(words)})", *chunks],
            )
            return dict(cursor.fetchall())


def _match(query: str, audiences: Sequence[str]) -> str:
    who = " OR ".join(f'"{audience}"' for audience in audiences)
    return f"(audience : ({who})) AND ({COLUMNS} : ({query}))"


def _any_of(words: Sequence[str]) -> str:
    """Return an FTS5 query. Words have letters and digits only, so that quotes are enough."""
    return " OR ".join(f'"{word}" *' for word in words)
