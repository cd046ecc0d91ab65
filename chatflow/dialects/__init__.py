"""Wire encodings of the event log. A new one is a file of its own, and a line here."""

import functools

from django.utils.module_loading import import_string

from chatflow.conf import conf
from chatflow.dialects.base import BREAK, CLOSE, Dialect
from chatflow.dialects.encoding import Encoding, Missed
from chatflow.wire import routes

__all__ = [
    "BREAK",
    "CLOSE",
    "DEFAULT",
    "DIALECTS",
    "Dialect",
    "Encoding",
    "Missed",
    "dialect_at",
    "dialect_paths",
    "get_dialect",
    "served",
]

DIALECTS = {
    "seed": "chatflow.dialects.seed.Seed",
    "a2a": "chatflow.dialects.a2a.A2A",
    "ag-ui": "chatflow.dialects.ag_ui.AgUi",
    "ai-sdk": "chatflow.dialects.ai_sdk.AiSdk",
    "chat-completions": "chatflow.dialects.chat_completions.ChatCompletions",
    "responses": "chatflow.dialects.responses.Responses",
    "mcp": "chatflow.dialects.mcp.Mcp",
}
# The dialect of api.py.
DEFAULT = "seed"


@functools.cache
def get_dialect(name: str = DEFAULT) -> type[Dialect]:
    """Return the dialect of that name, one of DIALECTS."""
    dialect: type[Dialect] = import_string(DIALECTS[name])
    return dialect


def served() -> list[type[Dialect]]:
    """Return the dialects that have paths of their own, and aren't turned off."""
    return [get_dialect(name) for name in DIALECTS if name in conf.DIALECTS]


@functools.cache
def dialect_paths() -> tuple[str, ...]:
    """Return how the paths of all dialects begin that have some of their own."""
    return tuple(path for name in DIALECTS for path in get_dialect(name).paths)


def dialect_at(path: str) -> type[Dialect] | None:
    """Return the dialect that is spoken at *path* of this site, if it has paths of its own."""
    for rest in routes.below(routes.PROTOCOLS, path):
        for dialect in served():
            if f"/{rest}".startswith(dialect.paths) and _is_free(path):
                return dialect
    return None


def _is_free(path: str) -> bool:
    """Say whether *path* leads to no endpoint of the project's own."""
    found = routes.find(path)
    return found is None or routes.is_of(found, routes.PROTOCOLS)
