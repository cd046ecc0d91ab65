"""One encoding for all who listen to a job in a dialect."""

from collections.abc import Iterator
from typing import Any

import pytest

from chatflow.dialects import CLOSE, Dialect, Encoding, Missed, encoding
from chatflow.workflows.models import Event
from tests.chatflow.dialects.contract import BEGUN, job, log

LOG = log([*BEGUN, ("completed", {"response": "", "actions": [{"url": "/invoices/1"}]})])


class Tally(Dialect):
    """Counts the events, so that its frames depend on those before; and how often it is asked."""

    name = "tally"
    __slots__ = ("asked", "count", "said")

    def __init__(self, about: Any) -> None:
        super().__init__(about)
        self.count = self.asked = 0
        self.said: list[str] = []

    def frames(self, event: Event) -> list[bytes]:
        self.asked += 1
        self.count += 1
        self.said.append(event.type)
        urls = [each["url"] for each in event.data.get("actions", ())]
        return [f"data: {self.count} {event.seq} {' '.join(urls)}\n\n".encode()]


class Plain(Tally):
    keeps_state = False

    def frames(self, event: Event) -> list[bytes]:
        self.asked += 1
        return [f"data: {event.seq}\n\n".encode()]


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    encoding._shared.clear()
    yield
    encoding._shared.clear()


def read(listener: Encoding, events: list[Event]) -> list[bytes]:
    return [frame for event in events for frame in listener.frames(event)]


@pytest.mark.parametrize("dialect", [Tally, Plain])
def test_an_event_is_encoded_once_for_all(dialect: type[Tally]) -> None:
    first = Encoding(dialect(job())).shared()
    second = Encoding(dialect(job())).shared()
    assert second is first
    assert read(first, LOG) == read(second, LOG)
    assert first.dialect.asked == len(LOG)  # type: ignore[attr-defined]


def test_a_single_listener_keeps_no_frames() -> None:
    alone = Encoding(Tally(job())).shared()
    alone.frames(LOG[0])
    with pytest.raises(Missed):
        alone.frames(LOG[0])


def test_who_comes_later_joins_when_it_is_as_far() -> None:
    first = Encoding(Tally(job())).shared()
    read(first, LOG[:3])
    late = Encoding(Tally(job()))
    assert late.shared() is late
    assert read(late, LOG[:3])
    assert late.shared() is first


def test_who_is_ahead_is_joined_by_the_others() -> None:
    behind = Encoding(Tally(job())).shared()
    ahead = Encoding(Tally(job()))
    read(ahead, LOG[:2])
    assert ahead.shared() is ahead
    read(behind, LOG[:2])
    assert behind.shared() is ahead


@pytest.mark.parametrize("prefix", ["", "/team"])
def test_links_lead_by_the_clients_prefix(prefix: str) -> None:
    listener = Encoding(Tally(job()), prefix)
    assert f"{prefix}/invoices/1".encode() in read(listener, LOG)[-1]
    assert LOG[-1].data["actions"] == [{"url": "/invoices/1"}]


def test_clients_of_two_prefixes_share_nothing() -> None:
    here, there = Encoding(Tally(job())), Encoding(Tally(job()), "/team")
    assert here.shared() is here
    assert there.shared() is there


def test_who_is_too_far_behind_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "KEPT", 2)
    first, slow = (Encoding(Tally(job())).shared() for _ in range(2))
    whole = read(first, LOG)
    assert read(slow, LOG[-2:]) == whole[-2:]
    with pytest.raises(Missed):
        slow.frames(LOG[0])
    again = slow.anew()
    assert read(again, LOG) == whole


def test_a_stateless_one_encodes_again_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "KEPT", 2)
    first, slow = (Encoding(Plain(job())).shared() for _ in range(2))
    assert read(first, LOG) == read(slow, LOG)


def test_frames_that_nobody_wanted_for_a_while_are_dropped() -> None:
    first, slow = (Encoding(Tally(job())).shared() for _ in range(2))
    read(first, LOG[:1])
    first.forget()
    with pytest.raises(Missed):
        slow.frames(LOG[0])


def test_it_knows_its_end() -> None:
    listener = Encoding(Tally(job()))
    read(listener, LOG[:-1])
    assert not listener.ended
    read(listener, LOG[-1:])
    assert listener.ended


def test_close_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Encoding(Tally(job()))
    monkeypatch.setattr(Tally, "frames", lambda self, event: [b"data: x\n\n", CLOSE])
    listener.frames(LOG[0])
    assert listener.ended


def test_nothing_is_kept_of_those_who_left() -> None:
    listener = Encoding(Tally(job())).shared()
    assert len(encoding._shared) == 1
    del listener
    assert not encoding._shared
