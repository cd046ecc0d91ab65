"""Chatflow's settings, for a while."""

from typing import Any

from django.test import override_settings

from chatflow import conf


def overridden(**values: Any) -> override_settings:
    """Return a context manager in which some keys of ``CHATFLOW`` are others.

    Args:
        values: the keys, with their values.
    """
    return override_settings(CHATFLOW={**conf.written(), **values})
