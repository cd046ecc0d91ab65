"""From bytes to sections: what a document says, under which headings. One module for each kind.

A reader is a function from bytes to sections. It raises Unreadable, with a sentence for whoever
brought the document, and nothing else, whatever the bytes are.
"""

from collections.abc import Callable
from pathlib import PurePath

from workflows.knowledge.models import Kind
from workflows.knowledge.readers import html, markdown, pdf, plain
from workflows.knowledge.readers.base import Section, Unreadable

__all__ = ["Section", "Unreadable", "kind_of", "read"]

READERS: dict[str, Callable[[bytes], list[Section]]] = {
    Kind.MARKDOWN: markdown.read,
    Kind.TEXT: plain.read,
    Kind.HTML: html.read,
    Kind.PDF: pdf.read,
}
ENDINGS = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".text": Kind.TEXT,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".pdf": Kind.PDF,
}


def kind_of(name: str) -> Kind | None:
    """Return what a file of that *name* is; None if it is nothing that can be read."""
    return ENDINGS.get(PurePath(name).suffix.lower())


def read(content: bytes, kind: str) -> list[Section]:
    """Return the sections of a document, at least one.

    Raises:
        Unreadable: it is broken, or there is no text in it.
    """
    sections = [section for section in READERS[kind](content) if section.text]
    if not sections:
        raise Unreadable("There is no text in this document.")
    return sections
