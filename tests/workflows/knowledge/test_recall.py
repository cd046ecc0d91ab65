"""The labels of the questions in bench/ still name sections that are there."""

from pathlib import Path

import pytest

from bench.questions import FOREIGN, QUESTIONS, UNSEEN
from chatflow.workflows.knowledge.readers import read

ROOT = Path(__file__).resolve().parents[3]
# It needs no database: once is enough.
pytestmark = pytest.mark.sqlite


def test_every_label_names_a_section() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    sections = {
        f"{page.name}#{section.headings[-1]}"
        for page in pages
        for section in read(page.read_bytes(), "text/markdown")
        if section.headings
    }
    labels = set().union(*QUESTIONS.values(), *UNSEEN.values())
    assert labels - sections == set()


def test_there_are_enough_questions() -> None:
    assert len(QUESTIONS) + len(UNSEEN) >= 40
    assert not set(QUESTIONS) & (set(UNSEEN) | set(FOREIGN))
