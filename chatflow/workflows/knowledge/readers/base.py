"""The readers' base class, and their results and errors."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from chatflow.workflows.sizes import size_text

# Bytes of a document, and characters of its text. Beyond them it is a mistake, or an attack.
MOST_BYTES = 52_428_800
MOST_TEXT = 10_000_000
# Sections and chunks of a document. A book has some hundred.
MOST_PARTS = 5000
# Characters of a heading; no chunk has more of it.
HEADING_LENGTH = 400
# Characters that no database or terminal wants; line ends and tabs stay. The last two are the
# marks that a search puts around each match.
UNWANTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufeff\ue000\ue001]")

BROKEN = "This document can't be read."
# Bytes that tell how long an answer of the reading process is.
LENGTH = 8


class Unreadable(Exception):
    """A document can't be read. The message is one sentence for whoever brought it."""


@dataclass(frozen=True)
class Section:
    """Text, and the headings that it stands under, the outermost first."""

    headings: tuple[str, ...]
    text: str


class Reader(ABC):
    """Reads one kind of document. It has no state: there is one of it, for all documents."""

    # The kind's name in the database and the API, 20 characters at most. It stays for ever.
    kind: ClassVar[str]
    # Its name for people.
    label: ClassVar[str]
    # How the names of such files end, in lower case, with the dot.
    suffixes: ClassVar[tuple[str, ...]]
    # What an upload without a suffix calls it.
    media_types: ClassVar[tuple[str, ...]]
    # Whether the API takes such a document as a string of JSON too.
    is_text: ClassVar[bool] = True
    # Whether a document without text is none.
    has_text: ClassVar[bool] = True

    @abstractmethod
    def read(self, content: bytes) -> list[Section]:
        """Return the document's sections; those without text are passed over.

        Raises:
            Unreadable: it can't be read; and nothing else, whatever the bytes are.
        """


def decoded(content: bytes) -> str:
    """Return the text that *content* is.

    Raises:
        Unreadable: it is not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("This document is not text in UTF-8.") from None
    return cleaned(text)


def cleaned(text: str) -> str:
    """Return *text* without unwanted characters.

    Raises:
        Unreadable: there is too much of it.
    """
    check_length(len(text))
    return UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def check_length(length: int) -> None:
    """Refuse a document of too many characters.

    Raises:
        Unreadable: there are more than MOST_TEXT.
    """
    if length > MOST_TEXT:
        raise Unreadable(f"This document has more than {MOST_TEXT:,} characters.")


def check_size(size: int) -> None:
    """Refuse a document of too many bytes.

    Raises:
        Unreadable: there are more than MOST_BYTES.
    """
    if size > MOST_BYTES:
        raise Unreadable(f"This document has more than {size_text(MOST_BYTES)}.")


def check_parts(number: int) -> None:
    """Refuse a document of too many sections or chunks.

    Raises:
        Unreadable: there are more than MOST_PARTS.
    """
    if number > MOST_PARTS:
        raise Unreadable(f"This document has more than {MOST_PARTS:,} parts.")


def checked(reader: Reader, content: bytes) -> list[Section]:
    """Return the sections of a document that have text, at least one; of an image, none.

    Raises:
        Unreadable: it is broken or too long, or there is no text in it, but for an image.
    """
    sections = [section for section in reader.read(content) if section.text]
    if not sections and reader.has_text:
        raise Unreadable("There is no text in this document.")
    check_length(sum(len(section.text) for section in sections))
    check_parts(len(sections))
    return sections


class Outline:
    """Collects sections: a heading closes those of its level and below."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self._open: list[tuple[int, str]] = []

    def heading(self, level: int, text: str) -> None:
        self._open = [(above, name) for above, name in self._open if above < level]
        name = " ".join(text.split())[:HEADING_LENGTH].rstrip()
        if name:
            self._open.append((level, name))

    def text(self, text: str) -> None:
        headings = tuple(name for _, name in self._open)
        self.sections.append(Section(headings, text.strip()))
