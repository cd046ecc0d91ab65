"""What every reader must do. A reader's own tests inherit it, and say how a document is made."""

import random
from typing import ClassVar

import pytest

from chatflow.workflows.knowledge.excerpts import MARKS
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.knowledge.readers import (
    Reader,
    Section,
    Unreadable,
    choices,
    kind_of,
    kind_of_media_type,
    read,
)
from chatflow.workflows.knowledge.readers.base import UNWANTED

HOSTILE = {
    "not text": b"\xff\xfe\xfa\0\x01",
    "nothing but NUL": bytes(1000),
    "nothing but a byte order mark": b"\xef\xbb\xbf",
    "Latin-1": "Grüße aus Köln".encode("latin-1"),
    "UTF-16": "Grüße".encode("utf-16"),
    "half a character": "Grüße".encode()[:3],
    "a surrogate": "\ud800".encode("utf-8", "surrogatepass"),
    "an encoding that there is not": b'<meta charset="nothing"><p>words \xff',
    "noise": random.Random(12).randbytes(20_000),
    "one long word": b"a" * 200_000,
    "nested tags": b"<div>" * 20_000,
    "tags that never end": b"<" * 20_000,
    "nested quotations": b"> " * 20_000,
    "nested lists": b"- " * 20_000,
    "nested brackets": b"[" * 20_000,
    "rows of commas and quotes": b'",' * 20_000,
    "nothing but a beginning": b"%PDF-1.4\n%%EOF",
    "a dictionary that never ends": b"%PDF-1.4\n1 0 obj\n" + b"<<" * 5000,
}


def checked(content: bytes, kind: str) -> list[Section]:
    """Return the sections of a document, each fit for the database; none if it is unreadable."""
    try:
        sections = read(content, kind)
    except Unreadable:
        return []
    assert sections
    for section in sections:
        assert section.text == section.text.strip() != ""
        assert isinstance(section.headings, tuple)
        for heading in section.headings:
            assert heading == " ".join(heading.split()) != ""
        for text in (*section.headings, section.text):
            assert not UNWANTED.search(text), ascii(text[:200])
    return sections


class ReaderContract:
    reader: Reader
    # Names in HOSTILE of what it must refuse, not only survive.
    refused: ClassVar[list[str]] = ["not text", "noise"]

    def document(self, text: str) -> bytes:
        """Return a document of the reader's kind that says *text*, a line of words."""
        raise NotImplementedError

    def read(self, content: bytes) -> list[Section]:
        return checked(content, self.reader.kind)

    def test_it_says_what_the_document_says(self) -> None:
        said = " ".join(section.text for section in self.read(self.document("Buffering is off.")))
        assert "Buffering is off." in said

    def test_it_is_registered_under_names_of_its_own(self) -> None:
        Document._meta.get_field("kind").run_validators(self.reader.kind)
        assert dict(choices())[self.reader.kind] == self.reader.label
        assert self.reader.suffixes
        for suffix in self.reader.suffixes:
            assert (suffix[0], suffix) == (".", suffix.lower())
            assert kind_of(f"folder/A{suffix.upper()}") == self.reader.kind
        for media_type in self.reader.media_types:
            assert kind_of_media_type(media_type) == self.reader.kind

    def test_a_document_without_text(self) -> None:
        for content in (b"", b" \n\t", self.document("")):
            with pytest.raises(Unreadable):
                read(content, self.reader.kind)

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_bytes(self, name: str) -> None:
        sections = self.read(HOSTILE[name])
        assert not (sections and name in self.refused)

    def test_a_document_that_was_cut_off(self) -> None:
        content = self.document("Buffering is off.")
        for length in range(0, len(content), max(1, len(content) // 50)):
            self.read(content[:length])

    def test_a_document_with_wrong_bytes_in_it(self) -> None:
        chance = random.Random(12)
        for _ in range(50):
            content = bytearray(self.document("Buffering is off."))
            for _ in range(3):
                content[chance.randrange(len(content))] = chance.randrange(256)
            self.read(bytes(content))

    def test_the_marks_of_a_search_stay_outside(self) -> None:
        sections = self.read(self.document(f"one{MARKS[0]} two{MARKS[1]} three"))
        assert "one two three" in " ".join(section.text for section in sections)

    def test_it_reads_in_a_process_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self.reader), "read", lambda *_: pytest.fail("It is read here."))
        assert self.read(self.document("Buffering is off."))

    def test_it_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = self.document("word " * 30)
        monkeypatch.setattr("chatflow.workflows.knowledge.readers.base.MOST_TEXT", 100)
        with pytest.raises(Unreadable, match="more than 100 characters"):
            read(content, self.reader.kind)
