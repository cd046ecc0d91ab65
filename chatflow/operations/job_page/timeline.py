"""The course of a job as bars: waits, attempts, steps, calls of models. Pure; it queries nothing.

The log tells when a step began and how it ended, its record by which others it was taken.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from chatflow.workflows.models import ACTIVE, TERMINAL, Event, Job, State, Step
from chatflow.workflows.running.model_requests import AI_STEP
from chatflow.workflows.running.step_keys import HANDED_OVER

Kind = Literal["wait", "attempt", "step", "call", "request", "tool", "question"]
BarState = Literal["running", "waiting", "finished", "stopped", "failed"]

# What of a log the bars are made of.
TYPES = (Event.Type.STARTED, Event.Type.STEP_STARTED, Event.Type.STEP_FINISHED, *TERMINAL)
TOOL = "Using "
# A wait has at most this share of the width: else the work behind a long one could not be seen.
LONGEST_WAIT = 0.25
# A step's full name has those of the steps around it in front, each with its occurrence.
AROUND = re.compile(r"#\d+ > ")
# How a step stands that did not finish, by its job's state; in an earlier attempt it was stopped.
UNFINISHED: dict[str, BarState] = {
    State.PROCESSING: "running",
    State.FAILED: "failed",
    State.TIMEOUT: "failed",
}


@dataclass(kw_only=True, eq=False)
class Bar:
    """Something that took time.

    Args:
        kind: of what.
        name: its own, without those of the steps around it.
        state: how it stands.
        start: when it began.
        end: when it ended; None while it goes on.
        attempt: in which it was; 0 for none.
        seq: of the event that began it; 0 where none tells.
        record: of a step that finished, or of a question.
        inside: what was done within it, in the order of their beginnings.
        depth: how many bars are around it.
    """

    kind: Kind
    name: str
    state: BarState
    start: datetime
    end: datetime | None
    attempt: int = 0
    seq: int = 0
    record: Step | None = None
    inside: list["Bar"] = field(default_factory=list)
    depth: int = 0

    def seconds(self, now: datetime) -> float:
        """Return how long it took, or has taken until *now*."""
        return max(0.0, ((self.end or now) - self.start).total_seconds())

    def walk(self) -> Iterator["Bar"]:
        """Yield it and all that are inside, from the outermost on."""
        yield self
        for each in self.inside:
            yield from each.walk()


@dataclass(frozen=True)
class Timeline:
    """The bars of a job, and where they lie.

    Args:
        bars: in the order in which they are listed; each is followed by those inside it.
        start: of the first one.
        end: of the last one; now, while the job goes on.
    """

    bars: list[Bar]
    start: datetime
    end: datetime

    def place(self, at: datetime) -> float:
        """Return how far in the timeline a moment lies, from 0 to 1; long waits are shortened."""
        return min(1.0, self._upto(at) / self._length)

    @cached_property
    def _length(self) -> float:
        return max(self._upto(self.end), 0.000001)

    @cached_property
    def _shortened(self) -> list[tuple[datetime, float, float]]:
        """When each wait began that is too long, how long it was, and the share to leave out."""
        waits = [bar for bar in self.bars if bar.kind == "wait"]
        whole = max((self.end - self.start).total_seconds(), 0.001)
        worked = whole - sum(bar.seconds(self.end) for bar in waits)
        most = max(worked, 0.001) * LONGEST_WAIT / (1 - LONGEST_WAIT)
        if len(waits) == len(self.bars):
            most = whole
        lasted = [(bar.start, bar.seconds(self.end)) for bar in waits]
        return [(start, took, 1 - most / took) for start, took in lasted if took > most]

    def _upto(self, moment: datetime) -> float:
        """Return the seconds from the start up to a moment, as they are drawn."""
        length = max(0.0, (moment - self.start).total_seconds())
        for start, took, share in self._shortened:
            length -= min(max(0.0, (moment - start).total_seconds()), took) * share
        return length

    def marks(self) -> list[tuple[int, float]]:
        """Return the moments between which places lie evenly: milliseconds, and the place."""
        moments = {self.start, self.end}
        for bar in self.bars:
            if bar.kind == "wait":
                moments |= {bar.start, bar.end or self.end}
        return [
            (round((at - self.start).total_seconds() * 1000), self.place(at))
            for at in sorted(moments)
        ]


def make_timeline(
    job: Job, events: Sequence[Event], steps: Sequence[Step], now: datetime
) -> Timeline:
    """Return the timeline of a job.

    Args:
        job: it.
        events: those of TYPES in its log, or the latest of them, in order.
        steps: what it has recorded, questions too, in order; or the latest.
        now: by the database's clock.
    """
    attempts = _attempts(job, events)
    spans = _spans(job, events, attempts)
    _find_records(spans, [step for step in steps if not step.question])
    for attempt in attempts:
        mine = [span for span in spans if span.attempt == attempt.attempt]
        attempt.inside = _nest(mine)
    _add_questions(job, attempts, steps)
    tops = [*_waits(job, attempts, now), *attempts]
    tops.sort(key=lambda bar: bar.start)
    for top in tops:
        _deepen(top, 0)
    bars = [bar for top in tops for bar in top.walk()]
    return Timeline(bars, job.created_at, job.finished_at or now)


def _attempts(job: Job, events: Sequence[Event]) -> list[Bar]:
    """Return a bar for each attempt. How an earlier one ended the log doesn't tell."""
    bars: list[Bar] = []
    if job.started_at is not None and not (events and events[0].type == Event.Type.STARTED):
        # The beginning of the log is not there, or none of it.
        number = events[0].attempt if events else job.attempt
        bars.append(_attempt(number, job.started_at, 0))
    for event in events:
        if event.type == Event.Type.STARTED:
            bars.append(_attempt(event.attempt, event.created_at, event.seq))
        elif bars:
            bars[-1].end = event.created_at
    if bars:
        last = bars[-1]
        if job.state == State.PROCESSING:
            last.state, last.end = "running", None
        elif job.is_finished:
            last.state = "finished" if job.state == State.COMPLETED else _broken(job)
            last.end = job.finished_at
    return bars


