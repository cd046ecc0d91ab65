"""Where vectors are kept and compared: pgvector where the database has it, else numpy.

The bytes in the chunk's row are there in any case, so that pgvector can come and go.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from django.db import ProgrammingError

from chatflow.workflows.db import atomic, connection
from chatflow.workflows.knowledge.fulltext import full_text
from chatflow.workflows.knowledge.models import Chunk

# Rows that numpy looks at in one go.
BATCH = 2000
# Dimensions up to which pgvector has an index; it searches all rows beyond.
INDEXED = 2000


def write(chunks: Sequence[Chunk], vectors: Sequence[Sequence[float]], model: str) -> None:
    """Keep the vectors of *chunks*, which *model* made."""
    for chunk, vector in zip(chunks, vectors, strict=True):
        chunk.embedding = _unit(vector).tobytes()
        chunk.embedded_by = model
    with atomic():
        Chunk.objects.bulk_update(chunks, ["embedding", "embedded_by"], batch_size=200)
        if _has_pgvector():
            _copy(chunks)


def nearest(
    vector: Sequence[float], model: str, audiences: Sequence[str], limit: int
) -> dict[int, float]:
    """Return the nearest of the chunks that *model* made a vector for, and their cosines."""
    unit = _unit(vector)
    find = _nearest_by_pgvector if _has_pgvector() else _nearest_by_numpy
    found = find(unit, model, audiences, limit)
    return {chunk: min(1.0, max(0.0, cosine)) for chunk, cosine in found}


def _unit(vector: Sequence[float]) -> Any:
    """Return the vector with a length of 1, so that a product is a cosine."""
    import numpy

    array = numpy.asarray(vector, dtype="<f4")
    length = float(numpy.linalg.norm(array))
    if array.ndim != 1 or not 0 < length < float("inf"):
        raise ValueError("A vector must have a direction.")
    return array / numpy.float32(length)


# numpy


def _nearest_by_numpy(
    unit: Any, model: str, audiences: Sequence[str], limit: int
) -> list[tuple[int, float]]:
    import numpy

    rows = Chunk.objects.filter(audience__in=audiences, embedded_by=model)
    best: list[tuple[int, float]] = []
    keys: list[int] = []
    vectors: list[bytes] = []

    def take() -> None:
        matrix = numpy.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(keys), -1)
        best.extend(zip(keys, map(float, matrix @ unit), strict=True))
        best.sort(key=lambda pair: (-pair[1], pair[0]))
        del best[limit:]
        keys.clear()
        vectors.clear()

    for key, embedding in rows.values_list("pk", "embedding").iterator(chunk_size=BATCH):
        # A model of the same name that has changed its dimensions is another one.
        vector = bytes(embedding or b"")
        if len(vector) == unit.nbytes:
            keys.append(key)
            vectors.append(vector)
        if len(keys) == BATCH:
            take()
    if keys:
        take()
    return best


# pgvector. Its column is no field of the model's, since few databases have it.


def prepare(**kwargs: Any) -> None:
    """Give the chunks a column for pgvector where the database has the extension.

    Runs after each ``migrate``, so that the extension may come later than the tables.
    """
    if not full_text().may_have_pgvector or not _has_extension() or _has_pgvector():
        return
    with atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE knowledge_chunk ADD COLUMN vector vector")
        rows = Chunk.objects.exclude(embedding=None).only("pk", "embedding")
        found = rows.iterator(chunk_size=BATCH)
        while batch := list(islice(found, BATCH)):
            _copy(batch)


def _has_extension() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        if cursor.fetchone() is None:
            return False
        try:
            with atomic():
                cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except ProgrammingError:
            # Only a superuser may; the documentation says so.
            return False
        return True


def _has_pgvector() -> bool:
    if not full_text().may_have_pgvector:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_attribute WHERE attrelid = 'knowledge_chunk'::regclass"
            " AND attname = 'vector' AND NOT attisdropped"
        )
        return cursor.fetchone() is not None


def _copy(chunks: Iterable[Chunk]) -> None:
    import numpy

    arrays = [(each.pk, numpy.frombuffer(bytes(each.embedding or b""), "<f4")) for each in chunks]
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE knowledge_chunk SET vector = %s::vector WHERE id = %s",
            [(_literal(array), key) for key, array in arrays],
        )
    for size in {len(array) for _, array in arrays if len(array) <= INDEXED}:
        _index(size)


def _index(size: int) -> None:
    """Make the index for vectors of so many dimensions, unless it is there."""
    name = f"knowledge_chunk_vector_{size}"
    with connection.cursor() as cursor:
        # Even IF NOT EXISTS would wait for all that is being written.
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone() == (None,):
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {name} ON knowledge_chunk"
                f" USING hnsw ((vector::vector({size})) vector_ip_ops)"
                f" WHERE vector_dims(vector) = {size}"
            )


def _nearest_by_pgvector(
    unit: Any, model: str, audiences: Sequence[str], limit: int
) -> list[tuple[int, float]]:
    size = len(unit)
    with atomic(), connection.cursor() as cursor:
        # Others' chunks are passed over, however many are nearer.
        cursor.execute("SELECT set_config('hnsw.iterative_scan', 'strict_order', true)")
        cursor.execute(
            f"SELECT id, -(vector::vector({size}) <#> %s::vector({size})) AS cosine"
            f" FROM knowledge_chunk WHERE vector_dims(vector) = {size}"
            " AND embedded_by = %s AND audience = ANY(%s)"
            f" ORDER BY vector::vector({size}) <#> %s::vector({size}) LIMIT %s",
            [_literal(unit), model, list(audiences), _literal(unit), limit],
        )
        return [(chunk, cosine) for chunk, cosine in cursor]


def _literal(array: Any) -> str:
    return f"[{','.join(map(repr, map(float, array)))}]"
