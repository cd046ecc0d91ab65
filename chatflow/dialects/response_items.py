"""The items of a response's output: each says its own events, and shows what it is after them."""

import json
from collections.abc import Callable

from chatflow.dialects.openai import JSON, citation
from chatflow.dialects.words import Words

# Takes the type of an event, without "response.", and its fields.
Say = Callable[..., None]

# What a workflow asks with, by the kind of the answer.
VERBS = {"text": "ask", "choice": "choose", "confirm": "confirm", "form": "form"}


class Item:
    """One item.

    Args:
        id: its id.
        index: its place in the output; those of items that were taken back stay empty.
    """

    __slots__ = ("id", "index", "status")

    def __init__(self, id: str, index: int) -> None:
        self.id, self.index = id, index
        self.status = "in_progress"

    def shown(self) -> JSON:
        """Return it as it is now."""
        raise NotImplementedError

    def open(self, say: Say) -> None:
        """Say that it is there."""
        say("output_item.added", output_index=self.index, item=self.shown())

    def close(self, say: Say, status: str = "completed") -> None:
        """Say that nothing more comes to it."""
        self.status = status
        say("output_item.done", output_index=self.index, item=self.shown())


class Reasoning(Item):
    """The lines of a job's progress."""

    __slots__ = ("_lines",)

    def __init__(self, id: str, index: int) -> None:
        super().__init__(id, index)
        self._lines: list[str] = []

    def shown(self) -> JSON:
        """See Item.shown()."""
        parts = [_summary(line) for line in self._lines]
        return {"type": "reasoning", "id": self.id, "summary": parts, "status": self.status}

    def add(self, say: Say, line: str) -> None:
        """Say one more line."""
        at = {
            "item_id": self.id,
            "output_index": self.index,
            "summary_index": len(self._lines),
        }
        self._lines.append(line)
        say("reasoning_summary_part.added", **at, part=_summary(""))
        say("reasoning_summary_text.delta", **at, delta=line)
        say("reasoning_summary_text.done", **at, text=line)
        say("reasoning_summary_part.done", **at, part=_summary(line))


class Message(Item):
    """The answer: one part of text."""

    __slots__ = ("_annotations", "_at", "words")

    def __init__(self, id: str, index: int) -> None:
        super().__init__(id, index)
        self.words = Words()
        self._annotations: list[JSON] = []
        self._at = {"item_id": id, "output_index": index, "content_index": 0}

    def shown(self) -> JSON:
        """See Item.shown()."""
        return {
            "type": "message",
            "id": self.id,
            "role": "assistant",
            "status": self.status,
            "content": [self._part()],
        }

    def open(self, say: Say) -> None:
        """See Item.open()."""
        item = {**self.shown(), "content": []}
        say("output_item.added", output_index=self.index, item=item)
        say("content_part.added", **self._at, part=self._part())

    def add(self, say: Say, words: str) -> None:
        """Say what comes next."""
        self.words.add(words)
        say("output_text.delta", **self._at, delta=words, logprobs=[])

    def cite(self, say: Say, sources: list[JSON]) -> None:
        """Say where the whole of it is from."""
        for number, source in enumerate(sources):
            annotation = {"type": "url_citation", **citation(source, len(self.words))}
            self._annotations.append(annotation)
            say(
                "output_text.annotation.added",
                **self._at,
                annotation_index=number,
                annotation=annotation,
            )

    def close(self, say: Say, status: str = "completed") -> None:
        """See Item.close()."""
        say("output_text.done", **self._at, text=self.words.text, logprobs=[])
        say("content_part.done", **self._at, part=self._part())
        super().close(say, status)

    def _part(self) -> JSON:
        annotations = list(self._annotations)
        text = self.words.text
        return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


class Question(Item):
    """What the workflow wants to know, as a function that the client calls."""

    __slots__ = ("_arguments", "_call", "_name")

    def __init__(self, hex: str, index: int, awaiting: JSON) -> None:
        super().__init__(f"fc_{hex}", index)
        self._call = f"call_{hex}"
        self._name = VERBS.get(awaiting["kind"], awaiting["kind"])
        self._arguments = json.dumps(awaiting, ensure_ascii=False)

    def shown(self) -> JSON:
        """See Item.shown()."""
        return {
            "type": "function_call",
            "id": self.id,
            "call_id": self._call,
            "name": self._name,
            "arguments": self._arguments,
            "status": self.status,
        }

    def open(self, say: Say) -> None:
        """See Item.open()."""
        item = {**self.shown(), "arguments": ""}
        at = {"item_id": self.id, "output_index": self.index}
        say("output_item.added", output_index=self.index, item=item)
        say("function_call_arguments.delta", **at, delta=self._arguments)
        say("function_call_arguments.done", **at, name=self._name, arguments=self._arguments)


class Approval(Item):
    """What the user is to approve."""

    __slots__ = ("_arguments", "_workflow")

    def __init__(self, hex: str, index: int, awaiting: JSON, workflow: str) -> None:
        super().__init__(f"mcpr_{hex}", index)
        self._arguments = json.dumps(awaiting, ensure_ascii=False)
        self._workflow = workflow

    def shown(self) -> JSON:
        """See Item.shown()."""
        return {
            "type": "mcp_approval_request",
            "id": self.id,
            "server_label": "chatflow",
            "name": self._workflow,
            "arguments": self._arguments,
        }


def _summary(text: str) -> JSON:
    return {"type": "summary_text", "text": text}
