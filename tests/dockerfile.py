"""The Dockerfile's instructions, for tests that look at them or follow them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with what stands behind it, in one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


def of(name: str) -> list[str]:
    """Return what stands behind each instruction of that name."""
    return [rest for each, rest in instructions() if each == name]


def copied() -> list[tuple[list[str], str]]:
    """Return what the last stage takes of this checkout: sources, and where they go."""
    found: list[tuple[list[str], str]] = []
    for name, rest in instructions():
        if name == "FROM":
            found = []
        if name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            found.append((sources, target))
    return found
