"""Throw-away virtual environments, for peers whose packages are none of Chatflow's."""

import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT

# Kept for the next run; git ignores it.
FOLDER = ROOT / ".bench-venv"


def python_with(requirements: Path) -> str:
    """Return the Python of an environment with these packages alone; the first time it's made.

    Args:
        requirements: a file of exact versions; when it changes, so does the environment.
    """
    folder = FOLDER / requirements.stem
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = requirements.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        print(f"Installing {requirements.stem} into {folder} …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, "--requirement", str(requirements)], check=True)
        installed.write_text(wanted)
    return str(python)
