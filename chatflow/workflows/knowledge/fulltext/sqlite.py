"""SQLite: an FTS5 table that triggers keep up to date. Migration 0004 makes all of them."""

from collections.abc import Sequence
from typing import Any

from chatflow.workflows.db import connection
from chatflow.workflows.knowledge.fulltext.base import CAP, FullText, Group
from chatflow.workflows.knowledge.words import stem

TABLE = "knowledge_chunk_text"
# By the columns of the table: the audience is no reason to be a better match.
WEIGHTS = "0.0, 8.0, 1.0"
# A chunk is scored when it is looked at: the limit is what bounds the cost. The audience is no part
# of the match here, for bm25() counts all rows that have it.
LOOKED_AT = (
    f"SELECT id, score FROM (SELECT chunk.id, bm25({TABLE}, {WEIGHTS}) AS score"
    f" FROM {TABLE} CROSS JOIN knowledge_chunk chunk ON chunk.id = {TABLE}.rowid"
    f" WHERE {TABLE} MATCH %s AND chunk.audience IN ({{places}}) LIMIT %s)"
)


class Sqlite(FullText):
    def counts(self, words: Sequence[str], audiences: Sequence[str]) -> dict[str, int]:
        counts = {}
        who = " OR ".join(f'"{audience}"' for audience in audiences)
        with connection.cursor() as cursor:
            for word in words:
                cursor.execute(
                    f"SELECT count(*) FROM (SELECT 1 FROM {TABLE} WHERE {TABLE} MATCH %s LIMIT %s)",
                    [f'(audience : ({who})) AND ({{topics terms}} : ("{stem(word)}"))', CAP],
                )
                [counts[word]] = cursor.fetchone()
        return counts

    def best(
        self,
        groups: Sequence[Group],
        audiences: Sequence[str],
        limit: int,
        *,
        every: bool = False,
        also: Sequence[Group] = (),
    ) -> list[int]:
        query = (" AND " if every else " OR ").join(f"({_any_of(group)})" for group in groups)
        if also:
            # bm25() counts what the query names.
            better = " OR ".join(f"({_any_of(group)})" for group in [*groups, *also])
            query = f"({query}) AND ({better})"
        looked_at = LOOKED_AT.format(places=", ".join(["%s"] * len(audiences)))
        about: list[Any] = [f"topics : ({query})", *audiences, CAP]
        having: list[Any] = [f"{{topics terms}} : ({query})", *audiences, CAP]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM ({looked_at} UNION ALL {looked_at})"
                " GROUP BY id ORDER BY min(score), id LIMIT %s",
                [*about, *having, limit],
            )
            return [chunk for (chunk,) in cursor]


def _any_of(words: Sequence[str]) -> str:
    """Return an FTS5 query. Words have no quotes in them, so that quotes are enough."""
    return " OR ".join(f'"{stem(word)}" *' for word in words)
