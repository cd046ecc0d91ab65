"""MCP's own: how far a tool's work is, and at its end the answer to the call that began it."""

from collections.abc import Hashable, Mapping
from typing import Any

from chatflow.answers import jsonrpc
from chatflow.dialects.base import Dialect
from chatflow.dialects.links import linked
from chatflow.dialects.questions import in_words
from chatflow.wire import sse
from chatflow.wire.problems import Problem
from chatflow.workflows.models import Event, Job, State

JSON = dict[str, Any]

SERVER = {"name": "chatflow", "title": "Chatflow", "version": "1"}
# A new line of progress where the percentage has not grown; each notification must grow.
STEP = 0.001
# In a task's words.
STATUS: dict[str, str] = {
    State.QUEUED: "working",
    State.PROCESSING: "working",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.TIMEOUT: "failed",
    State.CANCELLED: "cancelled",
}


class Mcp(Dialect):
    """The stream that answers one ``tools/call``.

    Args:
        job: the job that the call has begun.
        call_id: of the call.
        session_id: the job's conversation.
        token: by which the caller wants to hear of the progress; None if it doesn't.
        is_modern: the call is one of the protocol without a handshake.
    """

    __slots__ = ("_call_id", "_is_modern", "_line", "_session_id", "_token", "_told")
    name = "mcp"
    endpoints = ("chatflow.endpoints.mcp",)
    paths = ("/mcp",)

    def __init__(
        self,
        job: Job,
        *,
        call_id: jsonrpc.Id = None,
        session_id: str = "",
        token: jsonrpc.Id = None,
        is_modern: bool = True,
    ) -> None:
        super().__init__(job)
        self._call_id = call_id
        self._session_id = session_id
        self._token = token
        self._is_modern = is_modern
        self._told = -STEP
        self._line = ""

    @property
    def variant(self) -> Hashable:
        """See Dialect.variant."""
        # To Python, 1 and True are the same.
        return repr((self._call_id, self._token, self._is_modern))

    @staticmethod
    def status(state: str) -> str:
        """See Dialect.status()."""
        return STATUS.get(state, "working")

    @staticmethod
    def refusal(found: Problem) -> JSON:
        """See Dialect.refusal()."""
        return jsonrpc.refusal(found)

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        if event.is_terminal:
            answer = self._result(event)
            answer = stamped(answer) if self._is_modern else answer
            return [sse.frame(jsonrpc.result(self._call_id, answer))]
        return [] if self._token is None else self._progress(event)

    def _result(self, event: Event) -> JSON:
        about = {"session_id": self._session_id, "job_id": self.job_id}
        if event.type == Event.Type.COMPLETED:
            return answered(event.data, **about)
        return failed(event.data["error"], event.data["code"], **about)

    def _progress(self, event: Event) -> list[bytes]:
        if event.message in ("", self._line) and event.progress <= self._told:
            return []
        self._line = event.message or self._line
        self._told = max(event.progress, round(self._told + STEP, 3))
        params = {"progressToken": self._token, "progress": self._told, "total": 100}
        if self._line:
            params["message"] = self._line
        return [sse.frame({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})]


def stamped(result: JSON) -> JSON:
    """Return a result with what the protocol without a handshake has in each."""
    return {
        "resultType": "complete",
        **result,
        "_meta": {"io.modelcontextprotocol/serverInfo": SERVER},
    }


def answered(outcome: Mapping[str, Any], **about: str) -> JSON:
    """Return a tool's result: the job's answer, or its question.

    Args:
        outcome: with which the job was completed, as its event and bodies.outcome() have it.
        about: session_id and job_id.
    """
    names = ("response", "actions", "sources", "awaiting")
    told = {name: outcome[name] for name in names if name in outcome}
    told["sources"] = linked(told["sources"])
    text = in_words(outcome["response"], outcome.get("awaiting"))
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": {**told, **about},
        "isError": False,
    }


def failed(error: str, code: str, **about: str) -> JSON:
    """Return the result of a tool that has failed, or could not begin.

    Args:
        error: the sentence for people, and for the model that has called it.
        code: the word for programs.
        about: session_id and job_id, where there are any.
    """
    return {
        "content": [{"type": "text", "text": error}],
        "structuredContent": {"error": error, "code": code, **about},
        "isError": True,
    }
