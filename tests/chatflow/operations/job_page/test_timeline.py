"""The bars of a job, made of rows that no database has seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatflow.operations.job_page.timeline import Bar, Timeline, make_timeline
from chatflow.workflows.models import Event, Job, State, Step

T0 = datetime(2026, 11, 30, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class Log:
    """What a job has written, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.steps: list[Step] = []
        self.attempt = 0

    def add(self, type: str, seconds: float, name: str = "", **data: Any) -> None:
        data = {"step": {"name": name}} if name else data
        seq = len(self.events) + 1
        event = Event(seq=seq, type=type, data=data, attempt=self.attempt, created_at=at(seconds))
        self.events.append(event)

    def start(self, seconds: float) -> None:
        self.attempt += 1
        self.add("started", seconds)

    def begin(self, name: str, seconds: float) -> None:
        self.add("step_started", seconds, name)

    def finish(self, full_name: str, seconds: float, occurrence: int = 1) -> None:
        self.add("step_finished", seconds, full_name.rpartition(" > ")[2])
        self.steps.append(
            Step(
                pk=len(self.steps) + 1,
                name=full_name,
                occurrence=occurrence,
                attempt=self.attempt,
                created_at=at(seconds),
            )
        )

    def lines(self, state: str, now: float, **job: Any) -> list[str]:
        return [line(bar) for bar in self.timeline(state, now, **job).bars]

    def timeline(self, state: str, now: float, **job: Any) -> Timeline:
        ended = state not in (State.QUEUED, State.PROCESSING)
        row = Job(
            state=state,
            created_at=T0,
            finished_at=at(now) if ended else None,
            attempt=self.attempt,
            **job,
        )
        return make_timeline(row, self.events, self.steps, at(now))


def line(bar: Bar) -> str:
    end = "…" if bar.end is None else f"{(bar.end - T0).total_seconds():g}"
    begun = f"{(bar.start - T0).total_seconds():g}"
    return f"{'. ' * bar.depth}{bar.name} [{bar.kind}, {bar.state}] {begun}-{end}"


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_job_that_waits(log: Log) -> None:
    assert log.lines(State.QUEUED, 5) == ["Waiting in the queue [wait, waiting] 0-…"]


def test_steps_lie_in_each_other(log: Log) -> None:
    log.start(1)
    log.begin("outer", 1)
    log.begin("inner", 2)
    log.finish("outer#1 > inner", 3)
    log.finish("outer", 4)
    log.begin("inner", 4)
    log.finish("inner", 5)
    log.add("completed", 6)

    assert log.lines(State.COMPLETED, 6) == [
        "Waiting in the queue [wait, finished] 0-1",
        "Attempt 1 [attempt, finished] 1-6",
        ". outer [step, finished] 1-4",
        ". . inner [step, finished] 2-3",
        ". inner [step, finished] 4-5",
    ]


def test_requests_and_tools_lie_in_their_call_and_one_request_needs_none(log: Log) -> None:
    log.start(0)
    log.begin("Asking the model", 0)
    log.finish("Asking the model#1 > Asking the model", 1)
    log.begin("Using search", 1)
    log.finish("Asking the model#1 > Using search", 2)
    log.begin("Asking the model", 2)
    log.finish("Asking the model#1 > Asking the model", 3, occurrence=2)
    log.begin("Asking the model", 3)
    log.finish("Asking the model#2 > Asking the model", 4)
    log.add("completed", 4)

    assert log.lines(State.COMPLETED, 4)[2:] == [
        ". Asking the model [call, finished] 0-3",
        ". . Asking the model [request, finished] 0-1",
        ". . Using search [tool, finished] 1-2",
        ". . Asking the model [request, finished] 2-3",
        ". Asking the model [request, finished] 3-4",
    ]


def test_what_runs_has_no_end(log: Log) -> None:
    log.start(0)
    log.begin("outer", 1)
    log.begin("inner", 2)
    log.finish("outer#1 > inner", 3)
    log.begin("Asking the model", 3)

    assert log.lines(State.PROCESSING, 9)[1:] == [
        "Attempt 1 [attempt, running] 0-…",
        ". outer [step, running] 1-…",
        ". . inner [step, finished] 2-3",
        ". . Asking the model [request, running] 3-…",
    ]


