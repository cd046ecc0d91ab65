"""`.env` as editors and tools write it, and settings that are wrong."""

import os
import re
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured

from chatflow.conf import DECLARED, conf
from chatflow.environment import EnvFile, Environment
from chatflow.kinds import Choice, Kind, Mapping, Number, Rate, Url
from chatflow.project.site_checks import check_settings

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.sqlite

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes) -> Path:
        path = tmp_path / ".env"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave the environment as it was."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_it_works(write: Write) -> None:
    found = EnvFile(write("# The site\n\nA=1\nexport B = two words # and why\n\nC=\n"))
    assert found.values == {"A": "1", "B": "two words", "C": ""}
    assert found.lines == {"A": 3, "B": 4, "C": 6}


def test_names_that_are_nearly_right(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "QUEUE_WORKRES", "AI_MODLE", "DEBG", "AI_ROUTING", "QUEUE_WORKERS_MAX", "OPENAI_MODEL"
    file = write("".join(f"{name}=1\n" for name in names))
    # That of the environment is somebody else's.
    monkeypatch.setenv("QUEUE_LOPS", "1")
    env = Environment(file)
    assert env.misspelt() == {}
    for name in ("QUEUE_WORKERS", "QUEUE_LOOPS", "AI_MODEL", "AI_ROUTING", "DEBUG", "SECRET_KEY"):
        env.text(name)
    assert env.misspelt() == {
        "QUEUE_WORKRES": "QUEUE_WORKERS",
        "AI_MODLE": "AI_MODEL",
        "DEBG": "DEBUG",
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("KEY=a$b", "a$b"),
        ("KEY=$a", "$a"),
        ("KEY=${HOME}", "${HOME}"),
        ("KEY='$a'", "$a"),
        ("KEY=a#b", "a#b"),
        ("KEY=#a", "#a"),
        ("KEY=a #b", "a"),
        ("KEY=a\t# b", "a"),
        ("KEY= # b", ""),
        ("KEY='a #b' # c", "a #b"),
        ('KEY="a #b" # c', "a #b"),
        ("KEY = a", "a"),
        ("KEY\t=\ta", "a"),
        ("  KEY=a", "a"),
        ("KEY=a   ", "a"),
        ("KEY=a\u00a0", "a"),
        ("KEY=' a '", " a "),
        ("export  KEY=a", "a"),
        ("KEY=a=b==", "a=b=="),
        (r"KEY=a\nb", r"a\nb"),
        (r"KEY='a\nb'", r"a\nb"),
        (r'KEY="a\nb"', "a\nb"),
        (r"KEY='it\'s'", "it's"),
        ("KEY=it's", "it's"),
        ('KEY=a"b"', 'a"b"'),
        ("KEY=pässword", "pässword"),
        ("KEY=a\nKEY=b", "b"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_value_that_stands_there(
    written: str, value: str, end: str, encoding: str, write: Write
) -> None:
    text = written.replace("\n", end or "\n") + end
    found = EnvFile(write(text.encode(encoding)))
    assert found.values == {"KEY": value}
    assert found.lines == {"KEY": 1 + written.count("\n")}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "written",
    [
        "KEY='a",
        'KEY="a',
        "KEY='a'b",
        'KEY="a\nB="c',
        'KEY="a\nB=c"',
        "KEY",
        "export KEY",
        "KEY: a",
        "'KEY'a",
        '"KEY"="a"',
        "MY-KEY=a",
        "=a",
        "if [ -f x ]; then",
        "{",
    ],
)
def test_a_line_that_can_not_be_read_is_named(written: str, end: str, write: Write) -> None:
    path = write(f"A=1\n\n{written}\nZ=1\n".replace("\n", end))
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"Line 3 of {path} can't be read")):
        EnvFile(path)


