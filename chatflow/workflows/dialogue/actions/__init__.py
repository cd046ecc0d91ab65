"""The next moves that a workflow may offer. The server checks them when they are offered.

A client gets only the fields to show one. Its effect stays here: the client names the action by
its id, and nothing else that it says about it is believed.

A type of one's own is a module beside these, a place in TYPES, and a subclass of the contract in
tests/workflows/dialogue/actions/; the page that shows it is the client's.
"""

import re
import textwrap
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from chatflow.workflows import clock
from chatflow.workflows.dialogue.actions.base import Offer, Turn
from chatflow.workflows.dialogue.actions.link import Link
from chatflow.workflows.dialogue.actions.quick_reply import QuickReply
from chatflow.workflows.dialogue.actions.starts import Button, Confirm, Form
from chatflow.workflows.exceptions import ActionNotFound, InvalidAction

__all__ = ["ID", "TYPES", "Offer", "Offered", "Turn", "has_expired", "offer", "restore"]

TYPES: tuple[type[Offer], ...] = (Link, QuickReply, Button, Confirm, Form)
ID = re.compile(r"action_[0-9a-f]{32}")


@cache
def _adapter(types: tuple[type[Offer], ...]) -> TypeAdapter[Offer]:
    any_of_them: Any = Annotated[reduce(or_, types), Field(discriminator="type")]
    return TypeAdapter(any_of_them)


def _name(action_type: type[Offer]) -> str:
    """Return the ``type`` by which clients know it."""
    (name,) = get_args(action_type.model_fields["type"].annotation)
    return str(name)


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
    """Check a workflow's offers, and give each action its id.

    Raises:
        InvalidAction: which one is wrong, and why.
    """
    now = clock.now()
    return [_offered(number, action, now) for number, action in enumerate(actions, 1)]


def _offered(number: int, action: Mapping[str, Any], now: datetime) -> Offered:
    try:
        valid = _adapter(TYPES).validate_python(action)
        full = valid.model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        shown = textwrap.shorten(repr(action), 200)
        raise InvalidAction(f"Action {number}, {shown}: {_reason(error)}") from error
    full["id"] = f"action_{uuid.uuid4().hex}"
    if valid.expires_in is not None:
        expires_at = now + timedelta(seconds=valid.expires_in)
        full["expires_at"] = expires_at.isoformat().replace("+00:00", "Z")
    public = {key: value for key, value in full.items() if key not in valid.private}
    return Offered(id=full["id"], full=full, public=public)


def _reason(error: ValidationError) -> str:
    found = []
    for each in error.errors(include_url=False):
        # The first part is the type that was chosen among all.
        where = ".".join(str(part) for part in each["loc"][1:])
        found.append(f"{where}: {each['msg']}" if where else each["msg"])
    return "; ".join(found)


def restore(full: Mapping[str, Any]) -> Offer:
    """Return the action that was offered, from its stored form.

    It isn't checked again: an offer stands, whatever the rules are by now.

    Raises:
        ActionNotFound: actions of its type aren't offered any more.
    """
    for action_type in TYPES:
        if _name(action_type) == full["type"]:
            return action_type.model_construct(**full)
    raise ActionNotFound


def has_expired(action: Mapping[str, Any]) -> bool:
    """Say whether the time of an action, public or in full, is over."""
    expires_at = action.get("expires_at")
    return expires_at is not None and datetime.fromisoformat(expires_at) <= clock.now()
