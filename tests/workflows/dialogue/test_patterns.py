"""Patterns in schemas: those of pydantic's models, and no text keeps them busy."""

import pytest

from chatflow.workflows.dialogue.patterns import Validator


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        ("b", "abc", "ac"),
        (r"^\p{L}+$", "\N{LATIN SMALL LETTER E WITH ACUTE}t", "a1"),
        (r"^(?=.*\d).+$", "a1", "a"),
    ],
)
def test_it_works(pattern: str, right: str, wrong: str) -> None:
    validator = Validator({"pattern": pattern})

    assert validator.is_valid(right)
    assert not validator.is_valid(wrong)
    assert validator.is_valid(5)


def test_no_text_keeps_it_busy() -> None:
    """Python's own engine would need longer than the universe is old."""
    assert not Validator({"pattern": "^(a+)+$"}).is_valid("a" * 10_000 + "!")
