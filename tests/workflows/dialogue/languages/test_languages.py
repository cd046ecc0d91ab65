"""A language that is added, and what stays as it is in English."""

from dataclasses import replace

import pytest

from chatflow.workflows.dialogue import languages
from chatflow.workflows.dialogue.answers import consent, yes_or_no
from chatflow.workflows.dialogue.languages import LANGUAGES
from chatflow.workflows.dialogue.languages.base import Language, phrases
from chatflow.workflows.dialogue.languages.english import ENGLISH
from tests.workflows.chat import Chat
from tests.workflows.dialogue.languages.contract import LanguageContract
from tests.workflows.dialogue.test_answers import NEITHER, NO, YES, cases

GERMAN = Language(
    code="de",
    cancel=phrases("abbrechen, vergiss es"),
    skip=phrases("weiter"),
    yes=phrases("ja, jawohl, gern"),
    no=phrases("nein, nicht"),
    assent=phrases("passt so"),
    polite=phrases("bitte, danke"),
    please=phrases("bitte"),
    because=phrases("weil, denn"),
    hedge=phrases("aber, nur"),
    nth=phrases("nummer"),
)


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "LANGUAGES", (*LANGUAGES, GERMAN))


@pytest.mark.usefixtures("german")
class TestOneMore(LanguageContract):
    language = GERMAN
    agrees = ["Ja!", "ja bitte", "Jawohl, danke.", "bitte passt so"]
    refuses = ["Nein.", "nein danke", "bitte nicht"]
    unclear = ["ja und nein", "ja nein", "ja?", "jagen", "bitte", "ja thanks"]
    reasons = [
        ("ja, weil es alt ist", True, "es alt ist"),
        ("Nein: zu teuer", False, "zu teuer"),
        ("nein, zu teuer", False, "zu teuer"),
    ]
    hedged = ["ja, aber nur das erste", "ja weil es alt ist, aber warte"]

    @pytest.mark.parametrize(
        ("table", "verdict"), [(YES, True), (NO, False), (NEITHER, None)], ids=["yes", "no", "none"]
    )
    def test_english_stays_as_it_is(self, table: str, verdict: bool | None) -> None:
        for text in cases(table):
            assert yes_or_no(text) is verdict, text
        assert consent("yes because it is old") == (True, "it is old")
        assert consent("no, weil es alt ist") == (False, "es alt ist")

    @pytest.mark.django_db
    @pytest.mark.parametrize(("text", "response"), [("Ja!", "Saved."), ("nein danke", "Nothing.")])
    def test_a_question_is_answered(self, chat: Chat, text: str, response: str) -> None:
        chat.begin(lambda ctx: "Saved." if ctx.confirm("Save it?") else "Nothing.")
        assert chat.say(text).response == response

    @pytest.mark.django_db
    def test_a_question_is_cancelled(self, chat: Chat) -> None:
        chat.begin(lambda ctx: "Saved." if ctx.confirm("Save it?") else "Nothing.")
        assert chat.say("Abbrechen.").response == "Cancelled."


def test_what_two_languages_read_differently_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    contrary = replace(GERMAN, code="xx", yes=phrases("no"), no=phrases("yes"))
    monkeypatch.setattr(languages, "LANGUAGES", (ENGLISH, contrary))
    assert yes_or_no("no") is None
    assert yes_or_no("nope") is False


def test_a_language_without_such_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty sets mean nothing, and not everything."""
    none: frozenset[str] = frozenset()
    few = replace(GERMAN, assent=none, please=none, because=none, hedge=none, nth=none)
    monkeypatch.setattr(languages, "LANGUAGES", (ENGLISH, few))
    assert consent("ja") == (True, "")
    assert consent("ja zu teuer") is None
    assert consent("ja: 4711") == (True, "4711")
    assert consent("yes we moved") is None
    assert consent("yes since we moved") == (True, "we moved")
