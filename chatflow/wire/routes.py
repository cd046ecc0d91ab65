"""Where the API and the other clients' protocols are: the project's URLconf alone knows it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from django.urls import (
    Resolver404,
    ResolverMatch,
    URLResolver,
    get_resolver,
    get_urlconf,
    resolve,
)
from django.urls.resolvers import LocalePrefixPattern

# The names of api.py and protocols.py, wherever a project includes them.
API = "chatflow"
PROTOCOLS = "chatflow_protocols"
# The names of the streams that the event loop answers by itself, and how their paths end: no other
# path needs to be looked up there.
STREAMS = ("stream", "stream_all")
ENDING = re.compile(r"/(?:workflow/stream/[^/]+|chat/stream)\Z")
# How the path of the overview's stream ends, in whatever admin.
OVERVIEW = "/chatflow_workflows/figures/stream"

Place = tuple[Any, ...]


def find(path: str) -> ResolverMatch | None:
    """Return the endpoint at *path* of this site, if there is one."""
    try:
        return resolve(path)
    except Resolver404:
        return None


def find_stream(path: str) -> ResolverMatch | None:
    """Return the stream at *path* of this site, if that is one; quickly, if it isn't."""
    found = find(path) if may_be_stream(path) else None
    is_stream = found is not None and is_of(found, API) and found.url_name in STREAMS
    return found if is_stream else None


def may_be_stream(path: str) -> bool:
    """Say whether it is worth a look which endpoint is at *path*, prefixes and all."""
    return ENDING.search(path) is not None


def may_be_opening(path: str) -> bool:
    """Say whether a view of an admin's answers at *path* by an Opening: see openings.py."""
    return path.endswith(OVERVIEW)


def is_of(found: ResolverMatch | None, name: str) -> bool:
    """Say whether an endpoint is one of the API, or of the protocols.

    Args:
        found: the endpoint.
        name: API or PROTOCOLS.
    """
    return found is not None and found.app_names[-1:] == [name]


def below(name: str, path: str) -> Iterator[str]:
    """Yield the rest of *path*, which is a site's, behind each place that it may be below.

    Args:
        name: of what is included there: API or PROTOCOLS.
        path: as urls.py knows it.
    """
    for place in _places(get_resolver(get_urlconf()), name):
        rest: str | None = path
        for pattern in place:
            found = None if rest is None else pattern.match(rest)
            rest = found[0] if found else None
        if rest is not None:
            yield rest


def is_below_language(name: str) -> bool:
    """Say whether the project's URLconf has something below ``i18n_patterns``.

    Args:
        name: of what is included there: API or PROTOCOLS.
    """
    places = _places(get_resolver(), name)
    return any(isinstance(pattern, LocalePrefixPattern) for place in places for pattern in place)


def prefixes(name: str) -> list[str]:
    """Return below which paths, as far as they were written, something is included.

    Args:
        name: of what is included there: API or PROTOCOLS.
    """
    # The first pattern is the slash of the whole site.
    return ["".join(map(str, place[1:])) for place in _places(get_resolver(), name)]


def load() -> None:
    """Load the URLconf, which else the first request does; of what is wrong there Django tells."""
    with suppress(Exception):
        _places(get_resolver(), API)


@lru_cache(maxsize=16)
def _places(root: URLResolver, name: str) -> list[Place]:
    """Return where something is included: each time the patterns that lead there."""
    return list(_walk(root, name, ()))


def _walk(here: URLResolver, name: str, way: Place) -> Iterator[Place]:
    way = (*way, here.pattern)
    if here.app_name == name:
        yield way
        return
    for each in here.url_patterns:
        if isinstance(each, URLResolver):
            yield from _walk(each, name, way)
