"""Addresses that a page may link to: a client may do so with a source's as it stands."""

from typing import Any
from urllib.parse import urlsplit

# An address of this site has none.
SCHEMES = ("", "http", "https")


def is_link(url: str) -> bool:
    """Say whether a page may link to *url*."""
    try:
        return urlsplit(url).scheme in SCHEMES
    except ValueError:
        return False


def link_of(source: dict[str, Any]) -> str:
    """Return the address of a source; empty where it has none that a page may link to."""
    url = str(source.get("url") or "")
    return url if is_link(url) else ""


def linked(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *sources* without the addresses that no page may link to."""
    return [source if link_of(source) else _without_url(source) for source in sources]


def _without_url(source: dict[str, Any]) -> dict[str, Any]:
    # One that has none stays as it is.
    if not source.get("url"):
        return source
    return {name: each for name, each in source.items() if name != "url"}