def _attempt(number: int, at: datetime, seq: int) -> Bar:
    return Bar(
        kind="attempt",
        name=f"Attempt {number}",
        state="stopped",
        start=at,
        end=at,
        attempt=number,
        seq=seq,
    )


def _broken(job: Job) -> BarState:
    return UNFINISHED.get(job.state, "stopped")


def _waits(job: Job, attempts: Sequence[Bar], now: datetime) -> list[Bar]:
    """Return the times in which the job stood in the queue."""
    waits: list[Bar] = []
    begun = job.created_at
    for attempt in attempts:
        name = "Waiting in the queue" if not waits else "Waiting for the next attempt"
        waits.append(Bar(kind="wait", name=name, state="finished", start=begun, end=attempt.start))
        begun = attempt.end or now
    if job.state == State.QUEUED or not attempts:
        name = "Waiting for the next attempt" if attempts else "Waiting in the queue"
        state: BarState = "waiting" if job.state in ACTIVE else "stopped"
        waits.append(Bar(kind="wait", name=name, state=state, start=begun, end=job.finished_at))
    return waits


def _spans(job: Job, events: Sequence[Event], attempts: Sequence[Bar]) -> list[Bar]:
    """Return a bar for each step that began, in that order."""
    around = {bar.attempt: bar for bar in attempts}
    spans: list[Bar] = []
    for event in events:
        if event.type not in (Event.Type.STEP_STARTED, Event.Type.STEP_FINISHED):
            continue
        name = str(event.data.get("step", {}).get("name", ""))
        if event.type == Event.Type.STEP_STARTED:
            attempt = around.get(event.attempt)
            if attempt is None:
                continue
            state = _broken(job) if attempt is attempts[-1] else "stopped"
            end = None if state == "running" else attempt.end
            spans.append(
                Bar(
                    kind="step",
                    name=name,
                    state=state,
                    start=event.created_at,
                    end=end,
                    attempt=event.attempt,
                    seq=event.seq,
                )
            )
            continue
        for span in reversed(spans):
            if (span.name, span.attempt) == (name, event.attempt) and span.state != "finished":
                span.state, span.end = "finished", event.created_at
                break
    return spans


def _find_records(spans: Sequence[Bar], records: Sequence[Step]) -> None:
    """Give each finished bar its record: they were stored in the order of the ends, as pairs."""
    finished = [span for span in spans if span.state == "finished"]
    finished.sort(key=lambda span: span.end or span.start)
    left: dict[tuple[int, str], list[Step]] = {}
    for record in records:
        left.setdefault((record.attempt, own_name(record)), []).append(record)
    # From the end on: of a long log only the latest part may be there.
    for span in reversed(finished):
        # A name that was too long for a record ends with a digest.
        mine = left.get((span.attempt, span.name)) or _cut_short(left, span)
        if mine:
            span.record = mine.pop()


