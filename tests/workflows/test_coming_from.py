"""docs/coming-from, tried: our half of each page's comparison."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatflow.workflows.testing import Turn
from tests.acceptance.markdown import block, blocks

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "coming-from"
PAGES = sorted(FOLDER.glob("*.md"))

pytestmark = pytest.mark.django_db

Run = Callable[..., Turn]


def register(page: str, **names: Any) -> None:
    exec(block(FOLDER / page, "Ours", "python"), {"__name__": "docs", **names})


def flaky(times: int, result: Any) -> Callable[..., Any]:
    """Return a function that fails so many times before it returns the result."""
    failures = [OSError("away")] * times

    def call(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return result

    return call


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_that_it_should(page: Path) -> None:
    text = page.read_text()
    wanted = ["Words", "The same in both", "Better here", "What you would miss"]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == wanted
    assert [each.heading for each in blocks(page)] == ["Theirs", "Ours"]
    assert f"def test_{page.stem.replace('-', '_')}(" in Path(__file__).read_text()


def test_celery(run: Run) -> None:
    write = Recorder("B-7")
    register("celery.md", call_the_shop=flaky(2, 120), write_the_books=write)
    assert run("book_order", "book order", crash_after="Booking").response == "Booked as B-7."
    assert write.calls == [(120,)]


def test_laravel_queues(run: Run) -> None:
    register(
        "laravel-queues.md", fetch=flaky(2, ["a", "b"]), store=lambda user, orders: len(orders)
    )
    turn = run("sync_orders", "sync my orders")
    assert turn.response == "2 orders are here."
    assert turn.job.attempt == 3


def test_langgraph(run: Run) -> None:
    send = Recorder(None)
    register("langgraph.md", send=send)
    turn = run("draft", "write a letter to Ada", model=["Dear Ada."], answers=[True])
    assert turn.questions == ["Send this? Dear Ada."]
    assert turn.response == "Sent."
    assert send.calls == [("Dear Ada.",)]
    refused = run("draft", "write a letter", model=["Dear Bob."], answers=[False])
    assert refused.response == "Not sent."


def test_temporal(run: Run) -> None:
    register("temporal.md", reserve=flaky(2, 4))
    assert run("booking", "book a table", answers=["hall", True]).response == "Booked: 4."
    assert run("booking", "book a table", answers=["hall", False]).response == "Not booked."


class Recorder:
    """A function that keeps what it is called with."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *args: Any) -> Any:
        self.calls.append(args)
        return self.result
