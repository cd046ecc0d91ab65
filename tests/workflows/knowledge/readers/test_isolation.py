"""Documents are read in a process of its own, whatever they are."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from chatflow.workflows.knowledge.readers import Busy, Unreadable, isolation, read
from chatflow.workflows.knowledge.readers.base import BROKEN
from chatflow.workflows.knowledge.readers.isolation import TOO_LONG
from chatflow.workflows.knowledge.readers.text import Text
from tests.workflows.knowledge.pdf import laborious_pdf
from tests.workflows.knowledge.readers import hostile

# It needs no database: once is enough.
pytestmark = pytest.mark.sqlite

TOO_MUCH = "This document takes too much memory to read."


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[isolation._Room]:
    room = isolation._Room()
    monkeypatch.setattr(isolation, "_room", room)
    yield room
    room.stop()
    isolation.stop()


def begin() -> list[str]:
    return [section.text for section in isolation.read(Text(), b"words")]


def framed(answer: bytes) -> bytes:
    return len(answer).to_bytes(8) + answer


def group_of(room: isolation._Room) -> int:
    [reading] = room._at_work
    return reading._process._process.pid


def test_it_works(room: isolation._Room) -> None:
    assert begin() == begin() == ["words"]
    # The second document came to the same process.
    assert len(room._waiting) == 1


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        (hostile.Greedy(), TOO_MUCH),
        (hostile.Crashing(), BROKEN),
        (hostile.Careless(), BROKEN),
        (hostile.Deep(), BROKEN),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_goes_wrong_costs_that_document(reader: hostile.Hostile, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        isolation.read(reader, b"")
    assert begin() == ["words"]


@pytest.mark.parametrize(
    "lie",
    [
        b"\xff" * 100,
        framed(b"\xff"),
        framed(b"{}"),
        framed(b"[1]"),
        framed(b'{"sections": [1]}'),
        framed(b"[" * 100_000),
    ],
)
def test_a_reader_that_has_been_taken_over(lie: bytes) -> None:
    with pytest.raises(Unreadable, match=BROKEN):
        isolation.read(hostile.Lying(), lie)
    assert begin() == ["words"]


def test_an_answer_to_the_next_document(room: isolation._Room) -> None:
    """What a reader adds to its answer reaches nobody else's document."""
    answer = framed(b'{"sections": [[[], "mine"]]}')
    assert isolation.read(hostile.Lying(), answer * 2)[0].text == "mine"
    assert begin() == ["words"]


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr("subprocess.Popen", refuse)
    with pytest.raises(Busy):
        begin()


def test_a_document_that_costs_too_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "CPU_SECONDS", 1)
    with pytest.raises(Unreadable, match=TOO_LONG):
        isolation.read(hostile.Endless(), b"")
    assert begin() == ["words"]


def test_a_document_that_nothing_but_the_clock_ends(
    room: isolation._Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "SECONDS", 0.5)
    groups: list[int] = []
    isolation.on_leave.set(lambda stop: groups.append(group_of(room)))
    try:
        with pytest.raises(Unreadable, match=TOO_LONG):
            isolation.read(hostile.Asleep(), b"")
    finally:
        isolation.on_leave.set(None)
    with pytest.raises(ProcessLookupError):
        os.killpg(groups[0], 0)


def test_pages_that_share_one_large_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PDF of 275 KB, which took a web process for good."""
    monkeypatch.setattr(isolation, "CPU_SECONDS", 1)
    content = laborious_pdf()
    assert len(content) < 400_000
    with pytest.raises(Unreadable, match=TOO_LONG):
        read(content, "application/pdf")


def test_it_knows_no_secret_and_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "the secret")
    environment, modules = isolation.read(hostile.Curious(), b"")
    assert [line.partition("=")[0] for line in environment.text.split()] == ["PYTHONPATH"]
    assert not {"chatflow.workflows.models", "chatflow.settings", "sqlite3", "psycopg"} & {
        *modules.text.split()
    }


def test_so_many_at_once(room: isolation._Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes when all slots are taken is told so at once; who has one may give it up."""
    monkeypatch.setattr(isolation, "SLOTS", 1)
    monkeypatch.setattr(isolation, "_room", isolation._Room())
    begun = Event()
    stops: list[Callable[[], None]] = []

    def occupy() -> None:
        def watch(stop: Callable[[], None]) -> None:
            stops.append(stop)
            begun.set()

        isolation.on_leave.set(watch)
        isolation.read(hostile.Asleep(), b"")

    with ThreadPoolExecutor(1) as threads:
        occupied = threads.submit(occupy)
        assert begun.wait(10)
        with pytest.raises(Busy, match="at once"):
            begin()
        stops[0]()
        with pytest.raises(Busy, match="broken off"):
            occupied.result(10)
    assert begin() == ["words"]
    # The client leaves when it has its answer, too: that ends nobody else's document.
    stops[0]()
    assert begin() == ["words"]


def test_a_process_that_is_about_to_stop(room: isolation._Room) -> None:
    begun = Event()

    def occupy() -> None:
        isolation.on_leave.set(lambda stop: begun.set())
        isolation.read(hostile.Asleep(), b"")

    with ThreadPoolExecutor(1) as threads:
        occupied = threads.submit(occupy)
        assert begun.wait(10)
        isolation.stop()
        with pytest.raises(Busy):
            occupied.result(10)
    with pytest.raises(Busy):
        begin()


def test_a_reading_process_that_died_while_it_waited(room: isolation._Room) -> None:
    begin()
    [process] = room._waiting
    process._process.kill()
    process._process.wait()
    assert begin() == ["words"]


def test_a_fork_has_reading_processes_of_its_own(room: isolation._Room) -> None:
    begin()
    child = os.fork()
    if child == 0:
        os._exit(len(isolation._room._waiting))
    assert os.waitpid(child, 0)[1] == 0
    assert begin() == ["words"]


def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatflow.workflows.knowledge.readers.base.MOST_BYTES", 4)
    with pytest.raises(Unreadable, match="more than 4 bytes"):
        read(b"words", "text/plain")


def test_too_many_parts() -> None:
    with pytest.raises(Unreadable, match="more than 5,000 parts"):
        read(b"# a\nb\n" * 5001, "text/markdown")
