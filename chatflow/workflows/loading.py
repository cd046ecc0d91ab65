"""Loading modules: without looking at them for garbage, which took a sixth of each start."""

import gc
import sys
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


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let *module* be missing meanwhile, for what loads it only where it's there.

    Args:
        module: its dotted name. If it is loaded already, it stays.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
