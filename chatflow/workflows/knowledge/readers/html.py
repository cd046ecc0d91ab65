"""HTML: its words and headings; scripts, styles and whatever else is not said are dropped."""

import re
from typing import Any

from chatflow.workflows.knowledge.readers.base import Outline, Reader, Section, Unreadable, cleaned

# A page is nested a few dozen deep. Beyond that, the time to parse grows with the square.
DEEPEST = 500
SILENT = {"script", "style", "template", "noscript", "svg", "math", "head", "iframe", "object"}
HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i"}
INLINE |= {"ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time"}
INLINE |= {"tt", "u", "var", "wbr"}
LINES = {"br", "li", "tr", "td", "th"}
SPACES = re.compile(r"[^\S\n]+")


class Html(Reader):
    kind = "text/html"
    label = "HTML"
    suffixes = (".html", ".htm")
    media_types = ("text/html",)

    def read(self, content: bytes) -> list[Section]:
        # The processes that read documents need it; those that begin them don't.
        from lxml import etree

        words = _Words()
        parser = etree.HTMLParser(target=words, encoding=_encoding(content))
        try:
            parser.feed(content)
            parser.close()
        except (etree.LxmlError, LookupError, UnicodeError, AssertionError):
            # Nothing at all is the one thing that the parser refuses.
            raise Unreadable("This document is not HTML that can be read.") from None
        return words.sections()


def _encoding(content: bytes) -> str | None:
    """Return UTF-8 if it is that; otherwise the parser believes the page."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


class _Words:
    """Takes the page's text as the parser comes to it: no tree is built."""

    def __init__(self) -> None:
        self._outline = Outline()
        self._text: list[str] = []
        self._depth = self._silent = self._verbatim = 0

    def start(self, tag: str, attributes: Any) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable(f"This page is nested more than {DEEPEST} deep.")
        self._silent += tag in SILENT
        self._verbatim += tag == "pre"
        if tag in HEADINGS:
            self._outline.text(self._taken())
        elif tag not in INLINE:
            self._text.append("\n" if tag in LINES else "\n\n")

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._silent -= tag in SILENT
        self._verbatim -= tag == "pre"
        if tag in HEADINGS:
            self._outline.heading(HEADINGS[tag], self._taken())
        elif tag == "pre":
            self._text.append("\n\n")
        elif tag not in INLINE | LINES:
            self._text.append("\n")

    def data(self, data: str) -> None:
        if not self._silent:
            self._text.append(data if self._verbatim else " ".join(re.split(r"\s+", data)))

    def comment(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass

    def sections(self) -> list[Section]:
        self._outline.text(self._taken())
        return self._outline.sections

    def _taken(self) -> str:
        text, self._text = cleaned("".join(self._text)), []
        lines = [SPACES.sub(" ", line).rstrip() for line in text.split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
