"""A2A 1.0: a task, how it stands, and its answer as an artifact. Each frame answers one call."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chatflow.answers import jsonrpc
from chatflow.dialects.base import Dialect
from chatflow.dialects.ids import hex_of
from chatflow.dialects.links import linked
from chatflow.dialects.questions import in_words
from chatflow.dialects.words import Words
from chatflow.wire import sse
from chatflow.wire.moments import iso
from chatflow.wire.problems import Problem
from chatflow.workflows.models import Event, Job, State

JSON = dict[str, Any]

SUBMITTED = "TASK_STATE_SUBMITTED"
WORKING = "TASK_STATE_WORKING"
INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
COMPLETED = "TASK_STATE_COMPLETED"
FAILED = "TASK_STATE_FAILED"
CANCELED = "TASK_STATE_CANCELED"
STATES: dict[str, str] = {
    State.QUEUED: SUBMITTED,
    State.PROCESSING: WORKING,
    State.COMPLETED: COMPLETED,
    State.FAILED: FAILED,
    State.TIMEOUT: FAILED,
    State.CANCELLED: CANCELED,
}
# The extension by which a status tells how far the work is.
PROGRESS = "https://a2a-protocol.org/extensions/task-progress/v1"
ANSWER = "answer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What a task, and all that belongs to it, is called.

    Args:
        task: the task's id.
        context: its conversation's.
        turn: the digits of the id of the job that the task is at.
    """

    task: str
    context: str
    turn: str

    @classmethod
    def of(cls, job: Job, task: str = "") -> "Names":
        """Return the names for a turn of a task.

        Args:
            job: the turn; read with its root and its session.
            task: the id that the client knows the task by; by default its own.
        """
        return cls(
            task=task or (job.root or job).public_id,
            context=job.session.key,
            turn=hex_of(job.public_id),
        )

    @property
    def address(self) -> JSON:
        """What each update says of the task that it belongs to."""
        return {"taskId": self.task, "contextId": self.context}


@dataclass(kw_only=True, slots=True)
class Standing:
    """How a task stands.

    Args:
        state: A2A's word for it.
        since: when it came to stand so.
        parts: what the agent says of it.
        said: tells its sayings apart; empty for the last of a turn.
        progress: percent.
        line: the line of progress.
        words: the answer, as far as it is there; None before that.
        cited: the answer's sources and actions, by these names.
    """

    state: str
    since: datetime
    parts: list[JSON] = field(default_factory=list)
    said: str = ""
    progress: int = 0
    line: str = ""
    words: Words | None = None
    cited: JSON = field(default_factory=dict)

    def end(self, kind: str, data: JSON) -> None:
        """Take in how a turn ended: by a question, an answer or a failure.

        Args:
            kind: the job's final state.
            data: of the event that tells it.
        """
        self.state, self.parts, self.said = STATES[kind], [], ""
        awaiting = data.get("awaiting")
        if awaiting:
            self.state = INPUT_REQUIRED
            self.parts = [{"text": in_words(data["response"], awaiting)}, {"data": awaiting}]
        elif kind != State.COMPLETED:
            self.parts = [{"text": data["error"]}, {"data": {"code": data["code"]}}]
        cited = {"sources": linked(data.get("sources") or []), "actions": data.get("actions")}
        self.cited = {name: each for name, each in cited.items() if each}


def task(names: Names, standing: Standing) -> JSON:
    """Return a task as it stands."""
    shown: JSON = {"id": names.task, "contextId": names.context, "status": _status(names, standing)}
    if standing.words is not None:
        shown["artifacts"] = [_artifact(standing.words.text, standing.cited)]
    if standing.state == WORKING:
        shown["metadata"] = _progress(standing)
    return shown


def _status(names: Names, standing: Standing) -> JSON:
    status: JSON = {"state": standing.state, "timestamp": iso(standing.since)}
    if standing.parts:
        name = f"msg_{names.turn}{standing.said}"
        status["message"] = {
            "messageId": name,
            **names.address,
            "role": "ROLE_AGENT",
            "parts": standing.parts,
        }
    return status


def _artifact(text: str, cited: JSON) -> JSON:
    metadata = {"metadata": cited} if cited else {}
    return {"artifactId": ANSWER, "parts": [{"text": text}], **metadata}


