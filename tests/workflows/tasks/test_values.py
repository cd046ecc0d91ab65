from typing import Any

import pytest

from chatflow.workflows.tasks.values import check_storable, printable


@pytest.mark.parametrize(
    "value", [None, 1.5, "", "\\u0000", "\\\\u0000", "\n\x01\u20ac😀", {"a": [1]}]
)
def test_json(value: Any) -> None:
    check_storable(value)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("-inf"), "\x00", "\\\x00", ["\\\\\x00"], {"\ud800": 1}, "😀\udfff"],
)
def test_what_postgresql_refuses(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_storable(value)


def test_text() -> None:
    assert printable("a\x00b\udfff😀\n") == "a\\x00b\\udfff😀\n"
