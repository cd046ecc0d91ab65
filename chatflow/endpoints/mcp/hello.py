"""What a client learns first: who answers, in which versions, and what there is."""

from typing import Any

from rest_framework.request import Request

from chatflow.answers.jsonrpc import Call
from chatflow.dialects.mcp import SERVER
from chatflow.endpoints.mcp.protocol import LEGACY, TASKS, VERSIONS, Caller

JSON = dict[str, Any]

INSTRUCTIONS = (
    "Each tool is a workflow; its message is what a user would say. A result with `awaiting` asks "
    "something: call the tool again with its `session_id`, and the answer as the message."
)
# Milliseconds for which a client need not ask again; another token may see other tools.
FRESH = {"ttlMs": 60_000, "cacheScope": "private"}


def discover(request: Request, call: Call, caller: Caller) -> JSON:
    """Answer ``server/discover``."""
    return {
        "supportedVersions": list(VERSIONS),
        "capabilities": {"tools": {}, "extensions": {TASKS: {}}},
        "instructions": INSTRUCTIONS,
        **FRESH,
    }


def initialize(request: Request, call: Call, caller: Caller) -> JSON:
    """Answer the handshake, of which nothing is kept."""
    wanted = call.params.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in LEGACY else LEGACY[0],
        "capabilities": {"tools": {}},
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }


def ping(request: Request, call: Call, caller: Caller) -> JSON:
    """Answer ``ping``."""
    return {}
