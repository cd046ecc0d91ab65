"""Short pieces of texts: titles, and the places where words stand."""

import pytest

from chatflow.workflows.dialogue.excerpts import BEFORE, LENGTH, cut, find_words, fold

# It needs no database: once is enough.
pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("", ""),
        ("one two", "one two"),
        ("  one\n\n two\t", "one two"),
        ("exactly 10", "exactly 10"),
        ("one two three four", "one two…"),
        ("Donaudampfschiff", "Donaudamp…"),
        ("a Donaudampfschiff", "a Donauda…"),
        ("日本語で書かれた長い文章", "日本語で書かれた長…"),
    ],
)
def test_a_text_is_cut_at_a_word(text: str, made: str) -> None:
    assert cut(text, 10) == made
    assert len(made) <= 10


def test_case_width_and_composition_are_one() -> None:
    assert fold("STRASSE") == fold("straße")
    assert fold("ＡＢＣ") == fold("abc")
    assert fold("Cafe\u0301") == fold("café")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The invoice for Acme", "acme INVOICE"),
        ("Die Straße nach Köln", "STRASSE ko\u0308ln"),
        ("東京タワーの下", "タワー"),
        ("undoable", "do"),
    ],
)
def test_all_words_are_found(text: str, query: str) -> None:
    assert find_words(text, query) == text


@pytest.mark.parametrize(
    ("text", "query"), [("The invoice", "invoice Acme"), ("words", ""), ("words", "  "), ("", "a")]
)
def test_not_all_words_are_there(text: str, query: str) -> None:
    assert find_words(text, query) == ""


def test_the_place_of_a_long_text() -> None:
    text = f"{'before ' * 100}Acme {'after ' * 100}"
    place = find_words(text, "acme")
    assert 0 < place.index("Acme") <= BEFORE + 1
    assert place.startswith("…")
    assert place.endswith("…")
    assert len(place) <= LENGTH + 1


def test_a_text_that_grows_when_it_is_folded_has_a_place_too() -> None:
    """One of these signs is eighteen characters of Arabic."""
    assert "Acme" in find_words("\ufdfa" * 50 + " Acme", "acme")
