"""What OpenAI's two protocols have in common: errors, tokens, citations, a finished answer."""

from typing import Any

from chatflow.dialects.base import Dialect
from chatflow.dialects.links import link_of
from chatflow.wire.problems import Problem

JSON = dict[str, Any]

# What a job is called whose client named no model; a workflow may hand it over to another one.
ANY = "chatflow"
# OpenAI's words for some of our codes.
CODES = {
    "unauthenticated": "invalid_api_key",
    "not_found": "response_not_found",
    "unknown_workflow": "model_not_found",
}


class OpenAI(Dialect):
    """A dialect of the clients that are told ``base_url=https://host/v1``."""

    __slots__ = ()
    paths = ("/v1/",)

    @staticmethod
    def refusal(found: Problem) -> JSON:
        """See Dialect.refusal()."""
        error = {
            "message": found.error,
            "type": _type_of(found.status),
            "param": next(iter(found.errors), None) if found.errors else None,
            "code": CODES.get(found.code, found.code),
        }
        return {"error": error}


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def has_been_said(answer: str, words: str) -> bool:
    """Say whether the words that were streamed are, or end in, the whole answer."""
    return words.rstrip().endswith(answer.strip())


def tokens(usage: JSON | None) -> tuple[int, int]:
    """Return the tokens that went into a job's models, and those that came out."""
    usage = usage or {}
    return usage.get("input_tokens", 0), usage.get("output_tokens", 0)


def citation(source: JSON, length: int) -> JSON:
    """Return what cites *source* for the whole of a text.

    Args:
        source: as the workflow has named it.
        length: of the text, in characters.
    """
    return {
        "url": link_of(source),
        "title": source.get("title") or "",
        "start_index": 0,
        "end_index": length,
    }
