"""What a user saw of a job at any moment, by the frames of the seed's dialect. Pure.

The chat page puts them together in the same way: static/chatflow/js/page/turn-state.js.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chatflow.dialects import DEFAULT, get_dialect
from chatflow.workflows.models import Event, Job


@dataclass
class StepSeen:
    """A step in the list below a turn."""

    name: str
    state: str = "running"


@dataclass
class Screen:
    """What stands on the user's screen of one turn.

    Args:
        state: the job's, as the client knows it: first ``queued``.
        progress: percent.
        message: the line that says what is going on.
        steps: as they are listed.
        text: the words that were streamed, and stand.
        end: the last frame, once it came: the answer, or the error.
    """

    state: str = "queued"
    progress: int = 0
    message: str = ""
    steps: list[StepSeen] = field(default_factory=list)
    text: str = ""
    end: dict[str, Any] | None = None

    @property
    def words(self) -> str:
        """The answer, or as much of it as there is."""
        said = str(self.end.get("response") or "") if self.end else ""
        return said or self.text

    def show(self, frame: dict[str, Any]) -> None:
        """Take in the next frame."""
        self.progress = frame["progress"]
        self.message = frame["message"] or self.message
        step = frame.get("step") or {}
        match frame["type"]:
            case Event.Type.STARTED:
                self.state = "processing"
                self.steps = [each for each in self.steps if each.state != "running"]
            case Event.Type.STEP_STARTED:
                self.steps.append(StepSeen(step.get("name", "")))
            case Event.Type.STEP_FINISHED:
                self._finish(step.get("name", ""))
            case Event.Type.DELTA:
                self.text += frame["delta"]
            case Event.Type.RESTARTED:
                self.text = self.text[: frame["text_length"]]
            case Event.Type.PROGRESS:
                pass
            case ended:
                self.state, self.end = ended, frame
                over = "done" if ended == Event.Type.COMPLETED else "failed"
                for each in self.steps:
                    each.state = over if each.state == "running" else each.state

    def _finish(self, name: str) -> None:
        for each in reversed(self.steps):
            if each.name == name and each.state == "running":
                each.state = "done"
                return
        self.steps.append(StepSeen(name, "done"))


def frames(job: Job, events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return the data of the frames that the job's stream has for *events*.

    Each has besides, as ``at``, the milliseconds since the job was sent.
    """
    # The default one, whose frames the chat page gets.
    dialect: Any = get_dialect(DEFAULT)(job)
    return [
        dialect.data(event) | {"at": _milliseconds(event.created_at, job.created_at)}
        for event in events
    ]


def fold(found: Iterable[dict[str, Any]], upto: int | None = None) -> Screen:
    """Return what stood on the screen.

    Args:
        found: of frames(), from the first on.
        upto: so many milliseconds after the job was sent; None for as long as there are any.
    """
    screen = Screen()
    for frame in found:
        if upto is not None and frame["at"] > upto:
            break
        screen.show(frame)
    return screen


def _milliseconds(at: datetime, since: datetime) -> int:
    return max(0, round((at - since).total_seconds() * 1000))
