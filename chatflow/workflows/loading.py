"""Loading modules: without looking at them for garbage, which took a sixth of each start."""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any


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


def without(module: str) -> AbstractContextManager[None]:
    """Let *module* be missing meanwhile, for what loads it only where it's there.

    Args:
        module: its dotted name. If it is loaded already, it stays.
    """
    return _in_place_of(module, None)


def deferred(module: str) -> AbstractContextManager[None]:
    """Let *module* be loaded only when it's used, by what imports its functions and classes now.

    Args:
        module: its dotted name. If it is loaded already, it stays.
    """
    return _in_place_of(module, _Deferred(module))


@contextmanager
def _in_place_of(module: str, other: ModuleType | None) -> Iterator[None]:
    if module in sys.modules:
        yield
        return
    sys.modules[module] = other  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


class _Deferred(ModuleType):
    """In the place of a module, whose names stand for functions and classes that are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*args, **kwargs)

        return call
