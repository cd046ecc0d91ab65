"""Documents in the admin: brought, changed, read again."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Chunk, Document
from chatflow.workflows.knowledge.readers import isolation

LIST = "/admin/chatflow_knowledge/document/"


@pytest.fixture
def staff(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def bring(staff: Client, name: str, content: bytes, **fields: Any) -> Any:
    file = SimpleUploadedFile(name, content)
    return staff.post(f"{LIST}add/", {"file": file, "title": "", "url": "", "owner": "", **fields})


def test_it_works(staff: Client, alice: User) -> None:
    assert bring(staff, "a.md", b"# A\n<script>words", owner=alice.pk).status_code == 302
    document = Document.objects.get()
    assert (document.title, document.owner, document.kind) == ("A", alice, "text/markdown")
    page = staff.get(f"{LIST}{document.pk}/change/").content.decode()
    assert "&lt;script&gt;words" in page
    assert "A" in staff.get(LIST, {"q": "A"}).content.decode()


@pytest.mark.parametrize(
    ("name", "content"), [("a.docx", b"x"), ("a.pdf", b"broken"), ("a.md", b"\xff")]
)
def test_what_can_not_be_read(staff: Client, name: str, content: bytes) -> None:
    assert bring(staff, name, content).status_code == 200
    assert not Document.objects.exists()


def test_a_change_reaches_the_chunks(staff: Client, alice: User) -> None:
    document, _ = store(b"words", "text/plain", owner=None)
    fields = {"title": "New", "url": "", "owner": alice.pk}
    assert staff.post(f"{LIST}{document.pk}/change/", fields).status_code == 302
    chunk = Chunk.objects.get()
    assert (chunk.title, chunk.audience, chunk.text) == ("New", f"user{alice.pk}", "words")


def test_read_again(staff: Client) -> None:
    document, _ = store(b"words", "text/plain", owner=None)
    Chunk.objects.all().delete()
    answer = staff.post(LIST, {"action": "read_again", "_selected_action": [document.pk]})
    assert answer.status_code == 302
    assert Chunk.objects.get().text == "words"


def test_when_too_many_documents_are_being_read(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, _ = store(b"words", "text/plain", owner=None)
    monkeypatch.setattr(isolation, "SLOTS", 0)
    monkeypatch.setattr(isolation, "_room", isolation._Room())
    for answer in (
        bring(staff, "a.md", b"words"),
        staff.post(f"{LIST}{document.pk}/change/", {"title": "New", "url": "", "owner": ""}),
        staff.post(LIST, {"action": "read_again", "_selected_action": [document.pk]}, follow=True),
    ):
        assert answer.status_code == 200
        assert "Too many documents are being read at once." in answer.content.decode()
    assert Document.objects.get().title == document.title
