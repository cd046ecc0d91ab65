"""The part of a text that fits a question."""

import re

import pytest

from chatflow.workflows.knowledge.excerpts import LENGTH, MARKS, excerpt
from chatflow.workflows.knowledge.words import words_of

# It needs no database: once is enough.
pytestmark = pytest.mark.sqlite


def marked(text: str, question: str) -> str:
    """Return the excerpt, with brackets for the marks."""
    return excerpt(text, words_of(question)).translate({ord(MARKS[0]): "[", ord(MARKS[1]): "]"})


@pytest.mark.parametrize(
    ("text", "question", "made"),
    [
        ("The <b>streams</b> (SSE).", "streaming SSE", "The <b>[streams]</b> ([SSE])."),
        ("Ein “Café\u0301”.", "cafe", "Ein “[Café\u0301]”."),
        ("Then createuser asks.", "create", "Then [createuser] asks."),
        ("高い東京タワーの下", "東京タワー", "高い[東京タワー]の下"),
        ("高い東京", "京", "高い東[京]"),
        ("tv漢字", "漢字 tv", "[tv漢字]"),
        ("words", "others", "words"),
        ("", "others", ""),
    ],
)
def test_it_works(text: str, question: str, made: str) -> None:
    assert marked(text, question) == made


def test_the_part_that_has_most_of_the_words() -> None:
    text = "red " + "filler words " * 60 + "a red and green thing " + "and more " * 60
    found = marked(text, "red green")
    assert found.startswith("…")
    assert "[red] and [green]" in found
    assert len(re.sub(r"[\[\]]", "", found)) == LENGTH + 1
    assert not found.startswith("…iller")


@pytest.mark.parametrize("part", ["red ", "red", "字", "字 ", "-\n", "\u0301"])
def test_hostile_text(part: str) -> None:
    assert len(marked(part * (4000 // len(part)), "red 字")) <= 3 * LENGTH + 1
