"""manage.py ingest."""

import os
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from chatflow.workflows.knowledge.models import Document, UnreadFile
from tests.workflows.knowledge.pdf import pdf

pytestmark = pytest.mark.django_db


def ingest(*paths: Path, **options: Any) -> str:
    out = StringIO()
    call_command("ingest", *paths, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / ".git").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\nwords")
    (tmp_path / "docs" / "sub" / "b.html").write_text("<p>words")
    (tmp_path / "docs" / "c.pdf").write_bytes(pdf("words"))
    (tmp_path / "docs" / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "docs" / ".git" / "d.md").write_text("words")
    return tmp_path / "docs"


def names() -> list[str]:
    return sorted(Path(path).name for path in Document.objects.values_list("path", flat=True))


def test_it_works(folder: Path) -> None:
    assert ingest(folder) == "3 documents, 3 of them new or changed.\n"
    assert names() == ["a.md", "b.html", "c.pdf"]
    assert ingest(folder) == "3 documents, 0 of them new or changed.\n"
    (folder / "a.md").write_text("other words")
    assert ingest(folder, folder / "a.md") == "4 documents, 1 of them new or changed.\n"
    assert Document.objects.count() == 3


def test_for_one_user(folder: Path, alice: User) -> None:
    ingest(folder / "a.md", user="alice")
    assert Document.objects.get().owner == alice
    with pytest.raises(CommandError, match="no user 'zoe'"):
        ingest(folder, user="zoe")


def test_delete_and_prune(folder: Path, alice: User) -> None:
    ingest(folder)
    ingest(folder / "a.md", user="alice")
    (folder / "c.pdf").unlink()
    assert ingest(folder, prune=True).endswith("Forgot 1 documents.\n")
    assert ingest(folder / "sub", delete=True) == "Forgot 1 documents.\n"
    assert names() == ["a.md", "a.md"]
    assert ingest(folder.parent, user="alice", delete=True) == "Forgot 1 documents.\n"
    assert Document.objects.get().owner is None


def test_what_can_not_be_read_is_said_and_the_rest_is_read(folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 oh")
    with pytest.raises(CommandError, match=r"3 of them new or changed\. 1 could not be read"):
        ingest(folder)
    assert names() == ["a.md", "b.html", "c.pdf"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere", "It is not there."), ("picture.png", "It is none of .md, "), ("circle", "It is")],
)
def test_what_is_no_document(
    folder: Path, name: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and keeps no other path from being read."""
    (folder / "circle").symlink_to(folder / "circle")
    said = "1 documents, 1 of them new or changed. 1 could not be read."
    with pytest.raises(CommandError, match=re.escape(said)):
        call_command("ingest", folder / name, folder / "a.md")
    assert f"{folder / name}: {reason}" in capsys.readouterr().err
    assert names() == ["a.md"]


def test_names_that_can_not_be_stored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither database takes them; the documents beside them are read, kept and forgotten."""
    (folder / os.fsdecode(b"stra\xdfe.md")).write_text("words")
    deep = folder.joinpath(*["x" * 250] * 4)
    deep.mkdir(parents=True)
    (deep / "e.md").write_text("words")
    for options in ({}, {"prune": True}):
        with pytest.raises(CommandError, match=r"5 documents, .* 2 could not be read"):
            call_command("ingest", folder, **options)
        complaints = capsys.readouterr().err
        assert f"{folder}/stra\\udcdfe.md: Its name is not text in UTF-8." in complaints
        assert "e.md: Its path has more than 1000 characters." in complaints
        assert names() == ["a.md", "b.html", "c.pdf"]
    (folder / "c.pdf").unlink()
    with pytest.raises(CommandError, match="Forgot 1 documents"):
        call_command("ingest", folder, prune=True)
    assert "Forgot 2 documents" in ingest(folder, delete=True)
    bad = folder / os.fsdecode(b"\xdf")
    assert "Forgot 0 documents" in ingest(bad, delete=True)


def test_links_that_lead_out_of_the_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are reported, and the others are read; so are links to what is in the folder anyway."""
    (folder.parent / "secret.md").write_text("secret words")
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "e.md").write_text("secret words")
    (folder / "link.md").symlink_to(folder.parent / "secret.md")
    (folder / "sub" / "up").symlink_to(folder.parent / "other")
    (folder / "broken.md").symlink_to(folder / "nowhere.md")
    (folder / "twice.md").symlink_to(folder / "a.md")
    with pytest.raises(CommandError, match=r"^4 documents, .* 2 could not be read"):
        call_command("ingest", folder)
    complaints = capsys.readouterr().err
    for link in ("link.md", "sub/up"):
        assert f"{folder / link}: It is a link that leads out of the folder." in complaints
    assert names() == ["a.md", "b.html", "c.pdf", "twice.md"]


def test_a_link_that_is_named_itself(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    assert ingest(folder.parent / "link") == "3 documents, 3 of them new or changed.\n"


def test_a_file_that_is_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatflow.workflows.knowledge.readers.base.MOST_BYTES", 50)
    with pytest.raises(CommandError, match="1 could not be read"):
        ingest(folder)
    assert names() == ["a.md", "b.html"]


def test_for_an_organisation(folder: Path, alice: User) -> None:
    for whose in ({"tenant": "a"}, {"tenant": "b"}, {"tenant": "a", "user": "alice"}, {}):
        ingest(folder / "a.md", **whose)
    found = Document.objects.order_by("owner", "tenant").values_list("owner", "tenant")
    assert set(found) == {(None, "a"), (None, "b"), (alice.pk, "a"), (None, "")}
    assert ingest(folder, tenant="a").startswith("3 documents, 2 of them new")
    assert ingest(folder, tenant="a", delete=True) == "Forgot 3 documents.\n"
    assert Document.objects.filter(tenant="a").get().owner == alice
    with pytest.raises(CommandError, match="at most 64 printable characters"):
        ingest(folder, tenant="x" * 65)


def test_what_can_not_be_read_is_kept_until_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_bytes(b"\xff")
    for _ in range(2):
        with pytest.raises(CommandError):
            call_command("ingest", tmp_path)
    failed = UnreadFile.objects.get()
    assert (failed.name, failed.document, failed.owner) == (str(file), None, None)
    assert "UTF-8" in failed.error
    file.write_bytes(b"words")
    call_command("ingest", tmp_path)
    assert not UnreadFile.objects.exists()
    file.write_bytes(b"\xff")
    with pytest.raises(CommandError):
        call_command("ingest", tmp_path)
    assert UnreadFile.objects.get().document == Document.objects.get()
