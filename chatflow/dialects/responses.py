"""OpenAI's Responses: the events of a response, and the response as it is after any of them."""

import json
from typing import Any, TypeVar

from chatflow.dialects.ids import hex_of
from chatflow.dialects.openai import ANY, JSON, OpenAI, tokens
from chatflow.dialects.questions import in_words
from chatflow.dialects.response_items import Approval, Item, Message, Question, Reasoning
from chatflow.wire import sse
from chatflow.workflows.models import NOTES, Event, Job, State

STATUS: dict[str, str] = {
    State.QUEUED: "queued",
    State.PROCESSING: "in_progress",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.TIMEOUT: "failed",
    State.CANCELLED: "cancelled",
}
# The last event, by its status: there is none of the name of a cancelled one's.
LAST = {"completed": "completed", "failed": "failed", "cancelled": "incomplete"}

AnItem = TypeVar("AnItem", bound=Item)


class Responses(OpenAI):
    """Events that are numbered from 0, each in one frame; the first two are opening()'s.

    Args:
        job: the job, with its session.
    """

    __slots__ = (
        "_frames",
        "_head",
        "_hex",
        "_known",
        "_line",
        "_message",
        "_messages",
        "_metadata",
        "_next",
        "_number",
        "_offered",
        "_output",
        "_progress",
        "_reasoning",
        "_status",
    )
    name = "responses"
    endpoints = ("chatflow.endpoints.openai.responses", "chatflow.endpoints.openai.models")

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        said: JSON = job.options.get(NOTES) or {}
        self._hex = hex_of(job.public_id)
        self._head: JSON = {
            "id": f"resp_{self._hex}",
            "object": "response",
            "created_at": int(job.created_at.timestamp()),
            "background": said.get("background", False),
            "model": said.get("model") or ANY,
            "previous_response_id": said.get("previous_response_id"),
        }
        self._metadata: dict[str, str] = {
            **said.get("metadata", {}),
            "session_id": job.session.key if job.session_id is not None else "",
            "job_id": job.public_id,
        }
        self._status = "queued"
        self._progress, self._line = 0, ""
        # What the end tells.
        self._known: JSON = {}
        self._offered: dict[str, str] = {}
        self._output: dict[int, Item] = {}
        # The next index of an item.
        self._next = 0
        self._reasoning: Reasoning | None = None
        self._message: Message | None = None
        # How many there were.
        self._messages = 0
        # The next number of an event; the first two are taken.
        self._number = 2
        self._frames: list[bytes] = []

    @staticmethod
    def status(state: str) -> str:
        """See Dialect.status()."""
        return STATUS.get(state, "in_progress")

    def connected(self, job: Job) -> bytes:
        """See Dialect.connected()."""
        return b"".join(self.opening())

    def opening(self) -> list[bytes]:
        """Return the first two frames, which come before anything has happened."""
        response = self._show("queued")
        return [
            _frame(number, name, response=response)
            for number, name in enumerate(("created", "queued"))
        ]

    def response(self) -> JSON:
        """Return the response as it is now."""
        response = self._show(self._status, self._progress, self._line)
        response["metadata"] |= self._offered
        response["output"] = [item.shown() for item in self._output.values()]
        return response | self._known

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        self._frames = []
        self._progress = event.progress
        if event.is_terminal:
            self._end(event)
        else:
            self._tell(event)
        frames, self._frames = self._frames, []
        return frames

    def _tell(self, event: Event) -> None:
        is_news, self._line = event.message not in ("", self._line), event.message
        if self._status == "queued":
            self._status = "in_progress"
            self._say("in_progress", response=self.response())
        if is_news:
            self._think(event.message)
        if event.type == Event.Type.DELTA:
            self._write(event.data["delta"])
        elif event.type == Event.Type.RESTARTED:
            self._take_back(event.data["text_length"])

    def _think(self, line: str) -> None:
        if self._reasoning is None:
            self._reasoning = self._open(Reasoning(f"rs_{self._hex}", self._next))
        self._reasoning.add(self._say, line)

    def _write(self, words: str) -> None:
        if self._message is None:
            self._messages += 1
            again = f"_{self._messages}" if self._messages > 1 else ""
            self._message = self._open(Message(f"msg_{self._hex}{again}", self._next))
        self._message.add(self._say, words)

    def _take_back(self, stands: int) -> None:
        """Begin a new message with as many characters of this one as still stand."""
        message = self._message
        if message is None or stands >= len(message.words):
            return
        message.close(self._say, "incomplete")
        del self._output[message.index]
        self._message = None
        if stands:
            self._write(message.words.text[:stands])

    def _end(self, event: Event) -> None:
        self._status = STATUS[event.type]
        self._line = event.message
        if self._status == "completed":
            self._known["completed_at"] = int(event.created_at.timestamp())
            self._answer(event.data)
        elif self._status == "failed":
            self._known["error"] = _error(event)
        if self._message is not None:
            done = "completed" if self._status == "completed" else "incomplete"
            self._message.close(self._say, done)
        if self._reasoning is not None:
            self._reasoning.close(self._say)
        if self._status == "completed":
            self._ask(event.data)
        self._known["usage"] = _usage(event.data.get("usage"))
        self._say(LAST[self._status], response=self.response())

    def _answer(self, data: JSON) -> None:
        """Let the message be the answer, whatever was streamed."""
        answer = in_words(data["response"], data.get("awaiting"))
        words = self._message.words.text if self._message is not None else ""
        if not answer.startswith(words):
            if answer.strip() == words.strip():
                answer = words
            else:
                self._take_back(0)
                words = ""
        if rest := answer[len(words) :]:
            self._write(rest)
        if self._message is not None:
            self._message.cite(self._say, data["sources"])
        if data["actions"]:
            self._offered["actions"] = json.dumps(data["actions"], ensure_ascii=False)

    def _ask(self, data: JSON) -> None:
        awaiting = data.get("awaiting")
        if not awaiting:
            return
        asked: Item = Question(self._hex, self._next, awaiting)
        if awaiting["kind"] == "approval":
            workflow = data["metadata"].get("workflow", "")
            asked = Approval(self._hex, self._next, awaiting, workflow)
        self._open(asked).close(self._say)

    def _open(self, item: AnItem) -> AnItem:
        self._output[item.index] = item
        self._next += 1
        item.open(self._say)
        return item

    def _say(self, name: str, /, **fields: Any) -> None:
        self._frames.append(_frame(self._number, name, **fields))
        self._number += 1

    def _show(self, status: str, progress: int = 0, line: str = "") -> JSON:
        return {
            **self._head,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {
                **self._metadata,
                "progress": str(progress),
                "status_message": line,
            },
            "output": [],
            "parallel_tool_calls": False,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None,
        }


class Unheard(Responses):
    """A response that nobody follows: it is only looked at, so no frames are made."""

    __slots__ = ()

    def _say(self, name: str, /, **fields: Any) -> None:
        pass


def _frame(number: int, name: str, /, **fields: Any) -> bytes:
    kind = f"response.{name}"
    return sse.frame({"type": kind, "sequence_number": number, **fields}, event=kind)


def _error(event: Event) -> JSON:
    code = "timeout" if event.type == Event.Type.TIMEOUT else event.data["code"]
    return {"code": code, "message": event.data["error"]}


def _usage(used: JSON | None) -> JSON | None:
    if not used:
        return None
    asked, answered = tokens(used)
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": asked + answered,
    }
