"""Chatflow's settings, for one test."""

from typing import Any


def configure(settings: Any, **values: Any) -> None:
    """Change some keys of ``CHATFLOW`` until the test has ended.

    Args:
        settings: the fixture of pytest-django.
        values: the keys, with their values.
    """
    settings.CHATFLOW = {**settings.CHATFLOW, **values}
