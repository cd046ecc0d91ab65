"""What the values of settings may be, in the environment's words and in Python's."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from django.utils.module_loading import import_string

T_co = TypeVar("T_co", covariant=True)

# It fits into a database's column of whole numbers; in seconds it is 68 years.
LARGEST = 2**31 - 1
# How like a setting's name another one is that was meant for it, by difflib's measure: a letter is
# wrong, or two have changed places. OPENAI_MODEL and QUEUE_WORKERS_MAX are names of others.
NEAR = 0.87
BOOLEANS = {
    **dict.fromkeys(("true", "on", "ok", "yes", "y", "t", "1"), True),
    **dict.fromkeys(("false", "off", "no", "n", "f", "0"), False),
}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
RATE = re.compile(r"([0-9]+)/(s|sec|min|h|hour|d|day)")
SERVER = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]{1,4}|:[1-5][0-9]{4}|:6[0-5][0-9]{3})?")
# The address of another server than the first. Python refuses it in a URL, from 3.14 on.
NEXT_IPV6 = re.compile(r",\[[0-9A-Fa-f:.]+\]")


class Unfit(ValueError):
    """A value breaks its setting's rule.

    Args:
        wish: the rule, such as "be a number".
        value: the one found; None where it might be secret.
    """

    def __init__(self, wish: str, value: object = None) -> None:
        found = f", not {value!r}" if value is not None else ""
        super().__init__(f"{wish}{found}")


class Kind(Protocol[T_co]):
    """What a setting's values have in common."""

    def parse(self, text: str) -> T_co:
        """Return what a text of the environment means, which isn't empty.

        Raises:
            Unfit: it breaks the rule.
        """

    def check(self, value: Any) -> T_co:
        """Return a value of a project's settings, as Chatflow uses it.

        Raises:
            Unfit: it breaks the rule.
        """


class Word:
    """A text without spaces."""

    def parse(self, text: str) -> str:
        return self.check(text)

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or len(value.split()) > 1:
            raise Unfit("be one word", value)
        return value


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    choices: Sequence[str]

    def parse(self, text: str) -> str:
        return self.check(text)

    def check(self, value: Any) -> str:
        if value not in self.choices:
            raise Unfit(f"be {' or '.join(self.choices)}", value)
        return str(value)


class Boolean:
    def parse(self, text: str) -> bool:
        if text.lower() not in BOOLEANS:
            raise Unfit("be true or false", text)
        return BOOLEANS[text.lower()]

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Unfit("be True or False", value)
        return value


@dataclass(frozen=True, kw_only=True)
class Number:
    minimum: float = 0
    maximum: float = LARGEST

    def parse(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise Unfit("be a number", text) from None
        return self._check(value, text)

    def check(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit("be a number", value)
        return self._check(value, value)

    def _check(self, value: float, shown: object) -> float:
        if math.isnan(value):
            raise Unfit("be a number", shown)
        if value < self.minimum:
            raise Unfit(f"be at least {self.minimum:g}", shown)
        if value > self.maximum:
            raise Unfit(f"be at most {self.maximum}", shown)
        return value


@dataclass(frozen=True, kw_only=True)
class Integer:
    minimum: int = 0
    maximum: int = LARGEST

    def parse(self, text: str) -> int:
        return self._whole(Number(minimum=self.minimum, maximum=self.maximum).parse(text))

    def check(self, value: Any) -> int:
        return self._whole(Number(minimum=self.minimum, maximum=self.maximum).check(value))

    def _whole(self, value: float) -> int:
        if value != int(value):
            raise Unfit("be a whole number", value)
        return int(value)


class Rate:
    """A rate such as ``60/min``: how many, in how many seconds."""

    def parse(self, text: str) -> tuple[int, float]:
        match = RATE.fullmatch(text)
        if match is None:
            raise Unfit("look like 60/min", text)
        return int(match[1]), float(SECONDS[match[2][0]])

    def check(self, value: Any) -> tuple[int, float]:
        # As parse() returns it.
        if isinstance(value, tuple):
            return value[0], value[1]
        return self.parse(str(value))


class Names:
    """Names; in the environment they are separated by commas."""

    def parse(self, text: str) -> list[str]:
        return [each.strip() for each in text.split(",") if each.strip()]

    def check(self, value: Any) -> list[str]:
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise Unfit("be a list of names", value)
        return list(value)


@dataclass(frozen=True)
class Subset:
    """Some of the names that are allowed; in the environment, ``none`` is none of them."""

    allowed: Sequence[str]

    def parse(self, text: str) -> list[str]:
        names = Names().parse(text)
        return [] if names == ["none"] else self.check(names)

    def check(self, value: Any) -> list[str]:
        for each in Names().check(value):
            if each not in self.allowed:
                raise Unfit(f"have names of {', '.join(self.allowed)}, or be none", each)
        return list(value)


class Mapping:
    """A JSON object."""

    def parse(self, text: str) -> dict[str, Any]:
        try:
            return self.check(json.loads(text))
        except ValueError:
            raise Unfit('be a JSON object, such as {"temperature": 0.2}', text) from None

    def check(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Unfit("be a dictionary", value)
        return value


class Function:
    """The dotted name of a function of the project's; empty for none."""

    def parse(self, text: str) -> Any:
        # It can't be imported yet: this is read while Django's settings are made.
        return text

    def check(self, value: Any) -> Callable[..., Any] | None:
        if value == "":
            return None
        try:
            found = import_string(value)
        except (ImportError, TypeError, AttributeError) as error:
            raise Unfit(f"be the dotted name of a function ({error})", value) from None
        if not callable(found):
            raise Unfit("be the dotted name of a function", value)
        function: Callable[..., Any] = found
        return function


@dataclass(frozen=True)
class Url:
    """The URL of a server. It may have a password, which no sentence repeats."""

    schemes: Sequence[str]

    def parse(self, text: str) -> str:
        return self.check(text)

    def check(self, value: Any) -> str:
        url = str(value)
        if url and not (url.partition("://")[0] in self.schemes and "://" in url and is_whole(url)):
            raise Unfit(f"be a URL that begins with {self.schemes[0]}://")
        return url


def is_whole(url: str) -> bool:
    """Whether no part of a URL's password has got behind its host; there may be several hosts.

    Nor a part of SQLite's path into the place of the host: django-environ would leave that out, and
    take an empty path for a database in memory.
    """
    if url == "sqlite://:memory:":
        return True
    try:
        parts = urlsplit(NEXT_IPV6.sub(",ipv6", url))
    except ValueError:
        return False
    if parts.scheme == "sqlite" and (parts.netloc or not parts.path.strip("/")):
        return False
    if parts.scheme not in ("sqlite", "unix") and "@" in parts.path + parts.query:
        return False
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return not parts.fragment and all(SERVER.fullmatch(host) for host in hosts)
