"""What the endpoints of all dialects have in common."""

import pytest
from rest_framework.exceptions import ValidationError

from chatflow.endpoints.speaking import check_text


def test_what_is_said_may_be_long() -> None:
    assert check_text(f" {'x' * 10_000}\n") == "x" * 10_000


@pytest.mark.parametrize("text", ["", " \n", "a\0b", None, 5])
def test_there_must_be_words(text: str) -> None:
    with pytest.raises(ValidationError):
        check_text(text)
