"""Markdown: its source is the text, for it is made to be read; a parser finds the headings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from chatflow.workflows.knowledge.readers.base import Outline, Reader, Section, decoded

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


class Markdown(Reader):
    kind = "text/markdown"
    label = "Markdown"
    suffixes = (".md", ".markdown")
    media_types = ("text/markdown",)

    def read(self, content: bytes) -> list[Section]:
        text = decoded(content)
        lines = text.split("\n")
        outline = Outline()
        below = 0
        for opening, name in _headings(_parser().parse(text)):
            assert opening.map is not None
            first, after = opening.map
            outline.text("\n".join(lines[below:first]))
            outline.heading(int(opening.tag[1]), name.replace("`", ""))
            below = after
        outline.text("\n".join(lines[below:]))
        return outline.sections


@cache
def _parser() -> MarkdownIt:
    # Here, as only the processes that read documents need it.
    from markdown_it import MarkdownIt

    # Only the blocks: bold text inside them doesn't matter, nor how deep it is nested.
    return MarkdownIt("commonmark").disable("inline")


def _headings(tokens: list[Token]) -> list[tuple[Token, str]]:
    """Return the headings that are nobody's content, as one in a list would be."""
    return [
        (token, tokens[index + 1].content)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
