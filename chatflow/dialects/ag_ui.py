"""AG-UI 1.0: a job is a run of a thread.

Its client keeps messages and a state of its own, which the frames change. So one that comes back is
told how they stand, and what is new behind that: see AgUi.so_far().
"""

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

from chatflow.dialects.base import BREAK, Dialect
from chatflow.dialects.ids import answer_id, hex_of, question_id
from chatflow.dialects.links import linked
from chatflow.dialects.questions import in_words, schema_of
from chatflow.dialects.words import Words
from chatflow.wire import sse
from chatflow.workflows.models import Event, Job, State

JSON = dict[str, Any]

# Characters of a thread's messages that an open stream keeps. One with a longer thread breaks off
# where words are taken back: its client comes back, and is told the messages anew.
KEPT = 65536


@dataclass(frozen=True, slots=True)
class Run:
    """A run by its client's names.

    Args:
        thread_id: the session's key.
        run_id: the client's own, or the job's id.
    """

    thread_id: str
    run_id: str

    @property
    def ids(self) -> JSON:
        """Its names, as they stand in an event."""
        return {"threadId": self.thread_id, "runId": self.run_id}


@dataclass(frozen=True, slots=True)
class Thread:
    """The messages of a thread, but for the answer of a run.

    Args:
        content: JSON: an open stream keeps it for when words are taken back.
        place: where the answer belongs in it.
    """

    content: str = "[]"
    place: int = 0

    @classmethod
    def of(cls, before: list[JSON], after: list[JSON]) -> Self:
        """Return the thread with these messages before and behind the answer."""
        return cls(sse.encode([*before, *after]), len(before))

    def around(self, *own: JSON) -> list[JSON]:
        """Return all messages, with the run's *own* in their place."""
        messages = json.loads(self.content)
        return [*messages[: self.place], *own, *messages[self.place :]]


