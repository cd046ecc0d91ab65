"""OpenAI's Chat Completions, as all take it who take "an OpenAI-compatible endpoint"."""

from collections.abc import Hashable
from typing import Any

from chatflow.dialects.base import CLOSE
from chatflow.dialects.ids import hex_of
from chatflow.dialects.openai import ANY, JSON, OpenAI, citation, has_been_said, tokens
from chatflow.dialects.questions import in_words
from chatflow.dialects.words import Words
from chatflow.wire import sse
from chatflow.workflows.models import Event, Job

# The last line of a stream that has all.
DONE = b"data: [DONE]\n\n"
LOST = "The answer was begun anew, and differs from the words that were sent. Please try again."


class ChatCompletions(OpenAI):
    """Chunks of one message. Words that were sent can't be taken back: see _new().

    Args:
        job: the job.
        model: the name that the client called it by.
        with_usage: the client wants to be told the tokens.
    """

    __slots__ = ("_chunk", "_line", "_sent", "_stands", "with_usage")
    name = "chat-completions"
    endpoints = ("chatflow.endpoints.openai.chat_completions", "chatflow.endpoints.openai.models")

    def __init__(self, job: Job, model: str = "", *, with_usage: bool = False) -> None:
        super().__init__(job)
        self.with_usage = with_usage
        self._chunk = head(job, model, "chat.completion.chunk")
        # The last line of progress.
        self._line = ""
        self._sent = Words()
        # How many characters of them the job still stands by.
        self._stands = 0

    @property
    def variant(self) -> Hashable:
        """See Dialect.variant."""
        return self._chunk["model"], self.with_usage

    def connected(self, job: Job) -> bytes:
        """See Dialect.connected()."""
        return self._delta(role="assistant", content="")

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        if event.is_terminal:
            if event.type == Event.Type.COMPLETED:
                return self._end(event.data)
            return [_error(event.data["error"], event.data["code"])]
        frames = []
        if event.message not in ("", self._line):
            self._line = event.message
            frames.append(self._delta(reasoning_content=f"{event.message}\n"))
        if event.type == Event.Type.DELTA:
            frames += self._go_on(event.data["delta"])
        elif event.type == Event.Type.RESTARTED:
            self._stands = min(self._stands, event.data["text_length"])
        return frames

    def _go_on(self, words: str) -> list[bytes]:
        new = self._new(words)
        if new is None:
            return [_error(LOST, "restarted"), CLOSE]
        return [self._delta(content=new)] if new else []

    def _new(self, words: str) -> str | None:
        """Return those of the job's next words that the client doesn't have yet.

        Returns:
            None if it has others in their place.
        """
        has = ""
        if self._stands < len(self._sent):
            has = self._sent.text[self._stands : self._stands + len(words)]
            if not words.startswith(has):
                return None
        new = words[len(has) :]
        if new:
            self._sent.add(new)
        self._stands += len(words)
        return new

    def _end(self, data: JSON) -> list[bytes]:
        sent, answer = self._sent.text, in_words(data["response"], data.get("awaiting"))
        if answer.startswith(sent):
            rest = answer[len(sent) :]
        elif self._stands < len(sent):
            return [_error(LOST, "restarted")]
        else:
            # Here nothing takes the place of words, and an answer that nobody sees is none.
            rest = "" if has_been_said(answer, sent) else f"\n\n{answer}"
        length = len(sent) + len(rest)
        frames = [self._delta(content=rest)] if rest else []
        if data["sources"]:
            frames.append(self._delta(annotations=annotations(data["sources"], length)))
        frames.append(self._frame([_choice({}, "stop")]))
        if self.with_usage:
            frames.append(self._frame([], usage=usage(data.get("usage"))))
        return [*frames, DONE]

    def _delta(self, **delta: Any) -> bytes:
        return self._frame([_choice(delta)])

    def _frame(self, choices: list[JSON], **more: Any) -> bytes:
        return sse.frame({**self._chunk, "choices": choices, **more})


def head(job: Job, model: str, kind: str) -> JSON:
    """Return what each object about *job* begins with.

    Args:
        job: the job.
        model: the name that the client called it by.
        kind: of object.
    """
    return {
        "id": f"chatcmpl-{hex_of(job.public_id)}",
        "object": kind,
        "created": int(job.created_at.timestamp()),
        "model": model or ANY,
    }


def annotations(sources: list[JSON], length: int) -> list[JSON]:
    """Return what cites *sources* for the whole of a text of so many characters."""
    return [{"type": "url_citation", "url_citation": citation(each, length)} for each in sources]


def usage(used: JSON | None) -> JSON:
    """Return the tokens of a job; zeros where no model was asked."""
    asked, answered = tokens(used)
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
    }


def _choice(delta: JSON, finish_reason: str | None = None) -> JSON:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _error(message: str, code: str) -> bytes:
    return sse.frame({"error": {"message": message, "type": "server_error", "code": code}})
