"""The page that shows what a question would find, for whom, and why."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from chatflow.workflows.knowledge import embeddings
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Chunk
from chatflow.workflows.knowledge.search import search
from tests.configure import configure

pytestmark = pytest.mark.django_db

URL = "/admin/chatflow_knowledge/document/find/"


def find(client: Client, **query: str) -> list[Any]:
    response = client.get(URL, query)
    assert response.status_code == 200
    return response.context["hits"] or []


def test_it_works(boss: Client, alice: User) -> None:
    manual = b"# Backups\nMake a dump <script> each night.\n# Fees\nNothing is free."
    store(manual, "text/markdown", owner=None, title="Manual")
    store(b"A backup of my own.", "text/plain", owner=alice, title="Mine")
    question = "How do I backup my dumpings?"
    assert [hit.title for hit in find(boss, q=question)] == ["Manual > Backups"]
    hits = find(boss, q=question, user="alice")
    expected = [source.title for source in search(question, user=alice)]
    assert [hit.title for hit in hits] == expected
    assert [hit.rank for hit in hits] == [1, 2]
    [manual_hit] = (hit for hit in hits if hit.title == "Manual > Backups")
    how = {match.word: match.how for match in manual_hit.matches}
    assert how["backup"].startswith("itself, the synonym “dump”: in the text and heading")
    assert sum(match.percent for match in manual_hit.matches) in (99, 100, 101)
    text = boss.get(URL, {"q": question}).content.decode()
    assert "&lt;script&gt;" in text
    assert "<mark>dump</mark>" in text
    assert find(boss, q="zebra") == []
    for query in ({}, {"q": ""}, {"q": "x", "user": "nobody"}, {"q": "\0"}, {"q": "?"}):
        assert boss.get(URL, query).status_code == 200


def test_within_a_document(boss: Client, alice: User, bob: User) -> None:
    common, _ = store(b"About backups: backups, backups.", "text/plain", owner=None)
    mine, _ = store(b"One backup.", "text/plain", owner=alice, title="Mine")
    hits = find(boss, q="backups", user="alice", document=str(mine.pk))
    assert [(hit.rank, hit.title) for hit in hits] == [(2, "Mine")]
    assert find(boss, q="backups", user="bob", document=str(mine.pk)) == []
    said = boss.get(URL, {"q": "x", "user": "bob", "document": str(mine.pk)}).content.decode()
    assert "bob may not find this document" in said
    said = boss.get(URL, {"q": "zebra", "document": str(common.pk)}).content.decode()
    assert "None of its passages was found." in said


def test_meaning(boss: Client, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    store(b"Felines sleep.", "text/plain", owner=None, title="Cats")
    configure(settings, AI_EMBEDDING_MODEL="openai:any")
    monkeypatch.setattr(embeddings, "nearest", lambda *asked: {Chunk.objects.get().pk: 0.83})
    [hit] = find(boss, q="kitten")
    assert (hit.by_words, hit.by_meaning, hit.places) == (None, 83, (None, 1))
    assert "83 of 100, place 1" in boss.get(URL, {"q": "kitten"}).content.decode()


def test_texts_of_users_are_hidden_from_who_may_not_read_them(
    staff: Callable[..., Client], alice: User
) -> None:
    store(b"my secret backup", "text/plain", owner=alice, title="Private")
    query = {"q": "backup", "user": "alice"}
    text = staff("view_document").get(URL, query).content.decode()
    assert "(hidden" in text
    assert not [word for word in ("Private", "secret") if word in text]
    assert "secret" in staff("view_document", "read_texts").get(URL, query).content.decode()
    assert staff("view_job").get(URL, query).status_code == 403