def test_other_encodings(write: Write) -> None:
    assert EnvFile(write("# für uns\nA=1\n".encode("latin-1"))).values == {"A": "1"}
    path = write("A=1\nKEY=pässword\n".encode("latin-1"))
    with pytest.raises(ImproperlyConfigured) as error:
        EnvFile(path)
    assert str(error.value) == (
        f"KEY has a character that is not UTF-8 (line 2 of {path}). Save the file as UTF-8."
    )


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_what_is_no_utf_8(encoding: str, write: Write) -> None:
    path = write("KEY=a\n".encode(encoding))
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"{path} is not a text in UTF-8.")):
        EnvFile(path)
    path = write("KEY=a\n".encode("utf-16")[:-1])
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"{path} is not a text in UTF-8.")):
        EnvFile(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    assert EnvFile(tmp_path / "none").values == {}
    assert EnvFile(Path(os.devnull)).values == {}
    # As Docker makes one where it should mount a file that isn't there.
    with pytest.raises(ImproperlyConfigured, match=f"{tmp_path} can't be read: Is a directory"):
        EnvFile(tmp_path)


# Typed values.


def test_the_environment_wins(write: Write) -> None:
    os.environ["AAA"] = "environment"
    env = Environment(write("AAA=file\nBBB=file\nCCC=\n"))
    assert [env.text(name, "default") for name in ("AAA", "BBB", "CCC", "DDD")] == [
        "environment",
        "file",
        "default",
        "default",
    ]
    # Where the SDKs of the providers look.
    assert os.environ["BBB"] == "file"


@pytest.mark.parametrize("space", ["", " ", "\r", "\t"])
def test_every_kind_is_read(space: str) -> None:
    """Also as Docker hands it over, which takes CRLF and spaces for a part of the value."""

    def env(value: str) -> Environment:
        os.environ["KEY"] = f"{space}{value}{space}"
        return Environment(Path(os.devnull))

    assert env("a").word("KEY") == "a"
    assert [env(word).boolean("KEY", False) for word in ("true", "ON", "Yes", "1")] == [True] * 4
    assert [env(word).boolean("KEY", True) for word in ("false", "Off", "no", "0")] == [False] * 4
    assert env("").boolean("KEY", True) is True
    assert env("2.5").read("KEY", Number(), 1) == 2.5
    assert env("").read("KEY", Number(), 1) == 1
    assert env("7").integer("KEY", 1) == 7
    assert env("60/min").read("KEY", Rate(), (1, 1.0)) == (60, 60.0)
    assert env("a , b,,c").names("KEY") == ["a", "b", "c"]
    assert env("").names("KEY", ["d"]) == ["d"]
    hosts = ["a.example.com", ".example.com", "*", "localhost", "10.0.0.1", "[::1]"]
    assert env(", ".join(hosts)).hosts("KEY", []) == hosts
    origins = ["https://a.example", "http://localhost:3000", "https://*.a.example", "null"]
    assert env(", ".join(origins)).origins("KEY") == origins
    assert env("csp, rest_framework").apps("KEY") == ["csp", "rest_framework"]
    assert env("redis://:p@h:1/0").read("KEY", Url(("redis",)), "") == "redis://:p@h:1/0"
    assert env("").read("KEY", Url(("redis",)), "") == ""
    assert [env(path).prefix("KEY") for path in ("/chat", "chat/", "/a/b/")] == [
        "/chat",
        "/chat",
        "/a/b",
    ]
    assert env('{"temperature": 0.2}').read("KEY", Mapping(), {}) == {"temperature": 0.2}
    assert env("").read("KEY", Mapping(), {}) == {}
    assert [env(word).read("KEY", Choice(("a", "b")), "a") for word in ("b", "")] == ["b", "a"]
    assert [env(path).prefix("KEY") for path in ("", "/")] == [None, None]


def test_it_fills_the_settings_of_chatflow(write: Write, settings: LazySettings) -> None:
    env = Environment(write("WORKFLOW_TRIES=5\nRATE_LIMIT_SEND=7/h\nDIALECTS=none\nAI_MODEL=\n"))
    settings.CHATFLOW = env.of(DECLARED)
    named = {"WORKFLOW_TRIES", "RATE_LIMIT_SEND", "DIALECTS"}
    assert named <= set(settings.CHATFLOW) <= {*named, *os.environ}
    assert (conf.WORKFLOW_TRIES, conf.RATE_LIMIT_SEND, conf.DIALECTS) == (5, (7, 3600.0), [])
    assert check_settings(None) == []


WRONG: dict[str, list[str]] = {
    "word": ["two words"],
    "boolean": ["ture", "2", "none", "yes no"],
    "number": ["many", "1 2", "nan", "inf", "-inf", "1e30", "-1", "0x10", "1,5"],
    "integer": ["1.5", "many", "inf", "-1"],
    "rate": ["60", "60/week", "many/min", "-1/s", "60 / min"],
    "hosts": [
        "https://a.example.com",
        "a.example.com:8000",
        "a.example.com/",
        "a b",
        "a;b",
        "['a.example.com']",
        "::1",
        "user@a",
    ],
    "origins": ["a.example.com", "https://a.example.com/", "https://a/chat", "https://a b", "//a"],
    "apps": ["no_such_app", "a b", "..", ".csp"],
    "mapping": ["{", "[]", "0.2", "temperature=0.2"],
    "choice": ["c", "A", "a b"],
    "prefix": ["//evil.example", "/a b", "https://a/chat", "/a?b"],
}


KINDS: dict[str, tuple[Kind[Any], Any]] = {
    "number": (Number(), 1),
    "rate": (Rate(), (1, 1.0)),
    "mapping": (Mapping(), {}),
    "choice": (Choice(("a", "b")), "a"),
}


def call(env: Environment, kind: str, name: str) -> Any:
    if kind in KINDS:
        return env.read(name, *KINDS[kind])
    default: tuple[Any, ...] = {"boolean": (False,), "integer": (1,), "hosts": ([],)}.get(kind, ())
    return getattr(env, kind)(name, *default)


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_named_with_its_place(kind: str, value: str, write: Write) -> None:
    path = write(f"# First\nKEY='{value}'\n" if "'" not in value else f'# First\nKEY="{value}"\n')
    with pytest.raises(ImproperlyConfigured) as error:
        call(Environment(path), kind, "KEY")
    # A child process finds the file's values in the environment.
    with pytest.raises(ImproperlyConfigured) as again:
        call(Environment(path), kind, "KEY")
    assert str(error.value) == str(again.value)
    assert str(error.value).startswith("KEY ")
    assert str(error.value).endswith(f"(line 2 of {path}).")
    assert "\n" not in str(error.value)
    os.environ["KEY"] = f"{value}_"
    if kind in ("boolean", "number", "rate"):
        with pytest.raises(ImproperlyConfigured, match=re.escape("(in the environment).")):
            call(Environment(path), kind, "KEY")


def test_limits(write: Write) -> None:
    env = Environment(write("KEY=2\n"))
    with pytest.raises(ImproperlyConfigured, match="KEY must be at least 3, not '2'"):
        env.integer("KEY", 5, minimum=3)


# URLs with a password in them, which no sentence repeats.

SIGNS = "".join(c for c in string.punctuation)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", ["pass", "12"])
def test_a_password_is_read_or_refused(sign: str, before: str) -> None:
    """Whatever stands in it: it is that password, or the start fails."""
    password = f"{before}{sign}34word"
    env = Environment(Path(os.devnull))
    os.environ["KEY"] = f"postgres://user:{quote(password, safe='')}@host:5432/name"
    found = env.database("KEY", "")
    assert (found["PASSWORD"], found["HOST"], found["NAME"]) == (password, "host", "name")
    os.environ["KEY"] = f"postgres://user:{password}@host:5432/name"
    if sign in "#/?[]":
        with pytest.raises(ImproperlyConfigured, match="in the environment") as error:
            env.database("KEY", "")
        assert password not in str(error.value)
    else:
        found = env.database("KEY", "")
        # A percent sign is the one that is read otherwise, since that is what it is for.
        wanted = "\x34word" if sign == "%" else f"{sign}34word"
        assert (found["PASSWORD"], found["HOST"]) == (before + wanted, "host")


@pytest.mark.parametrize(
    "url",
    [
        "host/name",
        "mydb://user:secret@host/name",
        "postgres://user:secret@host",
        "postgres://user:secret@host:port/name",
        "postgres://user:secret@host:99999/name",
        "postgres://user:secret@host:5432,other:port/name",
        "mysql://user:secret@[host/name",
        "postgres://user:12#34@host/name",
        "postgres://user:12?34@host/name",
        "postgres://user:12/34@host/name",
        "sqlite:////srv/a#b/db.sqlite3",
        # Each process would have a database of its own in its memory, or another file than this.
        "sqlite://db.sqlite3",
        "sqlite://srv/db.sqlite3",
        "sqlite:db.sqlite3",
        "sqlite:///",
        "sqlite",
        "postgres",
    ],
)
def test_a_wrong_database_is_refused(url: str, write: Write) -> None:
    path = write(f"KEY={url}\n")
    with pytest.raises(ImproperlyConfigured) as error:
        Environment(path).database("KEY", "")
    assert str(error.value).startswith("KEY must be a URL such as postgres://")
    assert str(error.value).endswith(f"(line 1 of {path}).")
    assert "secret" not in str(error.value)


def test_several_hosts_and_a_socket() -> None:
    env = Environment(Path(os.devnull))
    os.environ["KEY"] = "postgres://user:secret@one:5432,[::1]:5433/name?target_session_attrs=any"
    found = env.database("KEY", "")
    assert (found["HOST"], found["PORT"]) == ("one,[::1]", "5432,5433")
    os.environ["KEY"] = "postgres://user:secret@[::1]:5432,[::2]:5433/name"
    assert env.database("KEY", "")["HOST"] == "[::1],[::2]"
    os.environ["KEY"] = "postgres:///name"
    assert env.database("KEY", "")["HOST"] == ""
    os.environ["KEY"] = "postgres://%2Fvar%2Frun/name"
    assert env.database("KEY", "")["NAME"] == "name"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////srv/My%20Data/db.sqlite3", "/srv/My Data/db.sqlite3"),
        ("sqlite:////srv/My Data/db.sqlite3", "/srv/My Data/db.sqlite3"),
        ("sqlite:////srv/a+b/me@work/db.sqlite3", "/srv/a+b/me@work/db.sqlite3"),
        ("sqlite:///db.sqlite3", "db.sqlite3"),
        ("sqlite://:memory:", ":memory:"),
        ("", "/srv/a b#c/db.sqlite3"),
    ],
)
def test_files_of_sqlite(url: str, name: str) -> None:
    os.environ["KEY"] = url
    default = f"sqlite:///{quote('/srv/a b#c/db.sqlite3')}"
    assert Environment(Path(os.devnull)).database("KEY", default)["NAME"] == name


@pytest.mark.parametrize(
    "url", ["host:6379", "http://host", "redis://h:port", "redis://:1#2@h", "redis"]
)
def test_a_wrong_server_is_refused(url: str, write: Write) -> None:
    path = write(f"KEY={url}\n")
    with pytest.raises(ImproperlyConfigured) as error:
        Environment(path).read("KEY", Url(("redis", "rediss")), "")
    sentence = f"KEY must be a URL that begins with redis:// (line 1 of {path})."
    assert str(error.value) == sentence


# The settings themselves, in a process that starts.


def start(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import chatflow.settings as s; print(s.SECRET_KEY, s.DEBUG)"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ENV_FILE": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_start_says_what_is_wrong(write: Write) -> None:
    path = write("\ufeffSECRET_KEY = '$a'\r\nDEBUG=ture\r\n")
    done = start(path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(f"DEBUG must be true or false, not 'ture' (line 2 of {path}).")
    assert start(write("\ufeffSECRET_KEY = '$a'\r\nDEBUG = false\r\n")).stdout == "$a False\n"
