"""PDF: the words of its pages. Their layout says nothing of headings, so a page is a section.

pypdf is imported where it is used: only the reading process opens what others have brought.
"""

import io
import logging
from typing import TYPE_CHECKING

from chatflow.workflows.knowledge.readers.base import (
    Reader,
    Section,
    Unreadable,
    check_length,
    cleaned,
)

if TYPE_CHECKING:
    from pypdf import PdfReader

MOST_PAGES = 5000

# Whoever brought a broken file is told; the log needn't be.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


class Pdf(Reader):
    kind = "application/pdf"
    label = "PDF"
    suffixes = (".pdf",)
    media_types = ("application/pdf",)
    is_text = False

    def read(self, content: bytes) -> list[Section]:
        from pypdf import PdfReader

        try:
            return _pages(PdfReader(io.BytesIO(content)))
        except (Unreadable, MemoryError):
            raise
        except Exception as error:
            # A broken file makes the library raise whatever Python can.
            raise Unreadable("This document is not a PDF that can be read.") from error


def _pages(reader: "PdfReader") -> list[Section]:
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("This PDF needs a password.")
    if len(reader.pages) > MOST_PAGES:
        raise Unreadable(f"This PDF has more than {MOST_PAGES} pages.")
    sections = []
    length = 0
    for number, page in enumerate(reader.pages, 1):
        text = cleaned(page.extract_text()).strip()
        length += len(text)
        check_length(length)
        sections.append(Section((f"Page {number}",), text))
    return sections