@pytest.mark.parametrize(
    ("state", "shown"), [("failed", "failed"), ("timeout", "failed"), ("cancelled", "stopped")]
)
def test_what_broke_off_is_failed_only_where_that_is_wrong(
    log: Log, state: str, shown: str
) -> None:
    log.start(0)
    log.begin("a", 1)
    log.add(state, 2)

    assert log.lines(state, 2)[1:] == [
        f"Attempt 1 [attempt, {shown}] 0-2",
        f". a [step, {shown}] 1-2",
    ]


def test_attempts_and_the_waits_between_them(log: Log) -> None:
    log.start(1)
    log.begin("a", 1)
    log.finish("a", 2)
    log.begin("b", 2)
    log.start(10)
    log.begin("b", 10)
    log.finish("b", 11)
    log.add("completed", 12)

    assert log.lines(State.COMPLETED, 12) == [
        "Waiting in the queue [wait, finished] 0-1",
        "Attempt 1 [attempt, stopped] 1-2",
        ". a [step, finished] 1-2",
        ". b [step, stopped] 2-2",
        "Waiting for the next attempt [wait, finished] 2-10",
        "Attempt 2 [attempt, finished] 10-12",
        ". b [step, finished] 10-11",
    ]
    assert log.lines(State.QUEUED, 20)[-1] == "Waiting for the next attempt [wait, waiting] 12-…"


def test_steps_side_by_side_keep_their_own_records(log: Log) -> None:
    log.start(0)
    for name in ("a", "b"):
        log.begin(name, 0)
    log.finish("b", 1)
    log.finish("a", 2)
    log.add("completed", 2)

    bars = log.timeline(State.COMPLETED, 2).bars[2:]

    assert [(bar.name, bar.record and bar.record.name, bar.depth) for bar in bars] == [
        ("a", "a", 1),
        ("b", "b", 1),
    ]


def test_of_a_long_log_the_latest_part_is_enough(log: Log) -> None:
    log.start(0)
    for number in range(10):
        log.begin("a", number)
        log.finish("a", number + 1, occurrence=number + 1)
    log.add("completed", 10)
    log.events, log.steps = log.events[-6:], log.steps[-2:]

    bars = log.timeline(State.COMPLETED, 10, started_at=T0).bars

    records = [bar.record.occurrence for bar in bars if bar.record]
    assert records == [9, 10]
    assert [bar.name for bar in bars if bar.kind == "attempt"] == ["Attempt 1"]


def test_a_question_stands_where_it_was_asked(log: Log) -> None:
    log.start(1)
    log.add("completed", 3)
    asked = Step(pk=9, name="ask: Name?", occurrence=1, question=True, finished=False)
    told = Step(pk=8, name="ask: Age?", occurrence=1, question=True, finished=True)
    log.steps += [told, asked]

    assert log.lines(State.COMPLETED, 3)[1:] == [
        "Attempt 1 [attempt, finished] 1-3",
        ". Answer of the user [question, finished] 1-1",
        ". Question to the user [question, waiting] 3-3",
    ]


def test_a_long_wait_leaves_room_for_the_work(log: Log) -> None:
    log.start(3600)
    log.add("completed", 3606)

    timeline = log.timeline(State.COMPLETED, 3606)

    assert timeline.place(T0) == 0
    assert timeline.place(at(1800)) == pytest.approx(0.125)
    assert timeline.place(at(3600)) == pytest.approx(0.25)
    assert timeline.place(at(3603)) == pytest.approx(0.625)
    assert timeline.place(at(3606)) == 1
    assert timeline.marks() == [(0, 0), (3_600_000, pytest.approx(0.25)), (3_606_000, 1)]


def test_nothing_took_any_time(log: Log) -> None:
    log.start(0)
    log.add("completed", 0)
    timeline = log.timeline(State.COMPLETED, 0)
    assert all(0 <= timeline.place(bar.start) <= 1 for bar in timeline.bars)


def test_names_that_are_cut_still_find_their_records(log: Log) -> None:
    name = "x" * 300
    log.start(0)
    log.begin(name, 0)
    log.finish(f"{'x' * 183}~0123456789abcdef", 1)
    log.events[-1].data = {"step": {"name": name}}
    log.add("completed", 1)
    assert log.timeline(State.COMPLETED, 1).bars[2].record is log.steps[0]


def test_a_job_that_was_handed_over_shows_what_was_done_before(log: Log) -> None:
    log.start(0)
    log.begin("a", 0)
    log.finish("Choosing the workflow: a", 1)
    log.events[-1].data = {"step": {"name": "a"}}
    log.start(1)
    log.add("completed", 2)
    assert log.lines(State.COMPLETED, 2)[2] == ". a [step, finished] 0-1"
