"""The readers together, and one that is added."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from chatflow.workflows.knowledge import readers
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.knowledge.readers import READERS, Unreadable, read
from tests.workflows.knowledge.readers.contract import ReaderContract
from tests.workflows.knowledge.readers.table import Table


@pytest.fixture
def one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", (*READERS, Table()))


@pytest.mark.usefixtures("one_more")
class TestOneMore(ReaderContract):
    reader = Table()

    def document(self, text: str) -> bytes:
        return text.encode()

    @pytest.mark.django_db
    def test_it_is_no_migration(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    @pytest.mark.django_db
    def test_the_admin_takes_and_names_it(self, admin_client: Client) -> None:
        page = "/admin/chatflow_knowledge/document/"
        file = SimpleUploadedFile("prices.csv", b"pen,2")
        fields = {"file": file, "title": "", "url": "", "owner": ""}
        assert admin_client.post(f"{page}add/", fields).status_code == 302
        assert Document.objects.get().kind == "text/csv"
        assert '<td class="field-kind">Table</td>' in admin_client.get(page).content.decode()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.MD", "text/markdown"),
        ("b/c.html", "text/html"),
        ("x.pdf", "application/pdf"),
        ("y.docx", None),
        ("md", None),
    ],
)
def test_kinds_by_name(name: str, kind: str | None) -> None:
    assert readers.kind_of(name) == kind


@pytest.mark.parametrize(
    ("media_type", "kind"), [("text/plain", "text/plain"), ("text/csv", None), (None, None)]
)
def test_kinds_by_media_type(media_type: Any, kind: str | None) -> None:
    assert readers.kind_of_media_type(media_type) == kind


def test_how_they_are_named() -> None:
    assert readers.labels() == "Markdown, Text, HTML or PDF"
    assert readers.suffixes() == [".md", ".markdown", ".txt", ".text", ".html", ".htm", ".pdf"]


def test_a_kind_that_nothing_reads_any_longer() -> None:
    with pytest.raises(Unreadable, match="text/csv"):
        read(b"words", "text/csv")


@pytest.mark.django_db
def test_such_a_document_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, admin_client: Client
) -> None:
    with monkeypatch.context() as before:
        before.setattr(readers, "READERS", (*READERS, Table()))
        document, _ = store(b"pen,2", "text/csv", owner=None, title="Prices")
    page = f"/admin/chatflow_knowledge/document/{document.pk}/change/"
    assert admin_client.get(page).status_code == 200
    again = {"action": "read_again", "_selected_action": [document.pk]}
    answer = admin_client.post("/admin/chatflow_knowledge/document/", again, follow=True)
    assert "Nothing here reads documents of the kind text/csv." in answer.content.decode()
    assert document.chunks.count() == 1
