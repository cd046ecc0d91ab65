"""Putting documents on the shelf."""

import pytest
from django.contrib.auth.models import User

from chatflow.workflows.knowledge.documents import reread, store
from chatflow.workflows.knowledge.models import Chunk, Document
from chatflow.workflows.knowledge.readers import Unreadable
from tests.workflows.knowledge.conftest import Shelve


def test_it_works(shelve: Shelve) -> None:
    document = shelve("# Deploy\nWords.\n## nginx\nMore.", path="/docs/how-to_deploy.md")
    assert (document.title, document.chunk_count) == ("Deploy", 2)
    chunks = Chunk.objects.order_by("position").values_list("title", "heading", "name", "audience")
    assert list(chunks) == [
        ("Deploy", "", "how to deploy", "all"),
        ("Deploy", "nginx", "how to deploy", "all"),
    ]


@pytest.mark.django_db
def test_the_same_again_changes_nothing() -> None:
    first, new = store(b"words", "text/plain", owner=None, path="/a.txt")
    again, newer = store(b"words", "text/plain", owner=None, path="/a.txt")
    assert (first.pk, new, newer) == (again.pk, True, False)
    changed, newest = store(b"others", "text/plain", owner=None, path="/a.txt")
    assert (changed.pk, newest) == (first.pk, True)
    assert [chunk.text for chunk in Chunk.objects.all()] == ["others"]


def test_an_upload_is_known_by_its_bytes(alice: User, bob: User) -> None:
    mine, _ = store(b"words", "text/plain", owner=alice, title="A")
    again, new = store(b"words", "text/plain", owner=alice, title="B")
    assert (mine.pk, new, again.title) == (again.pk, True, "B")
    assert Chunk.objects.get().title == "B"
    assert store(b"words", "text/plain", owner=bob)[0].pk != mine.pk
    assert store(b"words 2", "text/plain", owner=alice)[0].pk != mine.pk


def test_one_path_is_everybodys_and_alices(shelve: Shelve, alice: User) -> None:
    assert shelve("a", path="/a.md").pk != shelve("a", alice, path="/a.md").pk
    assert Document.objects.count() == 2


def test_what_can_not_be_read_leaves_what_was_there(shelve: Shelve) -> None:
    shelve("words", path="/a.md")
    with pytest.raises(Unreadable):
        store(b"\xff", "text/markdown", owner=None, path="/a.md")
    assert bytes(Document.objects.get().content) == b"words"
    assert Chunk.objects.get().text == "words"


def test_a_new_owner_reaches_the_chunks(shelve: Shelve, alice: User) -> None:
    document = shelve("words")
    document.owner = alice
    reread(document)
    assert Chunk.objects.get().audience == f"user{alice.pk}"


def test_titles(shelve: Shelve) -> None:
    assert shelve("no heading", path="/a/notes.md").title == "notes.md"
    assert shelve("# Heading\nx", title="Given").title == "Given"
    assert shelve("no heading, no name").title == "Untitled"
    assert len(shelve("# " + "long " * 200 + "\nx").title) == 200
