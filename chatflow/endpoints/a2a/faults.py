"""A2A's errors, with the details that its clients look for."""

from chatflow.answers import jsonrpc
from chatflow.answers.jsonrpc import Fault
from chatflow.wire.problems import Problem

TASK_NOT_FOUND = -32001
TASK_NOT_CANCELABLE = -32002
PUSH_NOTIFICATION_NOT_SUPPORTED = -32003
UNSUPPORTED_OPERATION = -32004
CONTENT_TYPE_NOT_SUPPORTED = -32005
EXTENDED_AGENT_CARD_NOT_CONFIGURED = -32007
VERSION_NOT_SUPPORTED = -32009

REASONS = {
    TASK_NOT_FOUND: "TASK_NOT_FOUND",
    TASK_NOT_CANCELABLE: "TASK_NOT_CANCELABLE",
    PUSH_NOTIFICATION_NOT_SUPPORTED: "PUSH_NOTIFICATION_NOT_SUPPORTED",
    UNSUPPORTED_OPERATION: "UNSUPPORTED_OPERATION",
    CONTENT_TYPE_NOT_SUPPORTED: "CONTENT_TYPE_NOT_SUPPORTED",
    EXTENDED_AGENT_CARD_NOT_CONFIGURED: "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
    VERSION_NOT_SUPPORTED: "VERSION_NOT_SUPPORTED",
    jsonrpc.METHOD_NOT_FOUND: "METHOD_NOT_FOUND",
    jsonrpc.INVALID_PARAMS: "INVALID_PARAMS",
}
# By the status that a problem of the call has elsewhere.
CODES = {
    400: jsonrpc.INVALID_PARAMS,
    404: TASK_NOT_FOUND,
    409: UNSUPPORTED_OPERATION,
}


def make_fault(code: int, sentence: str, word: str = "") -> Fault:
    """Return an error of A2A's.

    Args:
        code: one of REASONS.
        sentence: for people.
        word: the API's own code, where it has one.
    """
    details = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": REASONS[code],
        "domain": "a2a-protocol.org",
        "metadata": {"code": word} if word else {},
    }
    return Fault(code, sentence, [details])


def translate(found: Problem) -> Fault | None:
    """Return the error of the call; None for what keeps its own status: see jsonrpc.respond()."""
    code = CODES.get(found.status)
    return make_fault(code, found.error, found.code) if code else None


def invalid(sentence: str) -> Fault:
    """Return the error of params that aren't as the protocol has them."""
    return make_fault(jsonrpc.INVALID_PARAMS, sentence, "invalid")
