"""What the input of a response says: words, the answer to a question, or a decision."""

from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request

from chatflow.access.scopes import find_approval, reach_of
from chatflow.endpoints import inbox
from chatflow.endpoints.openai.asking import words, words_of, wrong
from chatflow.wire.lengths import REASON_LENGTH
from chatflow.workflows.exceptions import TokenRefused
from chatflow.workflows.models import Job


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a user says.

    Args:
        text: the words.
        hex: the digits of the job whose question they answer, if that is said.
    """

    text: str
    hex: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A request for approval is decided.

    Args:
        hex: the digits of the job that asks.
        approve: whether it is approved.
        reason: why.
    """

    hex: str
    approve: bool
    reason: str


Reply = Words | Decision


def read(value: object) -> Reply:
    """Return the newest that the user says in a response's input.

    Raises:
        ValidationError: nothing is said there.
    """
    if isinstance(value, str):
        return Words(text=words(value, "input"))
    if not isinstance(value, list):
        raise wrong("input", "Must be a string or a list of items.")
    for item in reversed(value):
        reply = _read_item(item) if isinstance(item, dict) else None
        if reply is not None:
            return reply
    raise wrong("input", "There must be a message of the user's.")


def _read_item(item: dict[str, Any]) -> Reply | None:
    kind = item.get("type", "message")
    if kind == "message" and item.get("role") == "user":
        return Words(text=words(words_of(item.get("content")), "input"))
    if kind == "function_call_output":
        text = words(words_of(item.get("output")), "input")
        return Words(text=text, hex=_hex(item, "call_id", "call_"))
    if kind != "mcp_approval_response":
        return None
    approve, reason = item.get("approve"), item.get("reason") or ""
    if not isinstance(approve, bool):
        raise wrong("input", "approve must be true or false.")
    if not isinstance(reason, str) or len(reason) > REASON_LENGTH:
        raise wrong("input", f"reason must be a string of at most {REASON_LENGTH} characters.")
    return Decision(hex=_hex(item, "approval_request_id", "mcpr_"), approve=approve, reason=reason)


def _hex(item: dict[str, Any], name: str, prefix: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value.startswith(prefix) or value == prefix:
        raise wrong("input", f"{name} must begin with {prefix}.")
    return value.removeprefix(prefix)


def decide(
    request: Request, asking: Job | None, decision: Decision, options: dict[str, Any]
) -> Job:
    """Decide what the job *asking* wants approved, and return the job that goes on.

    Args:
        request: who decides.
        asking: the job, if there is one.
        decision: what they say.
        options: of the job that goes on, beside those of the one that asks.

    Raises:
        TokenRefused: the request's token may not.
        ApprovalNotFound: the job wants nothing approved.
        All that decisions.decide() raises.
    """
    if not reach_of(request).decides:
        raise TokenRefused
    awaiting = asking.awaiting if asking is not None else None
    wanted = (awaiting or {}).get("approval_id", "")
    asked = find_approval(request, wanted)
    return inbox.take(
        request, asked, approved=decision.approve, reason=decision.reason, options=options
    )
