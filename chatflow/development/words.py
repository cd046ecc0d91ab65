"""What the parent says in the terminal."""

import os
import sys


def say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Nobody reads any more, which is no reason to stop, nor to fail while stopping.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
