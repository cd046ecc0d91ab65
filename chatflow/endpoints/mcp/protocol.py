"""Who calls, in which version of the protocol, and whether the headers say the same.

Since 2026-07-28 each call says all of it itself. Before, a handshake did, and nothing of it is kept
here: every call is answered by itself.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from rest_framework.request import Request

from chatflow.answers import jsonrpc
from chatflow.answers.jsonrpc import Call, Fault, Id
from chatflow.dialects.mcp import stamped

JSON = dict[str, Any]

MODERN = "2026-07-28"
# With a handshake; to this site they are all the same.
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
VERSIONS = (MODERN, LEGACY[0])

PREFIX = "io.modelcontextprotocol/"
VERSION = f"{PREFIX}protocolVersion"
CAPABILITIES = f"{PREFIX}clientCapabilities"
TASKS = f"{PREFIX}tasks"

HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
# The HTTP status of a call's fault; the older versions have 200 for all, and their clients need it.
STATUS = {
    jsonrpc.INVALID_REQUEST: 400,
    jsonrpc.INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
    jsonrpc.METHOD_NOT_FOUND: 404,
}
# What the header Mcp-Name repeats of a call; that of a task may be left out.
NAMES = {
    "tools/call": "name",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
# A header's way to hold any text.
ENCODED = re.compile(r"=\?base64\?(.*)\?=")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What a call says of its caller.

    Args:
        is_modern: it speaks the protocol without a handshake.
        capabilities: what it understands, as it says.
        token: by which it wants to hear of the progress; None if it doesn't.
    """

    is_modern: bool
    capabilities: JSON = field(default_factory=dict)
    token: Id = None

    @property
    def has_tasks(self) -> bool:
        """Whether it takes a task for an answer."""
        extensions = self.capabilities.get("extensions")
        return isinstance(extensions, dict) and isinstance(extensions.get(TASKS), dict)

    def stamp(self, result: JSON) -> JSON:
        """Return a result in the form of the caller's version."""
        return stamped(result) if self.is_modern else result


def caller_of(request: Request, call: Call) -> Caller:
    """Return who calls.

    Raises:
        Fault: the call, or its headers, are not what its version of the protocol wants.
    """
    version = request.headers.get("MCP-Protocol-Version")
    meta = call.params.get("_meta", {})
    if call.method != "initialize":
        if version == MODERN or (isinstance(meta, dict) and VERSION in meta):
            return _modern(request, call, version)
        if version not in (None, *LEGACY):
            raise _unsupported(version)
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    return Caller(is_modern=False, token=_checked(token))


def _modern(request: Request, call: Call, version: str | None) -> Caller:
    meta = call.params.get("_meta")
    if not isinstance(meta, dict) or not {VERSION, CAPABILITIES} <= meta.keys():
        raise _fault(jsonrpc.INVALID_PARAMS, f"params._meta must have {VERSION}, {CAPABILITIES}.")
    if not isinstance(meta[CAPABILITIES], dict):
        raise _fault(jsonrpc.INVALID_PARAMS, f"{CAPABILITIES} must be an object.")
    if version != meta[VERSION]:
        raise _mismatch("MCP-Protocol-Version")
    if request.headers.get("Mcp-Method") != call.method:
        raise _mismatch("Mcp-Method")
    _check_name(request, call)
    if version != MODERN:
        raise _unsupported(version)
    token = _checked(meta.get("progressToken"))
    return Caller(is_modern=True, capabilities=meta[CAPABILITIES], token=token)


def _check_name(request: Request, call: Call) -> None:
    name = call.params.get(NAMES.get(call.method, ""))
    said = request.headers.get("Mcp-Name")
    if name is None or (said is None and call.method != "tools/call"):
        return
    if said is None or _decoded(said) != name:
        raise _mismatch("Mcp-Name")


def _decoded(header: str) -> str | None:
    """Return the text that a header holds; None where it can't be read."""
    found = ENCODED.fullmatch(header)
    if found is None:
        return header
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _checked(token: Any) -> Id:
    if not jsonrpc.is_id(token):
        raise _fault(jsonrpc.INVALID_PARAMS, "A progressToken is a text or an integer.")
    found: Id = token
    return found


def _mismatch(header: str) -> Fault:
    return _fault(HEADER_MISMATCH, f"The header {header} is not what the call says.")


def _unsupported(version: Any) -> Fault:
    data = {"supported": list(VERSIONS), "requested": version}
    return _fault(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def _fault(code: int, message: str, data: Any = None) -> Fault:
    return Fault(code, message, data, status=400)
