"""The pages in other languages, and an API that speaks English."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from chatflow.answers.languages import words

ROOT = Path(__file__).resolve().parents[3]
OTHERS = [code for code, _ in settings.LANGUAGES if code != "en"]
# How the pages and the scripts name their words.
IN_TEMPLATES = re.compile(r"""{% translate (["'])(.+?)\1""")
IN_SCRIPTS = re.compile(r"""\bn?gettext\(\s*'((?:[^'\\]|\\.)+)'""")


def templates() -> set[str]:
    texts = (path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    return {found[1] for text in texts for found in IN_TEMPLATES.findall(text)}


def scripts() -> set[str]:
    texts = (path.read_text() for path in (ROOT / "static/chatflow/js/page").glob("*.js"))
    return {found for text in texts for found in IN_SCRIPTS.findall(text)}


@pytest.fixture
def signed_in(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_a_page_is_in_the_language_of_its_reader(signed_in: Client) -> None:
    page = signed_in.get("/ai-demo/chat/", headers={"Accept-Language": "de-AT, en;q=0.5"})
    text = page.content.decode()
    assert '<html lang="de"' in text
    assert "Was soll getan werden?" in text
    assert "Nachricht schreiben" in text
    assert page.headers["Content-Language"] == "de"
    assert "Accept-Language" in page.headers["Vary"]


@pytest.mark.parametrize("asked", ["en-GB", "fr", "", "*;;"])
def test_and_otherwise_english(signed_in: Client, asked: str) -> None:
    page = signed_in.get("/ai-demo/chat/", headers={"Accept-Language": asked})
    assert '<html lang="en"' in page.content.decode()
    assert "What shall be done?" in page.content.decode()


def test_the_page_to_sign_in(anonymous: Client, db: None) -> None:
    page = anonymous.get("/accounts/login/", headers={"Accept-Language": "de"})
    assert "Anmelden" in page.content.decode()
    # The thread goes on to speak English.
    assert translation.get_language() == "en-us"


def test_the_api_speaks_english(signed_in: Client) -> None:
    answer = signed_in.post(
        "/ai-demo/chat/send",
        {"message": ""},
        content_type="application/json",
        headers={"Accept-Language": "de"},
    )
    assert answer.json()["errors"] == {"message": ["This field may not be blank."]}
    assert "Content-Language" not in answer.headers


def test_words_are_found() -> None:
    assert len(templates()) > 40
    assert len(scripts()) > 90


@pytest.mark.parametrize("language", OTHERS)
def test_every_word_of_the_templates_is_translated(language: str) -> None:
    catalogue: Any = translation.trans_real.DjangoTranslation(language)
    assert templates() - set(catalogue._catalog.keys()) == set()


@pytest.mark.parametrize("language", OTHERS)
def test_every_word_of_the_scripts_is_translated(language: str) -> None:
    """`make words` collects them."""
    with translation.override(language):
        assert scripts() - set(words()) == set()


def test_english_brings_no_catalogue() -> None:
    with translation.override("en"):
        assert words() == {}
