"""Words, however they are spelled."""

import pytest

from chatflow.workflows.knowledge.words import indexed, spans, terms, words, words_of

# It needs no database: once is enough.
pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("WORKFLOW_LEASE_SECONDS in nginx.conf", "workflow lease seconds in nginx conf"),
        ("Café CAFE\u0301 cafe", "cafe cafe cafe"),
        ("\ufb01le ① ½ ｆｕｌｌ", "file 1 1 2 full"),
        ("Straße STRASSE ΣΟΦΟΣ σοφος İ", "strasse strasse σοφοσ σοφοσ i"),
        ("co\u00adop\u200det \u2067right\u2069", "coopet right"),
        ("docu-\n  ment print\u00ad\ner", "document docu ment printer print er"),
        ("a - b -\nc d-\n-e 1-2", "a b c d e 1 2"),
        ("東京タワー", "東京 京タ タワ ワー"),
        ("東京\nタワー 字 ok漢字", "東京 京タ タワ ワー 字 ok 漢字"),
        ("ｶﾞｷﾞ", "ガギ"),
        ("ดีมาก", "ดี ีม มา าก"),
        ("हिन्दी में", "हिन्दी में"),
        ("한국어를", "한국어를"),
        ("שָׁלוֹם مُحَمَّد", "שלום محمد"),
        ("❤️ 1️⃣ _ \ue000 \x00", "1"),
        ("\x1a a\x1ab", "ab a b"),
    ],
)
def test_it_works(text: str, made: str) -> None:
    assert " ".join(words(text)) == made


def test_a_document_also_has_each_character() -> None:
    assert terms("東京 tower") == ["東", "京", "東京", "tower"]
    assert words_of("京") == ["京"]


def test_a_question_needs_more_than_a_letter() -> None:
    assert words_of("a b or c, и 5?") == []


def test_what_a_text_is_about() -> None:
    about, own = indexed("The Printers > Set up", "Ink, ink and ink. The the the paper.")
    assert about == "printer set ink"
    assert own == "ink ink and ink the the the paper"


def test_where_words_stand() -> None:
    text = "Ein “Café\u0301”, 東京."
    assert [text[start:end] for start, end in spans(text)] == ["Ein", "Café\u0301", "東京"]


@pytest.mark.parametrize(
    "part", ["a", " ", "-\n", "a-\n", "字", "字\n", "\ufdfa", "\u0301", "_", "\x1a", "a\x1a"]
)
def test_hostile_text(part: str) -> None:
    """The time grows with the length, and no word is without an end."""
    assert all(len(word) <= 50 for word in terms(part * (200_000 // len(part))))
    assert len(words_of(part * 4000)) <= 32
