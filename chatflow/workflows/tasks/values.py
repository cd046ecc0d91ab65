"""The values that a task takes and returns: JSON that both databases keep as it is."""

import json
import re
from typing import Any

# PostgreSQL's JSON has no NUL and no half of a surrogate pair.
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
# The same in JSON's own spelling, where a backslash is written as two.
UNSTORABLE_JSON = re.compile(r"(?<!\\)(\\\\)*\\u0000|[\ud800-\udfff]")


def check_storable(value: Any) -> None:
    """Refuse what is JSON for Python, and not for a database.

    Args:
        value: made of dictionaries, lists, strings, numbers, booleans and None.

    Raises:
        ValueError: a number in it is none, or a text has characters that can't be stored.
    """
    if UNSTORABLE_JSON.search(json.dumps(value, allow_nan=False, ensure_ascii=False)):
        raise ValueError("Text with a NUL or half a surrogate pair can't be stored.")


def printable(text: str) -> str:
    """Return *text* with what can't be stored written as Python writes it."""
    return UNSTORABLE.sub(lambda found: repr(found[0])[1:-1], text)
