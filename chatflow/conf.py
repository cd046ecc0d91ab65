"""Chatflow's settings: the keys of ``CHATFLOW = {…}`` in a project's settings, with their defaults.

``conf.WORKFLOW_TRIES`` is looked up whenever it is read. What each one means is said in
`.env.example`; the checkout's own settings fill them from the environment.
"""

from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from chatflow.kinds import (
    NEAR,
    Boolean,
    Choice,
    Function,
    Integer,
    Kind,
    Mapping,
    Names,
    Number,
    Rate,
    Subset,
    Unfit,
    Url,
    Word,
)

T = TypeVar("T")

# How like one of a setting's few values another one is that was meant for it.
ALIKE = 0.6
AUTHENTICATION = ("BearerAuthentication", "CookieAuthentication")
DIALECTS = ("chat-completions", "responses", "ag-ui", "ai-sdk", "a2a", "mcp")


class WrongValue(ImproperlyConfigured, CommandError):
    """A value of ``CHATFLOW`` that its setting can't have; Django's commands say it in one line."""


class Setting(Generic[T]):
    """A key, its kind and its default."""

    name: str

    def __init__(self, kind: Kind[T], default: Any) -> None:
        self.kind = kind
        self.default = default
        self.value: T = kind.check(default)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, conf: object, owner: type) -> T:
        given = written()
        if self.name not in given:
            return self.value
        try:
            return self.kind.check(given[self.name])
        except Unfit as error:
            hint = _hint(self, given[self.name])
            raise WrongValue(f"CHATFLOW[{self.name!r}] must {error}. {hint}") from None

    def __set__(self, conf: object, value: object) -> None:
        raise AttributeError(f"Write it into CHATFLOW: {self.name}")


class Conf:
    """All of them."""

    # The queue.
    QUEUE_CONNECTION = Setting(Word(), "database")
    REDIS_URL = Setting(Url(("redis", "rediss", "unix")), "")
    QUEUE_WORKERS = Setting(Integer(minimum=1), 2)
    QUEUE_LOOPS = Setting(Integer(minimum=1), 1)
    QUEUE_CONCURRENCY = Setting(Integer(minimum=1), 100)
    TASK_FUNCTIONS = Setting(Names(), [])

    # Workflows.
    WORKFLOW_MAX_EXECUTION_TIME = Setting(Number(minimum=0.001), 120)
    WORKFLOW_MAX_AI_CALLS = Setting(Integer(), 10)
    WORKFLOW_LEASE_SECONDS = Setting(Number(minimum=0.1), 15)
    WORKFLOW_TRIES = Setting(Integer(minimum=1), 3)

    # Models.
    AI_MODEL = Setting(Word(), "offline")
    AI_FALLBACK_MODELS = Setting(Names(), [])
    AI_ALLOWED_MODELS = Setting(Names(), [])
    AI_ROUTING = Setting(Choice(("tools", "request")), "tools")
    AI_SETTINGS = Setting(Mapping(), {})
    AI_TIMEOUT = Setting(Number(minimum=0.1), 60)
    AI_MEMORY_TOKENS = Setting(Integer(minimum=100), 4000)
    AI_DAILY_REQUESTS = Setting(Integer(), 0)
    AI_DAILY_TOKENS = Setting(Integer(), 0)

    # Knowledge.
    AI_EMBEDDING_MODEL = Setting(Word(), "")
    DOCUMENTS_BYTES = Setting(Integer(), 52_428_800)
    UPLOAD_BYTES_PER_DAY = Setting(Integer(), 104_857_600)

    # Organisations; see docs/security.md.
    TENANT = Setting(Function(), "")
    MAY_USE = Setting(Function(), "")

    # How long things are kept, in days; 0 for ever. See docs/operate.md.
    KEEP_TEXTS_DAYS = Setting(Integer(maximum=36_500), 0)
    KEEP_ACTS_DAYS = Setting(Integer(maximum=36_500), 0)

    # HTTP.
    AUTHENTICATION_CLASSES = Setting(Names(), [f"chatflow.auth.{each}" for each in AUTHENTICATION])
    PERMISSION_CLASSES = Setting(Names(), ["rest_framework.permissions.IsAuthenticated"])
    TRUST_PROXY = Setting(Boolean(), False)
    WEB_THREADS = Setting(Integer(minimum=2), 16)
    MAX_BODY_BYTES = Setting(Integer(minimum=1), 1_048_576)
    STREAM_LINK_TTL = Setting(Number(minimum=0), 3600)
    STREAMS_PER_USER = Setting(Integer(), 20)
    RATE_LIMIT_SEND = Setting(Rate(), "60/min")
    RATE_LIMIT_UPLOAD = Setting(Rate(), "30/min")
    RATE_LIMIT_SIGN_IN = Setting(Rate(), "20/h")
    DIALECTS = Setting(Subset(DIALECTS), DIALECTS)
    IMAGE_HOSTS = Setting(Names(), [])

    # Watching; see docs/observe.md.
    METRICS_TOKEN = Setting(Word(), "")
    METRICS_DIR = Setting(Word(), "")
    TRACING = Setting(Boolean(), False)


conf = Conf()

DECLARED: AnyMapping[str, Setting[Any]] = {
    name: each for name, each in vars(Conf).items() if isinstance(each, Setting)
}


def written() -> AnyMapping[str, Any]:
    """Return what the project's settings say."""
    given: AnyMapping[str, Any] = getattr(settings, "CHATFLOW", {})
    return given


def mistakes() -> Iterator[tuple[str, str]]:
    """Yield what is wrong in the project's settings: a sentence, and what to write instead."""
    given: Any = written()
    if not isinstance(given, AnyMapping):
        yield (
            f"CHATFLOW must be a dictionary, not {given!r}.",
            'Write CHATFLOW = {"WORKFLOW_TRIES": 3}.',
        )
        return
    for name, value in given.items():
        if name not in DECLARED:
            near = get_close_matches(str(name).upper(), DECLARED, 1, NEAR)
            known = ", ".join(DECLARED)
            yield (
                f"There is no setting CHATFLOW[{name!r}].",
                f"Write {near[0]}." if near else f"There are {known}.",
            )
            continue
        try:
            DECLARED[name].kind.check(value)
        except Unfit as error:
            yield f"CHATFLOW[{name!r}] must {error}.", _hint(DECLARED[name], value)


def _hint(setting: Setting[Any], value: Any) -> str:
    """Say what to write instead of a value."""
    meant = _nearest(value, setting.kind)
    # As one writes it: a tuple, of whose names some may be meant.
    default = [*setting.default] if isinstance(setting.default, tuple) else setting.default
    return (f"Write {meant!r}. " if meant else "") + f"The default is {default!r}."


def _nearest(value: Any, kind: Kind[Any]) -> str | list[str] | None:
    """Return what was most likely meant; None where that can't be told."""
    allowed = getattr(kind, "allowed", None) or getattr(kind, "choices", None)
    if allowed is None:
        return None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return None
    near = [get_close_matches(str(each), allowed, 1, ALIKE) for each in names]
    if not all(near):
        return None
    meant = [found for [found] in near]
    return meant if isinstance(kind, Subset) else meant[0]


def place(name: str) -> str:
    """Say where a setting stands, for a sentence about it."""
    find = getattr(settings, "PLACE_OF_SETTING", None)
    return str(find(name)) if find else "in CHATFLOW"
