"""What of a recorded job leaves the database: all but what the names of its fields tell to hide."""

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any

# Names of fields whose values are hidden, in small letters; a * stands for any letters.
SECRETS = ("*password*", "*passwd*", "*secret*", "*token*", "*api_key*", "*apikey*", "*cookie*",
           "authorization", "*credential*")  # fmt: skip
CONTACTS = ("*email*", "*phone*", "*address*", "*iban*", "*card_number*", "*ssn*", "by")
# What people and models say.
WORDS = ("message", "answer", "reason", "content", "text", "prompt")
NAMES = (*SECRETS, *CONTACTS, *WORDS)
HIDDEN = "[redacted]"
HIDDEN_EMAIL = "redacted@example.com"
# Shorter texts are not looked for where else they stand.
SHORTEST = 3
# Anything may have stood there.
ANYTHING = re.compile("|".join(map(re.escape, (HIDDEN, HIDDEN_EMAIL))))


class Redaction:
    """A rule for what is hidden.

    Args:
        also: more names of fields, beside NAMES.
        keep: names that are not hidden after all.

    Attributes:
        hidden: the texts that it has hidden so far.
    """

    def __init__(self, also: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        self._names = [name.lower() for name in (*NAMES, *also)]
        self._kept = [name.lower() for name in keep]
        self.hidden: set[str] = set()

    def redact(self, value: Any, name: str = "") -> Any:
        """Return *value*, which stands in a field of that *name*, without what is to be hidden.

        Numbers become 0, and lists and objects keep their shapes, so that what is left still fits
        the types of the code.
        """
        if isinstance(value, dict):
            return {key: self.redact(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.redact(each, name) for each in value]
        if isinstance(value, str) and value.startswith("{"):
            return self._redact_json(value, name)
        return self._hide(value) if value and self._is_hidden(name) else value

    def forget(self, value: Any) -> Any:
        """Return *value* without the texts that were hidden: a question may repeat an answer."""
        if isinstance(value, dict):
            return {key: self.forget(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.forget(each) for each in value]
        if isinstance(value, str):
            for hidden in sorted(self.hidden, key=len, reverse=True):
                value = value.replace(hidden, HIDDEN)
        return value

    def _is_hidden(self, name: str) -> bool:
        def is_one_of(names: Sequence[str]) -> bool:
            return any(fnmatch(name.lower(), each) for each in names)

        return is_one_of(self._names) and not is_one_of(self._kept)

    def _redact_json(self, text: str, name: str) -> str:
        """Return a text with JSON in it, such as the arguments of a tool, redacted inside."""
        try:
            return json.dumps(self.redact(json.loads(text)), ensure_ascii=False)
        except ValueError:
            return str(self._hide(text)) if self._is_hidden(name) else text

    def _hide(self, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) >= SHORTEST:
                self.hidden.add(value)
            return HIDDEN_EMAIL if re.fullmatch(r"\S+@\S+", value) else HIDDEN
        return value if isinstance(value, bool) else type(value)(0)


def is_like(text: str, redacted: str) -> bool:
    """Say whether *text* may be what was redacted to *redacted*."""
    first, *others = ANYTHING.split(redacted)
    if not others:
        return text == redacted
    *middle, last = others
    rest = text.removeprefix(first)
    if not (text.startswith(first) and rest.endswith(last)):
        return False
    rest = rest.removesuffix(last)
    for piece in filter(None, middle):
        _, found, rest = rest.partition(piece)
        if not found:
            return False
    return True
