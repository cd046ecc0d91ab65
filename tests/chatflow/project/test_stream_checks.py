"""What ``manage.py check`` says of a project's asgi.py."""

import sys
from pathlib import Path
from typing import Any

import pytest

from chatflow.project.stream_checks import check_streams

PLAIN = """
from django.core.asgi import get_asgi_application
application = get_asgi_application()
"""
WITH_STREAMS = """
from chatflow.web import with_streams
application = with_streams(get_asgi_application())
"""
DOTTED = """
import chatflow.web
application = chatflow.web.with_streams(get_asgi_application())
"""
UNUSED = """
from chatflow.web import with_streams
application = get_asgi_application()
"""


def found(settings: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> list[Any]:
    (folder / "their_asgi.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    settings.ASGI_APPLICATION = "their_asgi.application"
    warnings = check_streams(None)
    # Its import could do anything.
    assert "their_asgi" not in sys.modules
    return [each.id for each in warnings]


@pytest.mark.parametrize(
    ("source", "ids"),
    [
        (PLAIN, ["chatflow.W003"]),
        (UNUSED, ["chatflow.W003"]),
        (WITH_STREAMS, []),
        (DOTTED, []),
        ("from their.servers import made as application", []),
        ("def", []),
    ],
)
def test_it_works(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, ids: list[str]
) -> None:
    assert found(settings, monkeypatch, tmp_path, source) == ids


@pytest.mark.parametrize(
    "named", [None, "chatflow.asgi.application", "nowhere.asgi.application", "application"]
)
def test_where_nothing_can_be_said(settings: Any, named: str | None) -> None:
    settings.ASGI_APPLICATION = named
    if named is None:
        # Django itself has no such setting.
        del settings.ASGI_APPLICATION
    assert check_streams(None) == []


@pytest.mark.parametrize(("source", "ids"), [(PLAIN, ["chatflow.W003"]), (WITH_STREAMS, [])])
def test_the_asgi_py_beside_the_urls_counts(
    source: str, ids: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``startproject`` makes one, and names it nowhere."""
    site = tmp_path / f"site{len(ids)}"
    site.mkdir()
    (site / "__init__.py").touch()
    (site / "asgi.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    del settings.ASGI_APPLICATION
    settings.ROOT_URLCONF = f"{site.name}.urls"
    assert [each.id for each in check_streams(None)] == ids
