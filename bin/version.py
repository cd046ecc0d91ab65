"""The version of a wheel that is built here: pyproject.toml asks for it."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What a wheel is made of.
FOLDERS = ("chatflow", "templates", "static", "locale")
FILES = ("pyproject.toml", "bin/version.py", "README.md", "LICENSE")


def version(root: Path = ROOT) -> str:
    """Return the package's version, with a ``+dirty`` behind it unless git vouches for the files.

    Args:
        root: a checkout; or an unpacked sdist, for which git has been asked when it was made.
    """
    text = (root / "chatflow/__init__.py").read_text()
    [number] = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return number if is_clean(root) else f"{number}+dirty"


def is_clean(root: Path) -> bool:
    """Say whether all that goes into a wheel is committed; a git that can't be asked won't say."""
    if not (root / ".git").exists():
        return True
    command = ["git", "-C", str(root), "status", "--porcelain", "--", *FOLDERS, *FILES]
    try:
        said = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return not said
