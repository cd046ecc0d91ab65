"""The environment and `.env`, and where in them each setting stands.

python-dotenv reads the file: unlike django-environ's own reader it knows the quotes, escapes and
spaces that tools write, and says on which line a value stands, or can't be read. django-environ
reads DATABASE_URL. Its other getters guess: a `$` begins the name of another variable, a list keeps
its spaces, and a word that is no boolean counts as false.
"""

import codecs
import io
import json
import math
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from dotenv.parser import Binding, parse_stream

# It fits into a database's column of whole numbers; in seconds it is 68 years.
LARGEST = 2**31 - 1
# How like a setting's name another one is that was meant for it, by difflib's measure: a letter is
# wrong, or two have changed places. OPENAI_MODEL and QUEUE_WORKERS_MAX are names of others.
NEAR = 0.87
BOOLEANS = {
    **dict.fromkeys(("true", "on", "ok", "yes", "y", "t", "1"), True),
    **dict.fromkeys(("false", "off", "no", "n", "f", "0"), False),
}
ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
RATE = re.compile(r"([0-9]+)/(s|sec|min|h|hour|d|day)")
HOST = re.compile(r"\*|\.?[\w-]+(\.[\w-]+)*\.?|\[[0-9a-f:.]+\]", re.ASCII | re.IGNORECASE)
ORIGIN = re.compile(
    r"null|file://|[a-z][a-z0-9+.-]*://(\*\.)?([\w-]+(\.[\w-]+)*|\[[0-9a-f:.]+\])(:[0-9]+)?",
    re.ASCII | re.IGNORECASE,
)
SERVER = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]{1,4}|:[1-5][0-9]{4}|:6[0-5][0-9]{3})?")
PREFIX = re.compile(r"/?([\w.~-]+(/[\w.~-]+)*/?)?", re.ASCII)


class WrongSetting(ImproperlyConfigured):
    """A setting can't be used; its text is one sentence, for whoever starts the process."""


