"""Which lines of a traceback are the author's."""

import traceback
from pathlib import Path

import pytest

from chatflow.development.mistakes import Place, find_place, shorten, summarize

ROOT = Path(__file__).resolve().parents[3]
SITE_PACKAGES = "/srv/.venv/lib/python3.11/site-packages"
# A workflow that a library failed in.
DEEP = f"""Traceback (most recent call last):
  File "{ROOT}/chatflow/workflows/running/runner.py", line 10, in _call
    return run.workflow.function(run.context)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/team/workflows.py", line 20, in report
    ctx.step("Adding", add, 1)
  File "{ROOT}/chatflow/workflows/running/steps.py", line 30, in step
    return function(*args)
  File "/srv/team/numbers.py", line 7, in add
    return library.add(n)
  File "{SITE_PACKAGES}/library.py", line 99, in add
    raise ValueError
ValueError: It is too long.
And it has a second line.
"""
UNREADABLE = f"""Traceback (most recent call last):
  File "<frozen importlib._bootstrap>", line 1, in _load
  File "{SITE_PACKAGES}/django/apps/config.py", line 2, in ready
    autodiscover()
  File "/srv/team/workflows.py", line 3
    def report(:
               ^
SyntaxError: invalid syntax
"""


def test_the_place_is_the_authors_last_line() -> None:
    place = find_place(DEEP)

    assert place == Place("/srv/team/numbers.py", 7)
    assert find_place(UNREADABLE) == Place("/srv/team/workflows.py", 3)


def test_a_place_is_shown_from_where_one_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")

    assert str(Place("/srv/team/numbers.py", 7)) == "srv/team/numbers.py:7"


@pytest.mark.parametrize(
    "name", ["chatflow/workflows/library/chat.py", "workflows/invoicing/workflows.py"]
)
def test_what_is_built_on_the_engine_is_an_authors(name: str) -> None:
    text = DEEP.replace("/srv/team/numbers.py", f"{ROOT}/{name}")

    assert find_place(text) == Place(f"{ROOT}/{name}", 7)


def test_the_last_line_of_all_where_none_is_the_authors() -> None:
    text = DEEP.replace("/srv/team/", f"{SITE_PACKAGES}/team/")

    assert find_place(text) == Place(f"{SITE_PACKAGES}/library.py", 99)
    assert find_place("The workflow ran too long.") is None


def test_the_error_in_a_line() -> None:
    assert summarize(DEEP) == "ValueError: It is too long."
    assert summarize(UNREADABLE) == "SyntaxError: invalid syntax"
    assert summarize("") == ""


def test_an_error_of_this_python() -> None:
    try:
        int("one")
    except ValueError as error:
        text = "".join(traceback.format_exception(error))
        line = error.__traceback__.tb_lineno if error.__traceback__ else 0

    assert summarize(text) == "ValueError: invalid literal for int() with base 10: 'one'"
    assert find_place(text) == Place(__file__, line)


def test_only_the_authors_frames_are_shown() -> None:
    assert shorten(f"A warning.\n{UNREADABLE}", Path("/srv")) == (
        "A warning.\n"
        "Traceback (most recent call last):\n"
        '  File "team/workflows.py", line 3\n'
        "    def report(:\n"
        "               ^\n"
        "SyntaxError: invalid syntax\n"
    )


def test_all_frames_where_none_is_the_authors() -> None:
    text = UNREADABLE.replace("/srv/team/", f"{SITE_PACKAGES}/team/")

    assert shorten(text, Path("/elsewhere")) == text


def test_what_is_no_traceback() -> None:
    assert shorten("chatflow: SECRET_KEY is not set.", Path("/srv")) == (
        "chatflow: SECRET_KEY is not set."
    )
