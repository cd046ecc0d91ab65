"""Meaning beside words: over HTTP, with a server on loopback."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from chatflow.workflows.knowledge import embeddings, vectors
from chatflow.workflows.knowledge.models import Chunk
from chatflow.workflows.knowledge.search import search
from tests.configure import configure
from tests.workflows.knowledge.conftest import Shelve
from tests.workflows.knowledge.embeddings_server import EmbeddingsServer, embeddings_server

MODEL = "openai:text-embedding-3-small"


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingsServer]:
    configure(settings, AI_EMBEDDING_MODEL=MODEL)
    with embeddings_server() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield running


@pytest.fixture(params=["numpy", "pgvector"])
def store(request: pytest.FixtureRequest, db: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep vectors in each of the two ways, where the database has both."""
    kind = str(request.param)
    if kind == "numpy":
        monkeypatch.setattr(vectors, "_has_pgvector", lambda: False)
    elif not vectors._has_pgvector():
        pytest.skip("The database has no pgvector.")
    else:
        check_at_once()
    return kind


def check_at_once() -> None:
    """Let a table be altered in the transaction that wrote to it, which a test never commits."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def titles(query: str, user: User) -> list[str]:
    return [source.title for source in search(query, user=user)]


def test_meaning_finds_what_words_do_not(
    store: str, server: EmbeddingsServer, shelve: Shelve, alice: User
) -> None:
    shelve("# Garage\nThe automobile stands here.")
    shelve("# Kitchen\nThe loaf is hot.")
    found = search("Where is my vehicle?", user=alice)
    assert found[0].title == "Garage"
    assert found[0].relevance > 90 > found[-1].relevance
    assert Chunk.objects.filter(embedded_by=MODEL).count() == 2


def test_words_and_meaning_are_blended(
    store: str, server: EmbeddingsServer, shelve: Shelve, alice: User
) -> None:
    shelve("# Word\nThe Gullwing is rare.")
    shelve("# Meaning\nAny automobile.")
    shelve("# Both\nThe Gullwing: what a Gullwing, and what a car.")
    assert titles("gullwing vehicle", alice)[0] == "Both"
    assert set(titles("gullwing vehicle", alice)) == {"Word", "Meaning", "Both"}


def test_who_sees_what(
    store: str, server: EmbeddingsServer, shelve: Shelve, alice: User, bob: User
) -> None:
    shelve("\n".join(f"# Alice's {number}\nautomobile" for number in range(60)), alice)
    shelve("# Bob's\nThe loaf, and an automobile.", bob)
    assert titles("vehicle", bob) == ["Bob's"]
    assert len(search("vehicle", user=alice)) == 5


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (401, b"{}"), (200, b"garbage"), (200, b'{"data": []}')],
)
def test_when_the_provider_fails_words_answer(
    status: int,
    body: bytes,
    server: EmbeddingsServer,
    shelve: Shelve,
    alice: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.status, server.body = status, body
    shelve("# Garage\nThe automobile stands here.")
    assert titles("automobile", alice) == ["Garage"]
    assert "Stored without embeddings" in caplog.text
    assert "Searching by words alone" in caplog.text


def test_a_silent_provider_is_not_waited_for(
    server: EmbeddingsServer, shelve: Shelve, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelve("# Garage\nThe automobile stands here.")
    monkeypatch.setitem(embeddings.PATIENCE, "query", 0.05)
    server.stall = threading.Event()
    try:
        assert titles("automobile", alice) == ["Garage"]
    finally:
        server.stall.set()


def test_what_is_missing_is_made_up_for(
    store: str, server: EmbeddingsServer, shelve: Shelve, alice: User, settings: Any
) -> None:
    configure(settings, AI_EMBEDDING_MODEL="")
    shelve("# Garage\nautomobile")
    assert (titles("vehicle", alice), server.asked) == ([], [])
    configure(settings, AI_EMBEDDING_MODEL=MODEL)
    assert embeddings.embed_missing(Chunk.objects.all()) == 0
    assert titles("vehicle", alice) == ["Garage"]
    configure(settings, AI_EMBEDDING_MODEL="openai:another")
    assert titles("vehicle", alice) == []


def test_many_chunks_go_in_batches(
    store: str, server: EmbeddingsServer, shelve: Shelve, alice: User
) -> None:
    shelve("\n".join(f"# Part {number}\nbread" for number in range(70)) + "\n# End\nautomobile")
    assert [len(texts) for texts in server.asked] == [embeddings.BATCH, 71 - embeddings.BATCH]
    assert titles("vehicle", alice)[0].endswith("End")


def test_numpy_takes_the_best_of_all_batches(
    server: EmbeddingsServer, shelve: Shelve, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "_has_pgvector", lambda: False)
    monkeypatch.setattr(vectors, "BATCH", 2)
    shelve("\n".join(f"# Part {number}\nbread" for number in range(5)) + "\n# End\nautomobile")
    assert titles("vehicle", alice)[0].endswith("End")


@pytest.mark.postgresql
def test_pgvector_may_come_later(server: EmbeddingsServer, shelve: Shelve, alice: User) -> None:
    if not vectors._has_pgvector():
        pytest.skip("The database has no pgvector.")
    check_at_once()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE knowledge_chunk DROP COLUMN vector")
    shelve("# Garage\nautomobile")
    vectors.prepare()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM knowledge_chunk WHERE vector IS NOT NULL")
        assert cursor.fetchone() == (1,)
    assert titles("vehicle", alice) == ["Garage"]
