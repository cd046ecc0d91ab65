"""Django's WSGI application, in threads."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from chatflow.serving import pool as pool_module
from chatflow.serving.pool import Pool

SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/é",
    "query_string": b"a=1",
    "headers": [(b"content-length", b"4"), (b"x-two", b"1"), (b"x-two", b"2")],
    "server": ("testserver", 80),
    "client": ("127.0.0.1", 5),
}


class Answer:
    """An answer in pieces, which has to be closed."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.closed_in: int | None = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed_in = threading.get_ident()


async def ask(pool: Pool, body: bytes = b"body") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await pool.answer(SCOPE, body, send)
    return sent


async def test_it_works() -> None:
    answer = Answer(b"one", b"", b"two")
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read(), thread=threading.get_ident())
        start_response("201 Created", [("X-A", "é"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
        return answer

    start, content = await ask(Pool(application, 1))

    assert start == {
        "type": "http.response.start",
        "status": 201,
        "headers": [(b"x-a", b"\xe9"), (b"set-cookie", b"a"), (b"set-cookie", b"b")],
    }
    assert content == {"type": "http.response.body", "body": b"onetwo"}
    assert (seen["body"], seen["QUERY_STRING"], seen["HTTP_X_TWO"]) == (b"body", "a=1", "1,2")
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/é"
    # What a request has used is given back in the thread that used it.
    assert answer.closed_in == seen["thread"] != threading.get_ident()


async def test_so_many_at_once_and_no_more() -> None:
    gate, inside, most = threading.Event(), 0, 0
    lock = threading.Lock()

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == 2:
                gate.set()
        assert gate.wait(10)
        start_response("200 OK", [])
        with lock:
            inside -= 1
        return [b""]

    pool = Pool(application, 2)
    await asyncio.gather(*(ask(pool) for _ in range(6)))

    assert most == 2


async def test_what_the_application_raises_is_raised() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask(Pool(application, 1))


async def test_an_answer_that_breaks_off_is_closed() -> None:
    class Broken(Answer):
        def __iter__(self) -> Iterator[bytes]:
            yield b"one"
            raise ZeroDivisionError

    answer = Broken()

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return answer

    with pytest.raises(ZeroDivisionError):
        await ask(Pool(application, 1))
    assert answer.closed_in is not None


class Crowd:
    """An application whose requests wait for each other, and how many have been begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop)
        assert self.gate.wait(10)
        start_response("200 OK", [])
        return [b""]

    async def _begin(self) -> None:
        async with self._changed:
            self.begun += 1
            self._changed.notify_all()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.begun >= count)

    async def let_go(self, asked: "list[asyncio.Future[Any]]") -> None:
        """Let all end; then the next few find nobody in their way."""
        self.gate.set()
        await asyncio.gather(*asked)
        self.gate.clear()


def ask_many(pool: Pool, count: int) -> "list[asyncio.Future[Any]]":
    return [asyncio.ensure_future(ask(pool)) for _ in range(count)]


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the event loop be late, whatever the clock says."""
    monkeypatch.setattr(pool_module, "LATE", -1.0)
    monkeypatch.setattr(pool_module, "LONG", 600.0)


MANY = pool_module.FEW + pool_module.AT_ONCE


@pytest.mark.usefixtures("late")
async def test_of_many_two_begin_at_a_time() -> None:
    """Beyond the first few; else the streams would wait behind all of them."""
    crowd = Crowd()
    pool = Pool(crowd, MANY + 5)
    asked = ask_many(pool, MANY + 5)

    await crowd.wait_for(MANY)
    # A thread is free, and would have begun by now.
    await pool.call(lambda: None)
    assert crowd.begun == MANY
    await crowd.let_go(asked)
    assert crowd.begun == MANY + 5
    # They have left: as many may begin again.
    again = ask_many(pool, MANY)
    await crowd.wait_for(MANY + 5 + MANY)
    await crowd.let_go(again)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize(
    ("name", "value"), [("LATE", 600.0), ("LONG", 0.0)], ids=["punctual loop", "long request"]
)
async def test_who_does_not_count_makes_room(
    monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    """Where the loop is punctual, they most likely wait themselves; and none counts for ever."""
    monkeypatch.setattr(pool_module, name, value)
    crowd = Crowd()
    pool = Pool(crowd, MANY + 5)
    asked = ask_many(pool, MANY + 5)

    await crowd.wait_for(MANY + 5)
    await crowd.let_go(asked)


@pytest.mark.usefixtures("late")
async def test_errors_and_those_who_leave_free_their_slots() -> None:
    crowd, fails = Crowd(), True

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        if fails:
            raise ZeroDivisionError
        return crowd(environ, start_response)

    pool = Pool(application, MANY + 5)
    async with asyncio.timeout(60):
        errors = await asyncio.gather(*ask_many(pool, MANY + 5), return_exceptions=True)
    assert {type(error) for error in errors} == {ZeroDivisionError}
    fails = False
    asked = ask_many(pool, MANY + 5)
    await crowd.wait_for(MANY)
    waiting = asked[MANY:]
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    await crowd.let_go(asked[:MANY])
    again = ask_many(pool, MANY)
    await crowd.wait_for(MANY + MANY)
    await crowd.let_go(again)
