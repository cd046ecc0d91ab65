"""Documents in the admin: brought, changed, read again."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chatflow.operations.admin import documents
from chatflow.operations.models import Act
from chatflow.workflows.knowledge import unread
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Chunk, Document, UnreadFile
from chatflow.workflows.knowledge.readers import Unreadable, isolation

pytestmark = pytest.mark.django_db

LIST = "/admin/chatflow_knowledge/document/"
UNREAD = "/admin/chatflow_knowledge/unreadfile/"


def bring(boss: Client, name: str, content: bytes, **fields: Any) -> Any:
    file = SimpleUploadedFile(name, content)
    return boss.post(f"{LIST}add/", {"file": file, "title": "", "url": "", "owner": "", **fields})


def test_it_works(boss: Client, alice: User) -> None:
    assert bring(boss, "a.md", b"# A\n<script>words", owner=alice.pk).status_code == 302
    document = Document.objects.get()
    assert (document.title, document.owner, document.kind) == ("A", alice, "text/markdown")
    page = boss.get(f"{LIST}{document.pk}/change/").content.decode()
    assert "&lt;script&gt;words" in page
    assert "A" in boss.get(LIST, {"q": "A"}).content.decode()


@pytest.mark.parametrize(
    ("name", "content"), [("a.docx", b"x"), ("a.pdf", b"broken"), ("a.md", b"\xff")]
)
def test_what_can_not_be_read(boss: Client, name: str, content: bytes) -> None:
    assert bring(boss, name, content).status_code == 200
    assert not Document.objects.exists()


def test_a_change_reaches_the_chunks(boss: Client, alice: User) -> None:
    document, _ = store(b"words", "text/plain", owner=None)
    fields = {"title": "New", "url": "", "owner": alice.pk}
    assert boss.post(f"{LIST}{document.pk}/change/", fields).status_code == 302
    chunk = Chunk.objects.get()
    assert (chunk.title, chunk.audience, chunk.text) == ("New", f"user{alice.pk}", "words")
    assert boss.post(f"{LIST}{document.pk}/delete/", {"post": "yes"}).status_code == 302
    acts = Act.objects.filter(target_id=str(document.pk)).order_by("pk")
    assert [act.act for act in acts] == ["Change document", "Delete document"]


def test_read_again(boss: Client) -> None:
    document, _ = store(b"words", "text/plain", owner=None)
    Chunk.objects.all().delete()
    answer = boss.post(LIST, {"action": "read_again", "_selected_action": [document.pk]})
    assert answer.status_code == 302
    assert Chunk.objects.get().text == "words"


def test_when_too_many_documents_are_being_read(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, _ = store(b"words", "text/plain", owner=None)
    monkeypatch.setattr(isolation, "SLOTS", 0)
    monkeypatch.setattr(isolation, "_room", isolation._Room())
    for answer in (
        bring(boss, "a.md", b"words"),
        boss.post(f"{LIST}{document.pk}/change/", {"title": "New", "url": "", "owner": ""}),
        boss.post(LIST, {"action": "read_again", "_selected_action": [document.pk]}, follow=True),
    ):
        assert answer.status_code == 200
        assert "Too many documents are being read at once." in answer.content.decode()
    assert Document.objects.get().title == document.title


def shown(client: Client, **query: str) -> list[str]:
    """Return the titles that the list shows."""
    response = client.get(LIST, query)
    assert response.status_code == 200
    return [row.title for row in response.context["cl"].result_list]


def test_the_list_tells_what_was_read_last_and_finds_it(boss: Client, alice: User) -> None:
    store(b"words", "text/plain", owner=None, path="/docs/one.txt")
    mine, _ = store(b"# Mine\nwords", "text/markdown", owner=alice, title="My own")
    assert shown(boss) == ["My own", "one.txt"]
    text = boss.get(LIST).content.decode()
    assert "Everybody" in text
    assert re.search(r"\d\d:\d\d:\d\d.\d+, in \d+\.\d s", text)
    assert shown(boss, whose="common") == shown(boss, q="/docs/") == ["one.txt"]
    assert shown(boss, whose="users") == shown(boss, q="alice") == ["My own"]
    assert shown(boss, q=str(mine.pk)) == shown(boss, q="OWN") == ["My own"]
    assert shown(boss, kind="text/plain") == ["one.txt"]


def test_chunks_are_shown_page_by_page(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PAGE", 2)
    content = "\n".join(f"# Part {number}\nwords {number}" for number in range(5))
    document, _ = store(content.encode(), "text/markdown", owner=None)
    url = f"{LIST}{document.pk}/change/"
    first = boss.get(url).content.decode()
    assert ("words 1" in first, "words 2" in first) == (True, False)
    assert "Earlier chunks" not in first
    later = boss.get(url, {"from": "3"}).content.decode()
    assert ("words 1" in later, "words 2" in later, "words 4" in later) == (False, True, False)
    assert 'href="?from=5#chunks"' in later
    assert 'href="?from=1#chunks"' in later
    assert "Later chunks" not in boss.get(url, {"from": "5"}).content.decode()


def test_what_could_not_be_read_again_is_kept_until_it_is(boss: Client, alice: User) -> None:
    document, _ = store(b"words", "text/plain", owner=alice, name="a.txt")
    Document.objects.update(content=b"\xff")
    url = f"{LIST}{document.pk}/change/"
    assert boss.post(url, {"read_again": "1"}).status_code == 302
    file = UnreadFile.objects.get()
    assert (file.name, file.document, file.owner) == ("a.txt", document, alice)
    assert shown(boss, unread="1") == ["a.txt"]
    for page in (LIST, url, UNREAD, f"{UNREAD}{file.pk}/change/"):
        said = boss.get(page).content.decode()
        assert ("Not read" if page == LIST else "not text in UTF-8") in said

    Document.objects.update(content=b"mended words")
    assert boss.post(url, {"read_again": "1"}).status_code == 302
    assert Chunk.objects.get().text == "mended words"
    assert shown(boss, unread="1") == []
    assert not UnreadFile.objects.exists()


def test_reading_again_wants_the_change_permission(staff: Callable[..., Client]) -> None:
    document, _ = store(b"words", "text/plain", owner=None)
    Chunk.objects.all().delete()
    viewer = staff("view_document")
    assert viewer.post(f"{LIST}{document.pk}/change/", {"read_again": "1"}).status_code == 403
    assert not Chunk.objects.exists()


def test_few_failures_of_an_owner_are_kept(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "MOST", 2)
    unread.note("his.pdf", Unreadable("No."), owner=bob)
    for name in ("a", "b", "a", "c", "nul\0", ""):
        unread.note(name, Unreadable("No.\0"), owner=alice)
    unread.note("d", isolation.Busy(), owner=alice)
    kept = UnreadFile.objects.filter(owner=alice).order_by("pk")
    assert [row.name for row in kept] == ["c", "nul"]
    assert UnreadFile.objects.filter(owner=bob).count() == 1


def test_texts_of_users_are_hidden_from_who_may_not_read_them(
    staff: Callable[..., Client], alice: User
) -> None:
    mine, _ = store(b"# Private\nmy secret", "text/markdown", owner=alice, name="mine.md")
    common, _ = store(b"# Common\nknown words", "text/markdown", owner=None)
    unread.note("hush.pdf", Unreadable("No."), owner=alice)
    codenames = ("view_document", "change_document", "delete_document", "view_unreadfile")
    client = staff(*codenames)
    for url in (LIST, f"{LIST}{mine.pk}/change/", UNREAD):
        text = client.get(url).content.decode()
        assert "(hidden)" in text
        assert not [word for word in ("Private", "secret", "hush", "mine.md") if word in text]
    assert "known words" in client.get(f"{LIST}{common.pk}/change/").content.decode()
    for act in ("history", "delete"):
        page = client.get(f"{LIST}{mine.pk}/{act}/").content.decode()
        assert (str(mine.pk) in page, "Private" in page) == (True, False)
    assert client.post(f"{LIST}{mine.pk}/change/", {"title": "x"}).status_code == 403
    assert shown(client, q="private") == []
    reader = staff(*codenames, "read_texts")
    assert "my secret" in reader.get(f"{LIST}{mine.pk}/change/").content.decode()
    assert "Private" in reader.get(f"{LIST}{mine.pk}/delete/").content.decode()
    assert shown(reader, q="private") == ["Private"]
