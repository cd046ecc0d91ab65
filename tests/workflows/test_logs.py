"""Lines of JSON: ids in them, and no words that an exception or a query quotes."""

import asyncio
import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from chatflow.workflows import logs


def line(msg: str, *args: Any, name: str = "chatflow.test", **extra: Any) -> dict[str, Any]:
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, msg, args, extra.pop("exc", None))
    record.__dict__.update(extra)
    text = logs.JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_line() -> None:
    found = line("%s is %d.", "x\ny", 3)
    assert found.pop("time").endswith("Z")
    assert found == {"level": "ERROR", "logger": "chatflow.test", "message": "x\ny is 3."}


def test_ids_are_of_the_context() -> None:
    with logs.telling(request="r", user=lambda: None):
        with logs.telling(job="workflow_1", attempt=2, user=lambda: 7):
            assert {"request": "r", "job": "workflow_1", "attempt": 2, "user": 7}.items() <= line(
                "m"
            ).items()
        assert line("m")["request"] == "r"
        assert "user" not in line("m")
    assert "request" not in line("m")


def test_a_record_brings_ids_itself() -> None:
    found = line("m", request=SimpleNamespace(id_for_log="r"), job="workflow_2")
    assert (found["request"], found["job"]) == ("r", "workflow_2")


def test_an_exception_is_told_without_its_words() -> None:
    try:
        try:
            raise KeyError("xylophone")
        except KeyError as error:
            raise ValueError("no xylophone") from error
    except ValueError as error:
        found = line("%s: it failed (%s).", "job", error, exc=sys.exc_info())
    assert found["message"] == "job: it failed (ValueError)."
    assert found["error"]["type"] == "ValueError"
    assert found["error"]["from"]["type"] == "KeyError"
    assert "test_logs.py" in found["error"]["at"][0]
    assert "xylophone" not in str(found)


def test_an_exception_as_the_message() -> None:
    assert line(ValueError("xylophone"))["message"] == "ValueError"  # type: ignore[arg-type]


def test_the_access_log_has_no_query() -> None:
    args = ("1.2.3.4:5", "GET", "/a?token=xylophone&q=y", "1.1", 200)
    found = line('%s - "%s %s HTTP/%s" %d', *args, name="uvicorn.access")
    assert found["message"] == '1.2.3.4:5 - "GET /a HTTP/1.1" 200'


def test_others_messages_end_with_their_first_line() -> None:
    assert line("a\nxylophone", name="asyncio")["message"] == "a"


@pytest.mark.parametrize("args", [("a", "b"), ()])
def test_a_wrong_pattern_is_told_all_the_same(args: tuple[str, ...]) -> None:
    assert line("50 %", *args)["message"] == "50 %"


async def test_side_by_side_nothing_is_mixed() -> None:
    async def work(number: int) -> Any:
        with logs.telling(job=number):
            await asyncio.sleep(0)
            return logs.told()["job"]

    assert await asyncio.gather(*map(work, range(5))) == [0, 1, 2, 3, 4]
