"""The words of an answer, without reasoning and in whole characters."""

import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from chatflow.workflows.ai.words import Words


def read(*pieces: str) -> tuple[str, str]:
    """Return the words of an answer, and what a client sees that is shown them as they come."""
    words, seen = Words(), ""
    for piece in (*pieces, None):
        withdrawn = words.withdrawn
        shown = words.close() if piece is None else words.take(piece)
        seen = shown if words.withdrawn > withdrawn else seen + shown
    return words.text, seen


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hello world.", "Hello world."),
        ("<think>secret</think>\n\nHello.", "Hello."),
        ("<think>secret</think>Hello. <think>more</think>Bye.", "Hello. Bye."),
        ("First. <thinking>secret</thinking>Then.", "First. Then."),
        ("secret</think>\n\nHello.", "Hello."),
        ("<think>secret", ""),
        ("<think></think>", ""),
        ("Say `<think>` and `</think>`.", "Say `<think>` and `</think>`."),
        ("a < b, <thin ice>, <b>c</b> <", "a < b, <thin ice>, <b>c</b> <"),
        ("<THINK>secret</THINK>Hello.", "Hello."),
        # Reasoning that ends in code, or mentions its own tag.
        ("<think>So it is `42`</think>42", "42"),
        ("<think>So it is `` `42` ``</think>42", "42"),
        ("<think>```\n42\n```</think>42", "42"),
        ("<think>Its `</think>` ends it.</think>42", "42"),
        ("So it is `42`</think>42", "42"),
        # Tags that an answer mentions without backticks before them.
        ("re.sub(r'<think>.*', '', s). Then go on.", "re.sub(r'<think>.*', '', s). Then go on."),
        ("<think>x</think>Write <think> or <think>.", "Write <think> or <think>."),
        ("Write `<think>x</think>`, ok?", "Write `<think>x</think>`, ok?"),
        ("Use `re.sub('</think>', '', s)`.", "Use `re.sub('</think>', '', s)`."),
    ],
)
def test_it_works(text: str, answer: str) -> None:
    """However it is cut into pieces."""
    assert read(text) == (answer, answer)
    assert read(*text) == (answer, answer)
    for place in range(len(text)):
        assert read(text[:place], text[place:]) == (answer, answer)


PIECES = st.sampled_from(["<think>", "</think>", "<thinking>", "`", "```", "\n", " ", "a", "<th"])


@rules(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_who_reads_piece_by_piece_has_the_same_answer(pieces: list[str]) -> None:
    """And so has a client that is shown the words as they come."""
    text = "".join(pieces)
    answer, _ = read(text)

    assert read(*pieces) == (answer, answer)
    assert read(*text) == (answer, answer)


def test_words_come_at_once() -> None:
    words = Words()

    assert [words.take(piece) for piece in ("Hel", "lo ", "wor")] == ["Hel", "lo ", "wor"]


def test_the_halves_of_a_character() -> None:
    assert read("Hello \ud83d", "\ude00 world") == ("Hello 😀 world", "Hello 😀 world")
    assert read("\ud83d\ude00") == ("😀", "😀")
    # The other one never came.
    assert read("Hello \ud83d", " world")[0] == "Hello \N{REPLACEMENT CHARACTER} world"
    assert read("\ud83d")[0] == "\N{REPLACEMENT CHARACTER}"
