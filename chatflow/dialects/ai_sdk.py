"""The UI message stream of the AI SDK, version 1: a message in parts, one chunk a frame.

A job's words are one message. Where a job goes on with a decision, they are more of the message
that asked for it: the endpoint puts such a message together out of several jobs' frames.
"""

from collections.abc import Hashable
from typing import Any

from chatflow.dialects.base import BREAK, Dialect
from chatflow.dialects.links import link_of
from chatflow.dialects.questions import in_words
from chatflow.dialects.words import Words
from chatflow.wire import sse
from chatflow.workflows.models import Event, Job

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}


def chunk(type: str, **fields: Any) -> bytes:
    return sse.frame({"type": type, **fields})


DONE = b"data: [DONE]\n\n"
# The last frames of a message that is complete; where another job goes on with it, they fall away.
ENDING = [chunk("finish", finishReason="stop"), DONE]


def start(message: str, job: Job) -> bytes:
    """Return the frame that begins a message, or goes on with it.

    Args:
        message: its id.
        job: the one that answers; with its session.
    """
    metadata = {"jobId": job.public_id, "sessionId": job.session.key}
    return chunk("start", messageId=message, messageMetadata=metadata)


def decision(approval_id: str, approved: bool, reason: str) -> bytes:
    """Return the frame that says what became of a request for approval."""
    if not approved:
        return chunk("tool-output-denied", toolCallId=approval_id)
    output = {"approved": approved, "reason": reason}
    return chunk("tool-output-available", toolCallId=approval_id, output=output)


class AiSdk(Dialect):
    """The chunks of one job, from its step's start to the end of the message.

    A client can't take words back, so the stream breaks off there; the client comes back for the
    whole message, and is sent those words only that stand.

    Args:
        job: the job.
        number: of the job in its message, from 1.
        restarts: how often words were taken back when the client came.
    """

    __slots__ = (
        "_begun",
        "_is_open",
        "_left",
        "_number",
        "_progress",
        "_restarts",
        "_step",
        "_words",
    )
    name = "ai-sdk"
    endpoints = ("chatflow.endpoints.ai_sdk.chats",)
    paths = ("/api/chat",)

    def __init__(self, job: Job, *, number: int = 1, restarts: int = 0) -> None:
        super().__init__(job)
        self._number = number
        self._restarts = self._left = restarts
        self._words = Words()
        self._begun = self._is_open = False
        self._progress: dict[str, Any] = {}
        self._step: dict[str, Any] | None = None

    @property
    def variant(self) -> Hashable:
        """See Dialect.variant."""
        return self._number, self._restarts

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        begin = [] if self._begun else [chunk("start-step")]
        self._begun = True
        return begin + self._tell(event)

    def _tell(self, event: Event) -> list[bytes]:
        match event.type:
            case Event.Type.DELTA:
                return self._hear(event.data["delta"])
            case Event.Type.RESTARTED:
                return self._take_back(event.data["text_length"])
            case Event.Type.COMPLETED:
                return self._complete(event)
            case Event.Type.CANCELLED:
                return [*self._close(), chunk("abort", reason=event.data["code"]), DONE]
            case Event.Type.FAILED | Event.Type.TIMEOUT:
                return [*self._close(), chunk("error", errorText=event.data["error"]), DONE]
        return self._move_on(event)

    # Words.

    def _hear(self, words: str) -> list[bytes]:
        self._words.add(words)
        # Of those in front of the client's last restart it isn't certain yet that they stand.
        return [] if self._left else self._say(words)

    def _say(self, words: str) -> list[bytes]:
        if not words:
            return []
        begin = [] if self._is_open else [chunk("text-start", id=self._text)]
        self._is_open = True
        return [*begin, chunk("text-delta", id=self._text, delta=words)]

    def _close(self) -> list[bytes]:
        was_open, self._is_open = self._is_open, False
        return [chunk("text-end", id=self._text)] if was_open else []

    @property
    def _text(self) -> str:
        return "text" if self._number == 1 else f"text-{self._number}"

    def _take_back(self, length: int) -> list[bytes]:
        words = self._words.text
        if length >= len(words):
            return []
        stand = words[:length]
        self._words = Words(stand)
        if self._left:
            self._left -= 1
            return [] if self._left else self._say(stand)
        told = chunk("data-restarted", data={"text_length": length}, transient=True)
        return [*self._close(), told, BREAK]

    # Progress.

    def _move_on(self, event: Event) -> list[bytes]:
        if event.type == Event.Type.STEP_STARTED:
            self._step = event.data["step"]
        elif event.type in (Event.Type.STEP_FINISHED, Event.Type.STARTED):
            self._step = None
        return self._show_progress(event)

    def _show_progress(self, event: Event) -> list[bytes]:
        progress = {"progress": event.progress, "message": event.message}
        if self._step is not None:
            progress["step"] = self._step
        if progress == self._progress:
            return []
        self._progress = progress
        return [chunk("data-progress", id="progress", data=progress)]

    # The end.

    def _complete(self, event: Event) -> list[bytes]:
        data, self._step = event.data, None
        return [
            *self._answer(data),
            *self._close(),
            *self._cite(data["sources"]),
            *(
                [chunk("data-actions", id="actions", data=data["actions"])]
                if data["actions"]
                else []
            ),
            *self._ask(data.get("awaiting")),
            *self._show_progress(event),
            chunk("finish-step"),
            *ENDING,
        ]

    def _answer(self, data: dict[str, Any]) -> list[bytes]:
        words, response = self._words.text, data["response"]
        answer = in_words(response, data.get("awaiting"))
        if answer.startswith(words):
            return self._say(answer[len(words) :])
        # Workflows strip what models say.
        if "".join(words.split()) == "".join(response.split()):
            return self._say(answer[len(response) :])
        # Another text than the words: a part of its own, such as a question behind them.
        return [*self._close(), *self._say(answer)]

    def _cite(self, sources: list[dict[str, Any]]) -> list[bytes]:
        return [self._source(place, source) for place, source in enumerate(sources, 1)]

    def _source(self, place: int, source: dict[str, Any]) -> bytes:
        key, title = f"source_{self._number}_{place}", str(source.get("title") or "")
        if url := link_of(source):
            return chunk("source-url", sourceId=key, url=url, **({"title": title} if title else {}))
        return chunk("source-document", sourceId=key, mediaType="text/plain", title=title)

    def _ask(self, awaiting: dict[str, Any] | None) -> list[bytes]:
        if not awaiting:
            return []
        asked = chunk("data-awaiting", id="awaiting", data=awaiting)
        return [asked, *(request(awaiting) if awaiting["kind"] == "approval" else [])]


def request(awaiting: dict[str, Any]) -> list[bytes]:
    """Return the frames of a tool that wants to be approved, for a workflow that does."""
    key = awaiting["approval_id"]
    given = {"prompt": awaiting["prompt"], "details": awaiting.get("details", {})}
    return [
        chunk(
            "tool-input-available", toolCallId=key, toolName="approve", input=given, dynamic=True
        ),
        chunk("tool-approval-request", approvalId=key, toolCallId=key),
    ]
