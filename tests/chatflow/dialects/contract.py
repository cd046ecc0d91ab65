"""What every dialect owes its clients. A dialect's own tests inherit it, and say how it is read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chatflow.dialects import Dialect, get_dialect
from chatflow.workflows.models import Event, Job, State

NOON = datetime(2026, 1, 13, 13, 45, tzinfo=UTC)
ANSWER = {"response": "One two three", "actions": [], "sources": [], "metadata": {}}
ERROR = {"error": "The printer is on fire.", "code": "fire"}

Said = tuple[str, dict[str, Any]]
WORDS: list[Said] = [("delta", {"delta": word}) for word in ("One", " two", " three")]
BEGUN: list[Said] = [
    ("started", {}),
    ("step_started", {"step": {"name": "Counting", "number": 1, "total": 1}}),
    ("progress", {"said": ["half"]}),
    *WORDS,
    ("step_finished", {"step": {"name": "Counting", "number": 1, "total": 1}}),
]
# The attempt was lost after the first word: what came behind it is taken back, and comes again.
TAKEN_BACK: list[Said] = [
    *BEGUN[:5],
    ("restarted", {"attempt": 2, "text_length": 3}),
    *WORDS[1:],
]
EVIL = {"title": "Evil", "url": "javascript:alert(1)"}
QUESTION = {"kind": "text", "prompt": "One two three", "optional": False}
LOGS: dict[str, list[Said]] = {
    "completed": [*BEGUN, ("completed", ANSWER)],
    "taken back": [*TAKEN_BACK, ("completed", ANSWER)],
    "a question": [*BEGUN, ("completed", {**ANSWER, "awaiting": QUESTION})],
    "nothing streamed": [("started", {}), ("completed", ANSWER)],
    "failed": [*BEGUN, ("failed", ERROR)],
    "timeout": [*BEGUN, ("timeout", {"error": "It ran too long.", "code": "timeout"})],
    "cancelled": [*BEGUN, ("cancelled", {"error": "It was cancelled.", "code": "cancelled"})],
    "cancelled in the queue": [("cancelled", {"error": "It was cancelled.", "code": "cancelled"})],
}


def log(said: list[Said]) -> list[Event]:
    """Return the events of a job, numbered from 1."""
    return [
        Event(seq=seq, type=kind, progress=50, message="m", data=data, attempt=1, created_at=NOON)
        for seq, (kind, data) in enumerate(said, 1)
    ]


def job() -> Job:
    return Job(public_id=f"workflow_{'0' * 32}", progress=25, last_seq=4, updated_at=NOON)


class DialectContract:
    # What is registered, and as what.
    name: str
    dialect: type[Dialect]
    # It carries the streamed words. One that only tells how far a job is says no.
    streams_words = True
    # Its clients can be told that words don't stand. Else they are spared those that come again.
    takes_back = True

    def make(self) -> Dialect:
        """Return an encoder that has been given no event."""
        return self.dialect(job())

    def is_end(self, frame: bytes) -> bool:
        """Say whether a client takes this frame for the end of the job."""
        raise NotImplementedError

    def words(self, frames: list[bytes]) -> str:
        """Return the streamed words that stand for a client that has read *frames*."""
        raise NotImplementedError

    def encode(self, said: list[Said]) -> list[bytes]:
        encoder = self.make()
        return [frame for event in log(said) for frame in encoder.frames(event)]

    @pytest.fixture(params=LOGS)
    def said(self, request: pytest.FixtureRequest) -> list[Said]:
        return LOGS[request.param]

    def test_it_works(self, said: list[Said]) -> None:
        assert self.encode(said)

    def test_its_name_finds_it(self) -> None:
        assert get_dialect(self.name) is self.dialect

    def test_the_same_log_gives_the_same_frames(self, said: list[Said]) -> None:
        assert self.encode(said) == self.encode(said)

    def test_what_is_to_come_changes_no_frame(self, said: list[Said]) -> None:
        whole = self.encode(said)
        for length in range(len(said)):
            begun = self.encode(said[:length])
            assert begun == whole[: len(begun)]

    def test_frames_are_blocks(self, said: list[Said]) -> None:
        """One that holds only an id or a time to wait makes clients stumble."""
        opening = self.make().connected(job())
        for frame in [*([opening] if opening else []), *self.encode(said)]:
            assert frame.endswith(b"\n\n")
            assert b"\r" not in frame
            for block in frame.removesuffix(b"\n\n").split(b"\n\n"):
                assert any(line.startswith((b"data:", b":")) for line in block.split(b"\n"))

    def test_the_end_is_told_once(self, said: list[Said]) -> None:
        assert [self.is_end(frame) for frame in self.encode(said)].count(True) == 1

    def test_a_cut_is_not_the_end(self, said: list[Said]) -> None:
        assert not self.is_end(self.make().connected(job()))
        assert not any(self.is_end(frame) for frame in self.encode(said[:-1]))

    def test_a_client_comes_back_at_any_cursor(self, said: list[Said]) -> None:
        """Its new encoder has not seen the events before the cursor."""
        if self.dialect.keeps_state:
            pytest.skip("Its new encoder is given all events again.")
        events = log(said)
        encoder = self.make()
        whole = [encoder.frames(event) for event in events]
        for cursor in range(len(events)):
            again = self.make()
            assert [again.frames(event) for event in events[cursor:]] == whole[cursor:]

    def test_each_word_comes_once(self) -> None:
        if not self.streams_words:
            pytest.skip("This dialect says that it has no words.")
        assert self.words(self.encode(BEGUN)) == "One two three"

    def test_words_are_taken_back(self) -> None:
        if not self.streams_words:
            pytest.skip("This dialect says that it has no words.")
        begun = self.encode(TAKEN_BACK[:6])
        assert self.words(begun) == ("One" if self.takes_back else "One two")
        assert self.words(self.encode(TAKEN_BACK)) == "One two three"

    def test_what_stands_behind_the_end_is_nothing(self, said: list[Said]) -> None:
        """Whoever takes the end for it misses no word; a protocol may have a last line."""
        frames = self.encode(said)
        (end,) = [number for number, frame in enumerate(frames) if self.is_end(frame)]
        assert self.words(frames[: end + 1]) == self.words(frames)

    def test_every_state_has_a_word(self) -> None:
        words = {state: self.dialect.status(state) for state in State}
        assert all(words.values())
        for state in (State.FAILED, State.TIMEOUT, State.CANCELLED, State.PROCESSING):
            assert words[state] != words[State.COMPLETED]
