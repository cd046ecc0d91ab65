"""Check of the project's asgi.py: whether its application has the streams."""

import ast
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register

from chatflow.workflows.checks import HTTP


@register(HTTP)
def check_streams(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of an ASGI application without the streams."""
    named = find_application()
    if not named or named.startswith("chatflow.") or may_have_streams(named):
        return []
    return [
        checks.Warning(
            f"{named} has no streams: chats look again and again how far their jobs are.",
            hint="Write application = with_streams(get_asgi_application()) there, with "
            "from chatflow.web import with_streams.",
            id="chatflow.W003",
        )
    ]


def find_application() -> str:
    """Return the ASGI application that the settings name, or else that of the asgi.py that
    ``startproject`` has made; empty for none.
    """
    if named := getattr(settings, "ASGI_APPLICATION", None):
        return str(named)
    package = getattr(settings, "ROOT_URLCONF", "").rpartition(".")[0]
    return f"{package}.asgi.application" if package and _read(f"{package}.asgi") else ""


def may_have_streams(named: str) -> bool:
    """Say whether an ASGI application may have the streams, as far as its source tells.

    The module is not imported: that sets Django up once more, and may do anything.

    Args:
        named: the application, as ASGI_APPLICATION has it.
    """
    module, _, name = named.rpartition(".")
    tree = _read(module)
    if tree is None:
        return True
    is_made_elsewhere = name in {each for node in tree.body for each in _imported(node)}
    return is_made_elsewhere or any("with_streams" in _named(node) for node in ast.walk(tree))


def _read(module: str) -> ast.Module | None:
    """Return a module's source; None where there is none that can be read."""
    try:
        spec = find_spec(module)
        return ast.parse(Path(spec.origin).read_bytes()) if spec and spec.origin else None
    except (ImportError, OSError, SyntaxError, ValueError):
        return None


def _named(node: ast.AST) -> Iterator[str]:
    """Yield the names that a piece of source mentions."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr


def _imported(node: ast.AST) -> Iterator[str]:
    """Yield the names that an import gives."""
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name