def _cut_short(left: dict[tuple[int, str], list[Step]], span: Bar) -> list[Step] | None:
    for (attempt, name), records in left.items():
        begins = name.rpartition("~")[0]
        if attempt == span.attempt and begins and span.name.startswith(begins) and records:
            return records
    return None


def own_name(step: Step) -> str:
    """Return the name of a step without those of the steps around it."""
    return AROUND.split(step.name.removeprefix(HANDED_OVER))[-1]


def _paths(step: Step) -> list[tuple[str, str]]:
    """Return the steps around a step, each as the path down to it, and its own name."""
    marks = list(AROUND.finditer(step.name))
    starts = [0, *(mark.end() for mark in marks)]
    return [
        (step.name[: mark.end()], step.name[start : mark.start()].removeprefix(HANDED_OVER))
        for start, mark in zip(starts, marks, strict=False)
    ]


def _nest(spans: Sequence[Bar]) -> list[Bar]:
    """Put the bars of one attempt into each other; return those that are in no other one."""
    tops: list[Bar] = []
    by_path: dict[str, Bar] = {}
    for span in spans:
        if span.record is not None:
            by_path[f"{span.record.name}#{span.record.occurrence} > "] = span
    for number, span in enumerate(spans):
        before = spans[:number]
        parent: Bar | None
        if span.record is None:
            parent = _innermost(span, before)
        else:
            parent = None
            for path, name in _paths(span.record):
                if path not in by_path:
                    by_path[path] = _unrecorded(name, span, before, by_path) or _group(
                        name, span, tops if parent is None else parent.inside
                    )
                parent = by_path[path]
        (tops if parent is None else parent.inside).append(span)
        _name_kind(span, parent)
    return [_simple(bar) for bar in tops]


def _innermost(span: Bar, before: Sequence[Bar]) -> Bar | None:
    """Return the last of the bars that began before and had not ended yet."""
    return next(
        (
            bar
            for bar in reversed(before)
            if bar.end is None or bar.end > span.start or bar.state != "finished"
        ),
        None,
    )


def _unrecorded(name: str, span: Bar, before: Sequence[Bar], by_path: dict[str, Bar]) -> Bar | None:
    """Return the step of that name that is around *span* and did not finish."""
    taken = list(by_path.values())
    for bar in reversed(before):
        if bar.record is None and bar.name == name and bar not in taken:
            return bar
    return None


def _group(name: str, span: Bar, siblings: list[Bar]) -> Bar:
    """Return a bar for what is no step itself, but has some: a call of a model."""
    bar = Bar(
        kind="call" if name == AI_STEP else "step",
        name=name,
        state=span.state,
        start=span.start,
        end=span.end,
        attempt=span.attempt,
        seq=span.seq,
    )
    siblings.append(bar)
    return bar


def _name_kind(span: Bar, parent: Bar | None) -> None:
    if span.name == AI_STEP:
        span.kind = "request"
    elif span.name.startswith(TOOL) and parent is not None and parent.kind == "call":
        span.kind = "tool"


def _simple(bar: Bar) -> Bar:
    """Return *bar*; of a call that is one request only that request. A call ends as its last."""
    bar.inside = [_simple(each) for each in bar.inside]
    if bar.kind == "call":
        last = bar.inside[-1]
        bar.state = last.state
        ends = [each.end for each in bar.inside]
        bar.end = None if None in ends else max(end for end in ends if end is not None)
        if len(bar.inside) == 1:
            return last
    return bar


def _add_questions(job: Job, attempts: Sequence[Bar], steps: Sequence[Step]) -> None:
    """Put what the job asked at its end, and what its message answered at its beginning."""
    if not attempts:
        return
    first, last = attempts[0], attempts[-1]
    for step in steps:
        if not step.question:
            continue
        at = first.start if step.finished else last.end or last.start
        bar = Bar(
            kind="question",
            name="Answer of the user" if step.finished else "Question to the user",
            state="finished" if step.finished else "waiting",
            start=at,
            end=at,
            attempt=(first if step.finished else last).attempt,
            record=step,
        )
        if step.finished:
            first.inside.insert(0, bar)
        else:
            last.inside.append(bar)


def _deepen(bar: Bar, depth: int) -> None:
    bar.depth = depth
    for each in bar.inside:
        _deepen(each, depth + 1)