class EnvFile:
    """The settings that stand in a `.env`, each with its line.

    Of a name that stands there twice the last one counts, as in a shell.

    Args:
        path: of the file, which need not exist.

    Raises:
        WrongSetting: something in it can't be read; the sentence names the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        text, _ = read_text(path)
        for binding in parse_stream(io.StringIO(text, newline="")):
            self._add(binding)

    def place(self, name: str) -> str:
        """Say where a setting stands, or would."""
        line = self.lines.get(name)
        return f"line {line} of {self.path}" if line else f"in {self.path}"

    def _add(self, binding: Binding) -> None:
        if not (binding.key or binding.error):
            return
        written = binding.original.string
        blank = written[: len(written) - len(written.lstrip())]
        line = binding.original.line + len(re.findall(r"\r\n|\r|\n", blank))
        name, value = binding.key or "", binding.value
        # Quotes that are opened on one line and closed on another are most likely a mistake.
        is_one_line = len(written.strip().splitlines()) == 1
        if value is None or not is_one_line or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise WrongSetting(
                f"Line {line} of {self.path} can't be read: it must be NAME=value, and a value "
                "that begins with a quote must end with the same one."
            )
        if re.search("[\udc80-\udcff]", value):
            raise WrongSetting(
                f"{name} has a character that is not UTF-8 (line {line} of {self.path}). "
                "Save the file as UTF-8."
            )
        self.values[name], self.lines[name] = value, line


def read_text(path: Path) -> tuple[str, str]:
    """Return the text of a `.env` and its encoding. Bytes that are none are surrogates in it.

    Raises:
        WrongSetting: it can't be read.
    """
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        written = b""
    except OSError as error:
        raise WrongSetting(f"{path} can't be read: {error.strerror}.") from None
    found = (name for mark, name in ENCODINGS.items() if written.startswith(mark))
    encoding = next(found, "utf-8")
    errors = "strict" if encoding == "utf-16" else "surrogateescape"
    try:
        text = written.decode(encoding, errors)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise WrongSetting(f"{path} is not a text in UTF-8. Save it as UTF-8.")
    return text, encoding


class Environment:
    """Reads settings; a wrong one stops the start with a sentence that says where it stands.

    The file's values go into ``os.environ`` too, where the providers' SDKs look for their keys;
    values already there win. An empty value counts as none.

    Args:
        path: of the `.env`.

    Raises:
        WrongSetting: from each method, and when the file can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.file = EnvFile(path)
        # The names that were read so far.
        self.known: set[str] = set()
        for name, value in self.file.values.items():
            os.environ.setdefault(name, value)

    def text(self, name: str, default: str = "") -> str:
        """Return the value as it stands there."""
        self.known.add(name)
        return os.environ.get(name) or default

    def word(self, name: str, default: str = "") -> str:
        """Return a value that has no spaces in it."""
        value = self.text(name).strip() or default
        if len(value.split()) > 1:
            self.refuse(name, "be one word", value)
        return value

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """Return one of the *choices*."""
        value = self.word(name, default)
        if value not in choices:
            self.refuse(name, f"be {' or '.join(choices)}", value)
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a JSON object; an empty one where there is none."""
        value = self.text(name).strip() or "{}"
        try:
            found = json.loads(value)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self.refuse(name, 'be a JSON object, such as {"temperature": 0.2}', value)
        return found

    def boolean(self, name: str, default: bool) -> bool:
        value = self.word(name) or str(default)
        if value.lower() not in BOOLEANS:
            self.refuse(name, "be true or false", value)
        return BOOLEANS[value.lower()]

    def number(self, name: str, default: float, *, minimum: float = 0) -> float:
        raw = self.word(name) or str(default)
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            self.refuse(name, "be a number", raw)
        if value < minimum:
            self.refuse(name, f"be at least {minimum:g}", raw)
        if value > LARGEST:
            self.refuse(name, f"be at most {LARGEST}", raw)
        return value

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = LARGEST) -> int:
        value = self.number(name, default, minimum=minimum)
        if value > maximum:
            self.refuse(name, f"be at most {maximum}", int(value))
        if value != int(value):
            self.refuse(name, "be a whole number", value)
        return int(value)

    def rate(self, name: str, default: str) -> tuple[int, float]:
        """Read a rate such as ``60/min`` as (how many, in how many seconds)."""
        raw = self.word(name, default)
        match = RATE.fullmatch(raw)
        if match is None:
            self.refuse(name, "look like 60/min", raw)
        return int(match[1]), float(SECONDS[match[2][0]])

    def names(self, name: str, default: list[str] | None = None) -> list[str]:
        """Read names that are separated by commas."""
        found = [each.strip() for each in self.text(name).split(",") if each.strip()]
        return found or list(default or [])

    def subset(self, name: str, allowed: list[str]) -> list[str]:
        """Read some of the names that are *allowed*: all by default, and none for ``none``."""
        found = self.names(name, allowed)
        if found == ["none"]:
            return []
        for each in found:
            if each not in allowed:
                self.refuse(name, f"have names of {', '.join(allowed)}, or be none", each)
        return found

    def hosts(self, name: str, default: list[str]) -> list[str]:
        """Read names of hosts."""
        found = self.names(name, default)
        for each in found:
            if not HOST.fullmatch(each):
                self.refuse(name, "have names of hosts, without a scheme, port or path", each)
        return found

    def origins(self, name: str) -> list[str]:
        """Read origins, such as ``https://chat.example.com``."""
        found = self.names(name)
        for each in found:
            if not ORIGIN.fullmatch(each):
                wish = "have origins such as https://chat.example.com, without a path"
                self.refuse(name, wish, each)
        return found

    def apps(self, name: str) -> list[str]:
        """Read names of Django apps that are there."""
        apps = self.names(name)
        for app in apps:
            try:
                found = find_spec(app.partition(".apps.")[0])
            except (ImportError, ValueError):
                found = None
            if found is None:
                raise WrongSetting(
                    f"{name} names {app!r}, but there is no such Python package"
                    f" ({self.place(name)})."
                )
        return apps

    def prefix(self, name: str) -> str | None:
        """Read the prefix of the site's paths, such as ``/chat``."""
        raw = self.word(name)
        if not PREFIX.fullmatch(raw):
            self.refuse(name, "be a path such as /chat", raw)
        return f"/{raw.strip('/')}" if raw.strip("/") else None

    def url(self, name: str, *, schemes: tuple[str, ...]) -> str:
        """Read the URL of a server. It may have a password, which no sentence repeats."""
        url = self.word(name)
        if url and not (url.partition("://")[0] in schemes and "://" in url and _is_whole(url)):
            self.refuse(name, f"be a URL that begins with {schemes[0]}://")
        return url

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Read the URL of a database, as django-environ spells it."""
        url = self.text(name).strip() or default
        # django-environ takes a plus in a path for a space.
        path, mark, options = url.partition("?")
        found: dict[str, Any] = {}
        if url.partition("://")[0] in environ.Env.DB_SCHEMES and "://" in url and _is_whole(url):
            found = environ.Env.db_url_config(path.replace("+", "%2B") + mark + options)
        if not found.get("NAME"):
            self.refuse(
                name,
                "be a URL such as postgres://user:password@host:5432/name, with special characters "
                "of the password percent-encoded (# is %23, / is %2F), or sqlite:///name",
            )
        return found

    def refuse(self, name: str, wish: str, value: object = None) -> NoReturn:
        """Stop the start.

        Args:
            name: of the setting.
            wish: the rule, such as "be a number".
            value: the one found; None where it might be secret.
        """
        found = f", not {value!r}" if value is not None else ""
        raise WrongSetting(f"{name} must {wish}{found} ({self.place(name)}).")

    def misspelt(self) -> dict[str, str]:
        """Return the names in the file that are most likely others, with those.

        The environment itself isn't looked at: it has anybody's variables. The file may have some
        too, so that only what is very near to a name that was read counts.
        """
        near = {
            name: get_close_matches(name, self.known, 1, NEAR)
            for name in self.file.values
            if name not in self.known
        }
        return {name: matches[0] for name, matches in near.items() if matches}

    def place(self, name: str) -> str:
        # A process that was started by another one finds the file's values in the environment.
        if name in self.file.values and os.environ.get(name) == self.file.values[name]:
            return self.file.place(name)
        return "in the environment"


def _is_whole(url: str) -> bool:
    """Whether no part of a URL's password has got behind its host; there may be several hosts.

    Nor a part of SQLite's path into the place of the host: django-environ would leave that out, and
    take an empty path for a database in memory.
    """
    if url == "sqlite://:memory:":
        return True
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme == "sqlite" and (parts.netloc or not parts.path.strip("/")):
        return False
    if parts.scheme not in ("sqlite", "unix") and "@" in parts.path + parts.query:
        return False
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return not parts.fragment and all(SERVER.fullmatch(host) for host in hosts)
