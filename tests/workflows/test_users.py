"""A user model need not know of deactivation, nor keep passwords."""

from types import SimpleNamespace
from typing import Any

import pytest

from chatflow.workflows.users import is_active, password_of


@pytest.mark.parametrize(
    ("user", "active", "password"),
    [
        (SimpleNamespace(), True, ""),
        (SimpleNamespace(is_active=False, password=None), False, ""),
        (SimpleNamespace(is_active=True, password="hash"), True, "hash"),
    ],
)
def test_users_of_any_model(user: Any, active: bool, password: str) -> None:
    assert (is_active(user), password_of(user)) == (active, password)
