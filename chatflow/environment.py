"""`.env`: read by the settings, and by bin/demo before there are any."""

import io
import re
from pathlib import Path

import environ


def read_env_file(path: Path, env: environ.Env) -> None:
    """Read ``NAME=value`` lines; what *env* has already wins. A comment may follow after a space.

    django-environ's own ``parse_comments`` would also cut a key or a password at any ``#``.
    """
    value = r""""[^"]*"|'[^']*'|(?!["']).*?"""
    commented = rf"^((?:export )?\w+=(?:{value}))[ \t]+#.*$"
    text = path.read_text("utf-8") if path.exists() else ""
    env.read_env(io.StringIO(re.sub(commented, r"\1", text, flags=re.MULTILINE)))