class AgUi(Dialect):
    """Encodes a run.

    Args:
        job: the job.
        run: what its client calls it; by default by the names of the seed's dialect.
        thread: its messages, for when words are taken back.
    """

    __slots__ = (
        "_activity",
        "_answer",
        "_is_writing",
        "_run",
        "_state",
        "_steps",
        "_thread",
        "_words",
    )
    name = "ag-ui"
    endpoints = ("chatflow.endpoints.ag_ui",)
    paths = ("/ag-ui/",)

    def __init__(self, job: Job, run: Run | None = None, thread: Thread | None = None) -> None:
        super().__init__(job)
        self._run = run or Run(job.public_id, job.public_id)
        thread = thread or Thread()
        self._thread = thread if len(thread.content) <= KEPT else None
        # As a client has it when it has read the frames so far.
        self._state: JSON = {
            "jobId": job.public_id,
            "status": self.status(State.QUEUED),
            "progress": 0,
            "message": "",
        }
        # What shows the progress, once there is some.
        self._activity: JSON | None = None
        # Those that are open: each by its own name and number, and as the client calls it.
        self._steps: list[tuple[tuple[Any, Any], str]] = []
        self._words = Words()
        self._is_writing = False
        # The whole of it, once it is known.
        self._answer: str | None = None

    @property
    def variant(self) -> Hashable:
        """See Dialect.variant."""
        return self._run, self._thread

    def connected(self, job: Job) -> bytes:
        """See Dialect.connected()."""
        return b"".join(map(sse.frame, self._opening()))

    def so_far(self, thread: Thread) -> bytes:
        """Return what tells a client that comes back, or a new page, how the run stands now.

        Args:
            thread: its messages, however long.
        """
        now = [*self._opening(), _snapshot(thread.around(*self._messages()))]
        if self._is_writing:
            now.append(self._text("START", role="assistant"))
        now += [_step("STARTED", name) for _, name in self._steps]
        return b"".join(map(sse.frame, now))

    def dropped(self) -> bytes:
        """Return the whole of a run that drops the question with which the job has ended."""
        self._state["status"] = self.status(State.CANCELLED)
        return b"".join(map(sse.frame, [*self._opening(), self._finished({"type": "cancelled"})]))

    def frames(self, event: Event) -> list[bytes]:
        """See Dialect.frames()."""
        return [BREAK if each is None else sse.frame(each) for each in self._tell(event)]

    def _tell(self, event: Event) -> Iterator[JSON | None]:
        """Yield what a client is told of *event*; None where it has to come back for it."""
        match event.type:
            case Event.Type.DELTA:
                yield from self._write(event.data["delta"])
            case Event.Type.RESTARTED:
                yield from self._take_back(event.data["text_length"])
            case Event.Type.COMPLETED:
                yield from self._complete(event)
            case Event.Type.CANCELLED:
                yield from self._close()
                yield from self._move(event, event.type)
                yield self._finished({"type": "cancelled"})
            case Event.Type.FAILED | Event.Type.TIMEOUT:
                yield self._fail(event)
            case _:
                yield from self._go_on(event)

    def _opening(self) -> list[JSON]:
        return [
            {"type": "RUN_STARTED", **self._run.ids},
            {"type": "STATE_SNAPSHOT", "snapshot": self._state},
        ]

    def _messages(self) -> list[JSON]:
        """Return the messages that are the run's own: its progress, and its answer so far."""
        own = []
        if self._activity is not None:
            own.append(
                {"id": f"progress_{hex_of(self.job_id)}", "role": "activity", **self._activity}
            )
        text = self._words.text if self._answer is None else self._answer
        if text or self._is_writing:
            own.append({"id": answer_id(self.job_id), "role": "assistant", "content": text})
        return own

    # Progress and steps.

    def _go_on(self, event: Event) -> Iterator[JSON]:
        step = event.data.get("step", {})
        key = step.get("name"), step.get("number")
        if event.type == Event.Type.STARTED:
            # Those of an attempt that was lost begin again.
            yield from self._close_steps()
        if event.type == Event.Type.STEP_STARTED:
            yield self._open_step(key)
        said = self._state["progress"], self._state["message"]
        if said != (event.progress, event.message):
            yield self._show_progress(event)
        yield from self._move(event, State.PROCESSING)
        if event.type == Event.Type.STEP_FINISHED:
            yield from self._close_steps(key)

    def _show_progress(self, event: Event) -> JSON:
        content = {"progress": event.progress, "message": event.message}
        self._activity = {"activityType": "PROGRESS", "content": content}
        activity = {
            "messageId": f"progress_{hex_of(self.job_id)}",
            **self._activity,
            "replace": True,
        }
        return {"type": "ACTIVITY_SNAPSHOT", **activity}

    def _move(self, event: Event, state: str) -> Iterator[JSON]:
        """Move the client's state on."""
        now = {"status": self.status(state), "progress": event.progress, "message": event.message}
        changed = {name: value for name, value in now.items() if self._state[name] != value}
        if changed:
            self._state.update(changed)
            patch = [
                {"op": "replace", "path": f"/{name}", "value": value}
                for name, value in changed.items()
            ]
            yield {"type": "STATE_DELTA", "delta": patch}

    def _open_step(self, key: tuple[Any, Any]) -> JSON:
        taken = {name for _, name in self._steps}
        names = (key[0] if number == 1 else f"{key[0]} ({number})" for number in count(1))
        name = next(name for name in names if name not in taken)
        self._steps.append((key, name))
        return _step("STARTED", name)

    def _close_steps(self, key: tuple[Any, Any] | None = None) -> Iterator[JSON]:
        """Close the latest step of that name and number, if it is open; by default all."""
        last = [each for each in self._steps if key in (None, each[0])]
        for each in last[-1:] if key else last:
            self._steps.remove(each)
            yield _step("FINISHED", each[1])

    # Words.

    def _text(self, what: str, **more: str) -> JSON:
        return {"type": f"TEXT_MESSAGE_{what}", "messageId": answer_id(self.job_id), **more}

    def _write(self, words: str) -> Iterator[JSON]:
        if not words:
            return
        if not self._is_writing:
            self._is_writing = True
            yield self._text("START", role="assistant")
        self._words.add(words)
        yield self._text("CONTENT", delta=words)

    def _take_back(self, length: int) -> Iterator[JSON | None]:
        """Let only the first *length* characters stand."""
        words = self._words.text
        if length >= len(words):
            return
        self._words = Words(words[:length])
        if self._thread is None:
            yield None
            return
        answer = {"id": answer_id(self.job_id), "role": "assistant", "content": words[:length]}
        yield self._text("END")
        yield _snapshot(self._thread.around(answer))
        yield self._text("START", role="assistant")

    def _close(self) -> Iterator[JSON]:
        """Close what is open, as the end of a run demands."""
        if self._is_writing:
            self._is_writing = False
            yield self._text("END")
        yield from self._close_steps()

    # The end.

    def _complete(self, event: Event) -> Iterator[JSON]:
        data, awaiting = event.data, event.data.get("awaiting")
        words = self._words.text
        self._answer = in_words(data["response"], awaiting)
        if self._answer.startswith(words):
            yield from self._write(self._answer[len(words) :])
        yield from self._close()
        sources, actions = linked(data["sources"]), data["actions"]
        for name, value in (("sources", sources), ("actions", actions)):
            if value:
                yield {"type": "CUSTOM", "name": name, "value": value}
        yield from self._move(event, event.type)
        if awaiting:
            yield self._finished({"type": "interrupt", "interrupts": [self._interrupt(awaiting)]})
        else:
            given = {"response": data["response"], "actions": actions, "sources": sources}
            result = {**given, "jobId": self.job_id}
            yield {**self._finished({"type": "success"}), "result": result}

    def _finished(self, outcome: JSON) -> JSON:
        return {"type": "RUN_FINISHED", **self._run.ids, "outcome": outcome}

    def _fail(self, event: Event) -> JSON:
        # What is open ends with it.
        self._is_writing, self._steps = False, []
        self._state.update(status=self.status(event.type), message=event.message)
        code = event.data["code"] or str(event.type)
        return {"type": "RUN_ERROR", "message": event.data["error"], "code": code}

    def _interrupt(self, awaiting: JSON) -> JSON:
        found = {
            "id": question_id(self.job_id, awaiting),
            "reason": awaiting["kind"],
            "message": awaiting["prompt"],
            "responseSchema": schema_of(awaiting),
        }
        if "expires_at" in awaiting:
            found["expiresAt"] = awaiting["expires_at"]
        more = {name: awaiting[name] for name in ("details", "optional") if awaiting.get(name)}
        if more:
            found["metadata"] = more
        return found


def message_id(job_id: str) -> str:
    """Return the name of the message that a job answers, where its client has given it none."""
    return f"user_{hex_of(job_id)}"


def _snapshot(messages: list[JSON]) -> JSON:
    return {"type": "MESSAGES_SNAPSHOT", "messages": messages}


def _step(what: str, name: str) -> JSON:
    return {"type": f"STEP_{what}", "stepName": name}
