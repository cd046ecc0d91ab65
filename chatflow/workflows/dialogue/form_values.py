"""What somebody sent as the answer to a form, before anything is known of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# Objects and lists inside of each other, values in all of them, and characters of each text, which
# are those of a message.
DEPTH = 20
SIZE = 1000
TEXT = 4000


def is_excessive(data: Any) -> bool:
    """Say whether there is more in *data* than anybody fills in.

    That is too many values, or too deep, or too long a text.
    """
    count, level = 1, [data]
    for _ in range(DEPTH):
        if any(len(text) > TEXT for value in level for text in _texts(value)):
            return True
        level = [inner for value in level for inner in inside(value)]
        count += len(level)
        if count > SIZE:
            return True
    return bool(level)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, Mapping) else ()


def inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
