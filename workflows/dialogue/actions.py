"""What a workflow may offer as next moves. The server checks them when they are offered.

A client is told what it needs to show one. What it does when it is used stays here: the client
names the action by its id, and nothing that it says about it is believed.
"""

import re
import textwrap
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from django.utils import timezone
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from workflows.dialogue.forms import schema_of
from workflows.exceptions import InvalidAction, UnknownWorkflow
from workflows.registry import get_workflow

ID = re.compile(r"action_[0-9a-f]{32}")
# What a client is not told.
PRIVATE = {"workflow", "input", "expires_in"}
# No timedelta is longer than this many seconds from now, nor has anybody to wait for it.
LONGEST = 10 * 365 * 86400


def _safe_url(url: str) -> str:
    """Return *url* if it is a web address or a path of this site."""
    # Browsers take a backslash for a slash, and drop control characters from an address.
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise ValueError("a space, a control character or a backslash is in it")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it can't be read") from None
    is_path = url.startswith("/") and not url.startswith("//")
    if not is_path and not (parts.scheme in ("http", "https") and parts.hostname):
        raise ValueError("it is neither http(s)://… nor a path of this site, /…")
    return url


def _registered(name: str) -> str:
    try:
        return get_workflow(name).name
    except UnknownWorkflow as error:
        raise ValueError(str(error)) from None


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Offer(BaseModel):
    """What all actions have: a label, and perhaps the seconds for which they are open."""

    model_config = ConfigDict(extra="forbid", strict=True)

    label: Label
    expires_in: Annotated[float, Field(gt=0, le=LONGEST)] | None = None


class Link(Offer):
    """Opens a page."""

    type: Literal["link"]
    url: Annotated[str, AfterValidator(_safe_url)]


class QuickReply(Offer):
    """Sends a message."""

    type: Literal["quick_reply"]
    message: Text


class Start(Offer):
    """Starts a workflow, which finds *input* as ``ctx.input``."""

    workflow: Annotated[str, AfterValidator(_registered)]
    input: dict[str, JsonValue] = Field(default_factory=dict)


class Button(Start):
    """Starts a workflow at once."""

    type: Literal["button"]


class Confirm(Start):
    """Starts a workflow after the client has asked the user *prompt*."""

    type: Literal["confirm"]
    prompt: Text


class Form(Start):
    """Starts a workflow with what the user fills in; *input* wins over it."""

    type: Literal["form"]
    form: Annotated[dict[str, Any], PlainValidator(schema_of)] = Field(alias="schema")


Action = Annotated[
    Link | QuickReply | Button | Confirm | Form,
    Field(discriminator="type"),
]
_adapter: TypeAdapter[Action] = TypeAdapter(Action)


@dataclass(frozen=True)
class Offered:
    """A valid action with its id.

    Args:
        id: unguessable.
        full: all of it, for the server.
        public: what clients are told.
    """

    id: str
    full: dict[str, Any]
    public: dict[str, Any]


def offer(actions: Sequence[Mapping[str, Any]]) -> list[Offered]:
    """Check what a workflow offers, and give each action its id.

    Raises:
        InvalidAction: which one is wrong, and why.
    """
    now = timezone.now()
    return [_offered(number, action, now) for number, action in enumerate(actions, 1)]


def _offered(number: int, action: Mapping[str, Any], now: datetime) -> Offered:
    try:
        valid = _adapter.validate_python(action)
        full = valid.model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        shown = textwrap.shorten(repr(action), 200)
        raise InvalidAction(f"Action {number}, {shown}: {_reason(error)}") from error
    full["id"] = f"action_{uuid.uuid4().hex}"
    if valid.expires_in is not None:
        expires_at = now + timedelta(seconds=valid.expires_in)
        full["expires_at"] = expires_at.isoformat().replace("+00:00", "Z")
    public = {key: value for key, value in full.items() if key not in PRIVATE}
    return Offered(id=full["id"], full=full, public=public)


def _reason(error: ValidationError) -> str:
    found = []
    for each in error.errors(include_url=False):
        # The first part is the type that was chosen among the five.
        where = ".".join(str(part) for part in each["loc"][1:])
        found.append(f"{where}: {each['msg']}" if where else each["msg"])
    return "; ".join(found)


def has_expired(action: Mapping[str, Any]) -> bool:
    """Say whether the time of an action, public or in full, is over."""
    expires_at = action.get("expires_at")
    return expires_at is not None and datetime.fromisoformat(expires_at) <= timezone.now()
