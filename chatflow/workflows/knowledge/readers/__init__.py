"""From bytes to sections: a document's text, by heading. One module for each kind.

A reader of one's own is a module beside these, a line in READERS, and a subclass of the contract
in tests/workflows/knowledge/readers/.
"""

from pathlib import PurePath

from chatflow.workflows.knowledge.readers import isolation
from chatflow.workflows.knowledge.readers.base import (
    Reader,
    Section,
    Unreadable,
    check_parts,
    check_size,
)
from chatflow.workflows.knowledge.readers.html import Html
from chatflow.workflows.knowledge.readers.images import IMAGES, is_image, kind_of_image
from chatflow.workflows.knowledge.readers.isolation import Busy
from chatflow.workflows.knowledge.readers.markdown import Markdown
from chatflow.workflows.knowledge.readers.pdf import Pdf
from chatflow.workflows.knowledge.readers.text import Text

__all__ = [
    "IMAGES",
    "READERS",
    "Busy",
    "Reader",
    "Section",
    "Unreadable",
    "check_parts",
    "check_size",
    "choices",
    "is_image",
    "kind_of",
    "kind_of_image",
    "kind_of_media_type",
    "labels",
    "read",
    "suffixes",
]

# Documents that have words to be found; images are beside them.
READERS: tuple[Reader, ...] = (Markdown(), Text(), Html(), Pdf())


def choices() -> list[tuple[str, str]]:
    """Return the kinds of documents with their labels, for a field of a model."""
    return [(reader.kind, reader.label) for reader in (*READERS, *IMAGES)]


def labels() -> str:
    """Return the labels of all kinds, as a sentence names them: "Markdown, Text, HTML or PDF"."""
    *others, last = (reader.label for reader in READERS)
    return f"{', '.join(others)} or {last}"


def suffixes() -> list[str]:
    """Return how the names of files that can be read end, such as ".md"."""
    return [suffix for reader in READERS for suffix in reader.suffixes]


def kind_of(name: str) -> str | None:
    """Return the kind of a file of that *name*; None if nothing here reads it."""
    suffix = PurePath(name).suffix.lower()
    return next((reader.kind for reader in READERS if suffix in reader.suffixes), None)


def kind_of_media_type(media_type: str | None) -> str | None:
    """Return the kind that *media_type*, without parameters, stands for; None if it is unknown."""
    return next((reader.kind for reader in READERS if media_type in reader.media_types), None)


def read(content: bytes, kind: str) -> list[Section]:
    """Return the sections of a document, at least one; of an image, none.

    A process of its own reads it.

    Raises:
        Unreadable: it is broken, too long or too laborious, there is no text in it, or nothing
            here reads *kind*.
        Busy: it can't be read now.
    """
    check_size(len(content))
    reader = next((each for each in (*READERS, *IMAGES) if each.kind == kind), None)
    if reader is None:
        raise Unreadable(f"Nothing here reads documents of the kind {kind}.")
    return isolation.read(reader, content)