def _progress(standing: Standing) -> JSON:
    tracker = {"id": "job", "progress": standing.progress, "total": 100, "message": standing.line}
    return {PROGRESS: {"trackers": [tracker]}}


class A2A(Dialect):
    """The stream of a task's turn: its lines of progress, its words, and how it ends.

    Args:
        job: the turn; read with its root and its session.
        call_id: that of the call which the stream answers.
        task_id: the id that the client knows the task by; by default its own.
    """

    __slots__ = ("_names", "call_id", "standing")
    name = "a2a"
    endpoints = ("chatflow.endpoints.a2a",)
    paths = ("/a2a", "/.well-known/agent-card.json")

    def __init__(self, job: Job, call_id: jsonrpc.Id = None, task_id: str = "") -> None:
        super().__init__(job)
        self.call_id = call_id
        self._names = Names.of(job, task_id)
        self.standing = Standing(state=SUBMITTED, since=job.created_at)

    @property
    def variant(self) -> tuple[jsonrpc.Id, str]:
        """See Dialect.variant."""
        return self.call_id, self._names.task

    @staticmethod
    def status(state: str) -> str:
        """See Dialect.status()."""
        return STATES.get(state, WORKING)

    @staticmethod
    def refusal(found: Problem) -> JSON:
        """See Dialect.refusal()."""
        return jsonrpc.refusal(found)

    def snapshot(self) -> bytes:
        """Return the frame of the task as it stands behind the last event."""
        return self._frame({"task": task(self._names, self.standing)})

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        if event.is_terminal:
            return self._end(event)
        frames = self._tell_progress(event)
        if event.type in (Event.Type.DELTA, Event.Type.RESTARTED):
            frames += self._say(event)
        return frames

    def _tell_progress(self, event: Event) -> list[bytes]:
        now = self.standing
        if (now.state, now.progress, now.line) == (WORKING, event.progress, event.message):
            return []
        now.state, now.progress, now.line = WORKING, event.progress, event.message
        now.since = event.created_at
        now.parts = [{"text": event.message}] if event.message else []
        now.said = f"_{event.seq}"
        return [self.told(_progress(now))]

    def _say(self, event: Event) -> list[bytes]:
        before = self.standing.words
        if event.type == Event.Type.DELTA:
            words = self.standing.words = before or Words()
            word = str(event.data["delta"])
            words.add(word)
            # An artifact is made before anything is added to it.
            return [self._update_artifact(word, append=before is not None)]
        if before is None or event.data["text_length"] >= len(before):
            return []
        stand = before.text[: event.data["text_length"]]
        self.standing.words = Words(stand)
        return [self._update_artifact(stand, append=False)]

    def _end(self, event: Event) -> list[bytes]:
        before = None if self.standing.words is None else self.standing.words.text
        self.standing.since = event.created_at
        self.standing.end(event.type, event.data)
        frames = []
        if self.standing.state == COMPLETED:
            frames = self._complete_answer(before, event.data["response"])
        elif self.standing.state == INPUT_REQUIRED and before is not None:
            frames = [self._update_artifact("", append=True, last=True)]
        return [*frames, self.told()]

    def _complete_answer(self, before: str | None, response: str) -> list[bytes]:
        if before is None and not (response or self.standing.cited):
            return []
        words = response or before or ""
        self.standing.words = Words(words)
        goes_on = before is not None and words.startswith(before)
        rest = words[len(before or "") :] if goes_on else words
        return [self._update_artifact(rest, append=goes_on, last=True)]

    def told(self, metadata: JSON | None = None) -> bytes:
        """Return the frame of the task's status alone."""
        update = {**self._names.address, "status": _status(self._names, self.standing)}
        return self._frame(
            {"statusUpdate": {**update, **({"metadata": metadata} if metadata else {})}}
        )

    def _update_artifact(self, text: str, *, append: bool, last: bool = False) -> bytes:
        artifact = _artifact(text, self.standing.cited)
        update = {**self._names.address, "artifact": artifact, "append": append, "lastChunk": last}
        return self._frame({"artifactUpdate": update})

    def _frame(self, result: JSON) -> bytes:
        return sse.frame(jsonrpc.result(self.call_id, result))
