"""Questions in many languages, as people ask them."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from chatflow.workflows.knowledge.languages import shares
from chatflow.workflows.knowledge.prompting import offline_answer
from chatflow.workflows.knowledge.search import search
from chatflow.workflows.knowledge.words import words_of
from tests.workflows.knowledge.conftest import Shelve
from tests.workflows.knowledge.languages import LANGUAGES, Language

Quote = Callable[[str], str]


@pytest.fixture
def quote(shelve: Shelve, alice: User) -> Quote:
    """Return what quotes all these documents, which are on the shelf together."""
    for language in LANGUAGES.values():
        shelve(language.text, title=language.title)

    def quote(question: str) -> str:
        return offline_answer(search(question, user=alice)) or ""

    return quote


def test_each_is_answered_from_its_document(quote: Quote) -> None:
    def answered(language: Language) -> bool:
        _, _, passages = quote(language.question).partition("\n\n")
        return passages.startswith(f"{language.title}:\n\n{language.text}")

    assert [name for name, each in LANGUAGES.items() if not answered(each)] == []


def test_nothing_answers_what_is_about_something_else(quote: Quote) -> None:
    asked = [question for each in LANGUAGES.values() for question in (each.foreign, each.alike)]
    assert [question for question in asked if quote(question)] == []


def asking(question: str, *, nowhere: str = "") -> dict[str, float]:
    return shares(question, {word: word not in nowhere.split() for word in words_of(question)})


@pytest.mark.parametrize(
    "question",
    [
        "How did the war end, and did he die of it?",
        "Who has seen the job queue?",
        "nginx buffering timeout",
        "?!",
    ],
)
def test_english_is_left_alone(question: str) -> None:
    assert asking(question, nowhere="war die queue nginx") == {}


def test_a_stop_word_says_little_in_its_language() -> None:
    assert asking("Wer war die Frau?", nowhere="wer") == {"wer": 0.1, "war": 0.1, "die": 0.1}
    assert asking("¿Dónde está la llave?", nowhere="donde") == {
        "donde": 0.1,
        "esta": 0.1,
        "la": 0.1,
    }


def test_a_stop_word_of_a_script_without_spaces_covers_its_neighbours() -> None:
    assert asking("电梯在哪里？").keys() == {"梯在", "在哪", "哪里"}
    assert asking("ห้องสมุดอยู่ที่ไหน").keys().isdisjoint({"ห้", "สม", "มุ", "ุด"})


def test_a_language_without_a_list() -> None:
    """One of the words that no document has may be the one that asks."""
    assert asking("የምሳ ሰዓት መቼ ነው?", nowhere="መቼ") == {"መቼ": 0.5}
    assert asking("የት ነው የምሳ ሰዓት?", nowhere="የት የምሳ") == {"የት": 0.5}
    assert asking("የምሳ ሰዓት መቼ ነው?") == {}
