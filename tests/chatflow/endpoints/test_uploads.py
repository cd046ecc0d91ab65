"""The API of documents, and the page that shows one."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import resolve

from chatflow.access.limits import upload_slot
from chatflow.models import Tally
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.knowledge.readers import isolation
from chatflow.workflows.knowledge.search import search
from tests.configure import configure
from tests.workflows.knowledge.pdf import pdf

SHELF = "/ai-demo/knowledge/documents"
JSON = "application/json"


def add(client: Client, **fields: Any) -> Any:
    return client.post(SHELF, fields, content_type=JSON)


def upload(client: Client, name: str, content: bytes, **fields: Any) -> Any:
    return client.post(SHELF, {"file": SimpleUploadedFile(name, content), **fields})


@pytest.fixture
def shared(db: None) -> Document:
    return store(b"# Ours\nwords", "text/markdown", owner=None)[0]


def test_it_works(as_alice: Client, alice: User) -> None:
    answer = add(as_alice, text="# Deploy\nSet nginx up.", url="https://example.com/deploy")
    assert answer.status_code == 201
    document = answer.json()["document"]
    assert document["title"] == "Deploy"
    assert document["url"] == "https://example.com/deploy"
    assert (document["type"], document["chunks"], document["shared"]) == ("text/markdown", 1, False)
    one = f"{SHELF}/{document['id']}"
    assert as_alice.get(one).json()["document"] == document
    assert as_alice.get(SHELF).json() == {"success": True, "documents": [document], "next": None}
    assert search("nginx", user=alice)
    assert as_alice.delete(one).status_code == 200
    assert as_alice.get(one).status_code == 404
    assert not search("nginx", user=alice)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.md", b"# A\nwords", "text/markdown"),
        ("a.txt", b"words", "text/plain"),
        ("a.html", b"<p>words", "text/html"),
        ("a.pdf", pdf("words"), "application/pdf"),
    ],
)
def test_files(as_alice: Client, alice: User, name: str, content: bytes, kind: str) -> None:
    answer = upload(as_alice, name, content, title="Mine")
    assert answer.status_code == 201, answer.content
    assert answer.json()["document"]["type"] == kind
    assert answer.json()["document"]["title"] == "Mine"
    assert search("words", user=alice)


def test_the_same_again_is_one_document(as_alice: Client) -> None:
    first, again = add(as_alice, text="words"), add(as_alice, text="words")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["document"]["id"] == again.json()["document"]["id"]


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("a.docx", b"PK", 415, "unsupported_media_type"),
        ("a.pdf", b"%PDF-1.4 broken", 400, "invalid"),
        ("a.pdf", pdf("words")[:300], 400, "invalid"),
        ("a.md", b"\xff\xfe\x00", 400, "invalid"),
        ("a.md", b" \n ", 400, "invalid"),
        ("a.md", b"", 400, "invalid"),
        ("a.html", b"<div>" * 10_000, 400, "invalid"),
    ],
)
def test_what_can_not_be_read(
    as_alice: Client, name: str, content: bytes, status: int, code: str
) -> None:
    answer = upload(as_alice, name, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert answer.json()["success"] is False
    assert not Document.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": 7},
        {"text": ""},
        {"text": "words", "type": "application/pdf"},
        {"text": "words", "title": "a\nb"},
        {"text": "words", "title": "x" * 201},
        {"text": "words", "url": "javascript:alert(1)"},
        {"text": "words", "url": "/relative"},
        {"file": "words"},
    ],
)
def test_wrong_fields(as_alice: Client, fields: Any) -> None:
    answer = add(as_alice, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_a_nul(as_alice: Client) -> None:
    assert add(as_alice, text="one\0two").status_code == 400
    assert upload(as_alice, "a.txt", b"one\0two").status_code == 201


def test_another_content_type(as_alice: Client) -> None:
    assert as_alice.post(SHELF, b"words", content_type="text/csv").status_code == 415
    broken = as_alice.post(SHELF, b"x", content_type="multipart/form-data; boundary=a")
    assert broken.status_code == 400


def test_who_sees_what(
    as_alice: Client, as_bob: Client, anonymous: Client, shared: Document
) -> None:
    mine = add(as_alice, text="secret words").json()["document"]["id"]
    assert [each["id"] for each in as_bob.get(SHELF).json()["documents"]] == [str(shared.pk)]
    assert len(as_alice.get(SHELF).json()["documents"]) == 2
    for method in (as_bob.get, as_bob.delete):
        answer = method(f"{SHELF}/{mine}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for path in (SHELF, f"{SHELF}/{mine}"):
        assert anonymous.get(path).status_code == 401
    assert as_bob.get(SHELF, {"before": mine}).status_code == 404


def test_charlie_may_not_enter(charlie: User, bearer: Any, shared: Document) -> None:
    assert Client(headers=bearer(charlie)).get(SHELF).status_code == 401


def test_a_shared_document_is_the_sites(as_alice: Client, shared: Document) -> None:
    one = f"{SHELF}/{shared.pk}"
    assert as_alice.get(one).json()["document"]["shared"] is True
    assert as_alice.delete(one).status_code == 404
    assert Document.objects.exists()


def test_pages_of_the_list(as_alice: Client) -> None:
    for number in range(3):
        add(as_alice, text=f"words {number}", title=str(number))
    first = as_alice.get(SHELF, {"limit": 2}).json()
    rest = as_alice.get(SHELF, {"limit": 2, "before": first["next"]}).json()
    assert [each["title"] for each in first["documents"] + rest["documents"]] == ["2", "1", "0"]
    assert rest["next"] is None
    assert as_alice.get(SHELF, {"before": "nonsense"}).status_code == 404


def test_too_many(as_alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatflow.endpoints.uploads.MOST", 1)
    add(as_alice, text="one")
    answer = add(as_alice, text="two")
    assert answer.status_code == 409


def test_too_many_bytes(as_alice: Client, as_bob: Client, settings: Any) -> None:
    configure(settings, DOCUMENTS_BYTES=8)
    first = add(as_alice, text="five!").json()["document"]
    answer = add(as_alice, text="four")
    assert (answer.status_code, answer.json()["code"]) == (409, "error")
    assert "8 bytes" in answer.json()["error"]
    assert add(as_bob, text="four").status_code == 201
    as_alice.delete(f"{SHELF}/{first['id']}")
    assert add(as_alice, text="four").status_code == 201


def test_too_many_parts(as_alice: Client) -> None:
    answer = add(as_alice, text="# a\nb\n" * 5001)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert "more than 5,000 parts" in answer.json()["error"]


def test_one_at_a_time(as_alice: Client, as_bob: Client, alice: User) -> None:
    with upload_slot(alice):
        answer = add(as_alice, text="words")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer["Retry-After"]
        assert add(as_bob, text="words").status_code == 201
    assert add(as_alice, text="words").status_code == 201


def test_all_slots_are_taken(as_alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "SLOTS", 0)
    monkeypatch.setattr(isolation, "_room", isolation._Room())
    answer = add(as_alice, text="words")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer["Retry-After"]
    assert not Document.objects.exists()


@pytest.mark.parametrize(
    "name", ["a\0\x07\ud800.md", "\xff.md", "x" * 300 + ".md", "../../a.md", ".md"]
)
def test_names(as_alice: Client, name: str) -> None:
    answer = upload(as_alice, name.encode("utf-8", "replace").decode(), b"words")
    assert answer.status_code in (201, 400, 415)
    if answer.status_code == 201:
        assert answer.json()["document"]["title"].isprintable()


# The page


def test_the_page_of_a_source(alice: User, client: Client, shared: Document) -> None:
    client.force_login(alice)
    [source] = search("words", user=alice)
    address, _, anchor = source.url.partition("#")
    page = client.get(address)
    assert page.status_code == 200
    assert f'id="{anchor}"' in page.content.decode()
    assert resolve(shared.page).url_name == "document-page"


def test_the_page_escapes(alice: User, client: Client) -> None:
    text = b"# <img src=x onerror=alert(1)>\n<script>alert(1)</script>"
    document, _ = store(text, "text/markdown", owner=alice)
    client.force_login(alice)
    shown = client.get(document.page).content.decode()
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
    assert "<img src=x" not in shown


def test_the_page_is_its_readers_alone(
    alice: User, bob: User, client: Client, shared: Document
) -> None:
    document, _ = store(b"words", "text/plain", owner=alice)
    assert client.get(document.page).status_code == 302
    client.force_login(bob)
    assert client.get(document.page).status_code == 404
    assert client.get(shared.page).status_code == 200


# How much.


def test_too_many_documents_at_once(as_alice: Client, as_bob: Client, settings: Any) -> None:
    configure(settings, RATE_LIMIT_UPLOAD=(2, 60.0))
    answers = [add(as_alice, text=f"words {number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[2].json()["code"] == "rate_limited"
    assert 55 <= int(answers[2]["Retry-After"]) <= 60
    assert add(as_bob, text="words").status_code == 201


def test_too_many_bytes_in_a_day(as_alice: Client, settings: Any) -> None:
    """Deleting the documents gives none back."""
    configure(settings, UPLOAD_BYTES_PER_DAY=100)
    assert add(as_alice, text="a" * 60).status_code == 201
    Document.objects.all().delete()
    refused = upload(as_alice, "a.txt", b"b" * 41)
    assert refused.status_code == 429
    assert refused.json()["error"].startswith("More than 100 bytes of documents today.")
    assert int(refused["Retry-After"]) > 86_000
    assert upload(as_alice, "a.txt", b"c" * 40).status_code == 201


def test_what_is_no_document_is_not_counted(as_alice: Client) -> None:
    assert upload(as_alice, "a.exe", b"words").status_code == 415
    assert add(as_alice).status_code == 400
    assert not Tally.objects.exists()
