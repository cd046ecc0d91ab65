"""Files: brought to a conversation, sent with a message, and downloaded again."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from chatflow.endpoints import uploads
from chatflow.workflows import services
from chatflow.workflows.exceptions import FileNotFound
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Attachment, Document
from chatflow.workflows.knowledge.search import search
from chatflow.workflows.models import Session
from tests.workflows.chat import beside

SHELF = "/ai-demo/knowledge/documents"
SEND = "/ai-demo/chat/send"
JSON = "application/json"


def picture(kind: str = "PNG", **options: Any) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(made, kind, **options)
    return made.getvalue()


def upload(client: Client, name: str, content: bytes, **fields: Any) -> Any:
    return client.post(SHELF, {"file": SimpleUploadedFile(name, content), **fields})


def send(client: Client, **fields: Any) -> Any:
    body = {"message": "Look", "session_id": "s", "async": True, **fields}
    return client.post(SEND, body, content_type=JSON)


@pytest.fixture
def image(as_alice: Client) -> dict[str, Any]:
    answer = upload(as_alice, "lamp.png", picture(), session_id="s")
    made: dict[str, Any] = answer.json()["document"]
    return made


def test_it_works(as_alice: Client, image: dict[str, Any]) -> None:
    assert (image["type"], image["name"], image["chunks"]) == ("image/png", "lamp.png", 0)
    assert image["session_id"] == "s"

    assert send(as_alice, files=[image["id"]]).status_code == 202

    [message] = as_alice.get("/ai-demo/chat/history/s").json()["messages"]
    [file] = message["files"]
    assert (file["id"], file["name"], file["type"]) == (image["id"], "lamp.png", "image/png")
    answer = as_alice.get(file["url"])
    assert (answer.status_code, answer.content) == (200, picture())
    assert answer["Content-Type"] == "image/png"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Content-Disposition"] == 'inline; filename="lamp.png"'
    assert answer["Cache-Control"] == "private, no-cache"
    exported = as_alice.get("/ai-demo/chat/session/s/export").json()
    assert exported["messages"][0]["files"] == [file]
    assert [each["id"] for each in exported["documents"]] == [image["id"]]


def test_html_is_a_download(as_alice: Client) -> None:
    made = upload(as_alice, "a.html", b"<p>words<script>alert(1)</script>").json()["document"]
    answer = as_alice.get(made["file_url"])
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="a.html"'


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jpg", picture("JPEG"), "image/jpeg"),
        ("a.webp", picture("WEBP"), "image/webp"),
        ("a.gif", picture("GIF"), "image/gif"),
        ("a.jpg", picture("WEBP"), "image/webp"),
    ],
)
def test_images(as_alice: Client, name: str, content: bytes, kind: str) -> None:
    answer = upload(as_alice, name, content)
    assert (answer.status_code, answer.json()["document"]["type"]) == (201, kind)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.png", picture()[:40], 400),
        ("a.png", b"words", 415),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (
            "a.gif",
            picture("GIF", save_all=True, append_images=[Image.new("RGB", (3, 2), "blue")]),
            400,
        ),
    ],
)
def test_what_is_no_image(as_alice: Client, name: str, content: bytes, status: int) -> None:
    assert upload(as_alice, name, content, session_id="s").status_code == status
    assert not Document.objects.exists()
    assert not Session.objects.exists()


def test_who_may_have_it(
    as_alice: Client, as_bob: Client, anonymous: Client, image: dict[str, Any]
) -> None:
    assert as_bob.get(image["file_url"]).status_code == 404
    assert anonymous.get(image["file_url"]).status_code == 401
    answer = send(as_bob, files=[image["id"]])
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["errors"] == {"files": ["There is no such file of yours."]}
    # Another conversation of one's own is as good.
    assert send(as_alice, session_id="other", files=[image["id"]]).status_code == 202


@pytest.mark.parametrize("files", ["x", ["x"], [7], {}, [str(number) for number in range(11)]])
def test_wrong_files(as_alice: Client, files: Any) -> None:
    answer = send(as_alice, files=files)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["files"])


def test_a_conversation_finds_its_own(as_alice: Client, alice: User) -> None:
    upload(as_alice, "a.md", b"# Lamp\n\nThe lamp is red.", session_id="s")
    upload(as_alice, "b.md", b"# Lamp\n\nThe lamp is blue, says the lamp.")
    session = Session.objects.get()

    assert [each.text for each in search("red", user=alice)] == []
    found = search("lamp", user=alice, session_id=session.pk)
    assert found[0].text == "The lamp is red."
    assert len(found) == 2
    other = services.open_session(alice, "other")
    assert len(search("lamp", user=alice, session_id=other.pk)) == 1


def test_the_documents_go_with_the_conversation(as_alice: Client, image: dict[str, Any]) -> None:
    send(as_alice, session_id="other", files=[image["id"]])
    assert as_alice.delete("/ai-demo/chat/session/s").status_code == 200
    assert not Document.objects.exists()
    [message] = as_alice.get("/ai-demo/chat/history/other").json()["messages"]
    assert message["files"][0] | {"size": 0} == {
        "id": None,
        "name": "lamp.png",
        "type": "image/png",
        "size": 0,
        "url": None,
    }


def test_the_page_of_an_image_shows_it(client: Client, alice: User, as_alice: Client) -> None:
    made = upload(as_alice, "lamp.png", picture()).json()["document"]
    client.force_login(alice)
    page = client.get(made["url"]).content.decode()
    assert f'<img src="/ai-demo/knowledge/files/{made["id"]}" alt="lamp.png">' in page


def test_a_replay_needs_no_file(as_alice: Client, image: dict[str, Any]) -> None:
    body = {"message": "Look", "session_id": "other", "async": True, "files": [image["id"]]}
    key = {"Idempotency-Key": "one"}
    first = as_alice.post(SEND, body, content_type=JSON, headers=key)
    Document.objects.all().delete()
    again = as_alice.post(SEND, body, content_type=JSON, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["job_id"] == first.json()["job_id"]


@pytest.mark.django_db(transaction=True)
def test_the_conversation_is_deleted_meanwhile(
    as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store_later(*args: Any, **kwargs: Any) -> Any:
        services.delete_session(Session.objects.get())
        return store(*args, **kwargs)

    monkeypatch.setattr(uploads, "store", store_later)
    refused = upload(as_alice, "a.txt", b"words", session_id="s")
    assert refused.status_code == 404
    assert refused.json()["error"] == "This was deleted meanwhile."
    assert not Document.objects.exists()
    monkeypatch.undo()
    assert upload(as_alice, "a.txt", b"words", session_id="s").status_code == 201


@pytest.mark.postgresql  # SQLite has one writer.
@pytest.mark.django_db(transaction=True)
def test_a_document_is_deleted_as_it_is_sent(
    as_alice: Client, alice: User, image: dict[str, Any]
) -> None:
    def send_it() -> Any:
        return services.start(alice, "Look", session_key="other", sent_files=[image["id"]])

    with beside("knowledge_document", send_it) as results:
        assert as_alice.delete(f"{SHELF}/{image['id']}").status_code == 200

    assert isinstance(results[0], FileNotFound)
    assert not Attachment.objects.exists()
