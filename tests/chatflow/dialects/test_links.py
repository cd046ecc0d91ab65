"""Addresses that a page may link to."""

from typing import Any

import pytest

from chatflow.dialects.links import is_link, link_of, linked


@pytest.mark.parametrize("url", ["https://a.example/", "http://a.example/", "/documents/1", "x#y"])
def test_it_works(url: str) -> None:
    source = {"title": "T", "url": url}
    assert is_link(url)
    assert link_of(source) == url
    assert linked([source]) == [source]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "http://[x"]
)
def test_what_no_page_may_link_to(url: str) -> None:
    source = {"title": "T", "url": url}
    assert not is_link(url)
    assert link_of(source) == ""
    assert linked([source]) == [{"title": "T"}]


def test_a_source_without_an_address_stays_as_it_is() -> None:
    sources: list[dict[str, Any]] = [
        {"title": "T"},
        {"title": "T", "url": ""},
        {"title": "T", "url": None},
    ]
    assert linked(sources) == sources
