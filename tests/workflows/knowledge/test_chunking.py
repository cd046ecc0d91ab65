"""From sections to chunks."""

import math

import pytest

from chatflow.workflows.knowledge.chunking import CHARACTERS, WORDS, chunks
from chatflow.workflows.knowledge.readers import Section


def test_a_short_section_is_a_chunk() -> None:
    [piece] = chunks([Section(("Deploy", "nginx"), "One.\n\nTwo.")])
    assert (piece.heading, piece.text) == ("Deploy > nginx", "One.\n\nTwo.")


def test_no_chunk_reaches_over_a_heading() -> None:
    pieces = list(chunks([Section(("A",), "a"), Section(("B",), "b")]))
    assert [(piece.heading, piece.text) for piece in pieces] == [("A", "a"), ("B", "b")]


def test_a_long_section_is_cut_between_paragraphs() -> None:
    paragraphs = [f"{number} " + "word " * 99 for number in range(10)]
    pieces = list(chunks([Section((), "\n\n".join(paragraphs))]))
    assert len(pieces) == 5
    assert all(len(piece.text.split()) <= WORDS for piece in pieces)
    assert [piece.text[0] for piece in pieces] == ["0", "2", "4", "6", "8"]


def test_nothing_is_lost_of_what_has_no_paragraphs_and_no_spaces() -> None:
    for text in ("word " * 5000, "字" * 20_000, "| a | b |\n" * 2000, "x" * 399 + " y" * 3000):
        pieces = list(chunks([Section((), text.strip())]))
        assert all(len(piece.text) <= CHARACTERS for piece in pieces)
        assert "".join("".join(piece.text for piece in pieces).split()) == "".join(text.split())


@pytest.mark.parametrize("line", ["a\n", "a\n\n", "\n    ", "a b "])
def test_a_megabyte_of_anything(line: str) -> None:
    text = (line * (1_000_000 // len(line))).strip()
    pieces = len(list(chunks([Section((), text)])))
    # As few as there can be.
    assert pieces == max(1, math.ceil(len(text.split()) / WORDS)) <= 2500
