"""Wire encodings of the event log. A new one is a file of its own, and a line here."""

import functools

from django.utils.module_loading import import_string

from chatflow.dialects.base import Dialect

__all__ = ["DEFAULT", "DIALECTS", "Dialect", "get_dialect"]

DIALECTS = {
    "seed": "chatflow.dialects.seed.Seed",
}
# The dialect below BASE_PATH.
DEFAULT = "seed"


@functools.cache
def get_dialect(name: str = DEFAULT) -> type[Dialect]:
    """Return the dialect of that name, one of DIALECTS."""
    dialect: type[Dialect] = import_string(DIALECTS[name])
    return dialect
