"""The mistake of an edit, from the parent to the web server that runs on."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatflow.development import MISTAKE, note

SAID = """chatflow: The workflows of an app can't be imported.
Traceback (most recent call last):
  File "{root}/team/workflows.py", line 27
    def count( -> int:
               ^
SyntaxError: '(' was never closed
"""


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[note.Note]:
    kept = note.Note()
    monkeypatch.setenv(MISTAKE, str(kept.path))
    yield kept
    kept.close()


def test_it_works(kept: note.Note, tmp_path: Path) -> None:
    assert note.is_kept()
    assert note.read() is None
    kept.write(SAID.format(root=tmp_path), tmp_path)

    found = note.read()
    assert found is not None
    assert (found["place"], found["error"]) == (
        "team/workflows.py:27",
        "SyntaxError: '(' was never closed",
    )
    assert 'File "team/workflows.py", line 27\n' in found["text"]
    # The code that it quotes is its author's.
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    kept.erase()
    assert note.read() is None
    kept.erase()
    kept.close()
    assert not kept.path.parent.exists()


def test_what_is_no_traceback(kept: note.Note, tmp_path: Path) -> None:
    kept.write("chatflow: A trigger is a list of texts.", tmp_path)

    expected = {"place": "", "error": "", "text": "chatflow: A trigger is a list of texts."}
    assert note.read() == expected


def test_where_nobody_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MISTAKE, raising=False)

    assert not note.is_kept()
    assert note.read() is None
