"""Loading modules without looking at them for garbage, which took a sixth of each start."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Don't look for garbage meanwhile. What was loaded then is kept, and never looked at again."""
    gc.disable()
    try:
        yield
    finally:
        keep_loaded()


def keep_loaded() -> None:
    """Look for garbage from now on, though not in what is there already."""
    gc.freeze()
    gc.enable()
