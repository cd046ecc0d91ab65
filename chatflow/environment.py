"""The environment and `.env`, and where in them each setting stands.

python-dotenv reads the file: unlike django-environ's own reader it knows the quotes, escapes and
spaces that tools write, and says on which line a value stands, or can't be read. django-environ
reads DATABASE_URL. Its other getters guess: a `$` begins the name of another variable, a list keeps
its spaces, and a word that is no boolean counts as false.
"""

import codecs
import io
import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured
from dotenv.parser import Binding, parse_stream

from chatflow.kinds import LARGEST, NEAR, Boolean, Integer, Kind, Names, Unfit, Word, is_whole

if TYPE_CHECKING:
    from chatflow.conf import Setting

T = TypeVar("T")

ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
HOST = re.compile(r"\*|\.?[\w-]+(\.[\w-]+)*\.?|\[[0-9a-f:.]+\]", re.ASCII | re.IGNORECASE)
ORIGIN = re.compile(
    r"null|file://|[a-z][a-z0-9+.-]*://(\*\.)?([\w-]+(\.[\w-]+)*|\[[0-9a-f:.]+\])(:[0-9]+)?",
    re.ASCII | re.IGNORECASE,
)
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
        # Names that stand there once more below, and the lines that therefore count for nothing.
        self.overruled: list[tuple[str, int]] = []
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
        if name in self.lines:
            self.overruled.append((name, self.lines[name]))
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

    def read(self, name: str, kind: Kind[T], default: T) -> T:
        """Return the value as its kind reads it."""
        text = self.text(name).strip()
        try:
            return kind.parse(text) if text else default
        except Unfit as error:
            self.refuse(name, str(error))

    def word(self, name: str, default: str = "") -> str:
        return self.read(name, Word(), default)

    def boolean(self, name: str, default: bool) -> bool:
        return self.read(name, Boolean(), default)

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = LARGEST) -> int:
        return self.read(name, Integer(minimum=minimum, maximum=maximum), default)

    def names(self, name: str, default: list[str] | None = None) -> list[str]:
        """Read names that are separated by commas."""
        return self.read(name, Names(), []) or list(default or [])

    def of(self, declared: Mapping[str, "Setting[Any]"]) -> dict[str, Any]:
        """Return those of the settings that the environment has."""
        for name in declared:
            self.known.add(name)
        return {
            name: self.read(name, each.kind, each.value)
            for name, each in declared.items()
            if os.environ.get(name, "").strip()
        }

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

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Read the URL of a database, as django-environ spells it."""
        url = self.text(name).strip() or default
        # django-environ takes a plus in a path for a space.
        path, mark, options = url.partition("?")
        found: dict[str, Any] = {}
        if url.partition("://")[0] in environ.Env.DB_SCHEMES and "://" in url and is_whole(url):
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
        raise WrongSetting(f"{name} must {Unfit(wish, value)} ({self.place(name)}).")

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

    def overruled(self) -> Iterator[tuple[str, int, str]]:
        """Yield each name that stands in the file twice, the line in vain, and the last one."""
        for name, line in self.file.overruled:
            yield name, line, self.file.place(name)

    def place(self, name: str) -> str:
        # A process that was started by another one finds the file's values in the environment.
        if name in self.file.values and os.environ.get(name) == self.file.values[name]:
            return self.file.place(name)
        return "in the environment"
