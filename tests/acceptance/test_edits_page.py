"""The mistake of an edit on the chat page of ``make demo``."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.browser import (
    DESKTOP,
    PHONE,
    Watch,
    assert_accessible,
    chromium,
    new_context,
)
from tests.acceptance.checkout import Checkout, Demo
from tests.servers import free_port

TEAM = """
from chatflow.workflows import Context, workflow


@workflow("hello", triggers=["hello"])
def hello(ctx: Context) -> str:
    return "<i>First</i>"
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    (checkout.folder / "team").mkdir()
    (checkout.folder / "team/__init__.py").touch()
    return checkout


@pytest.fixture
def code(checkout: Checkout) -> Path:
    code = checkout.folder / "team/workflows.py"
    code.write_text(TEAM)
    return code


@pytest.fixture
def demo(checkout: Checkout, code: Path) -> Iterator[Demo]:
    demo = checkout.demo(PORT=str(free_port()), EXTRA_APPS="team")
    try:
        demo.wait_until_ready()
        yield demo
    finally:
        demo.stop()


def test_a_mistake_is_shown_until_it_is_mended(demo: Demo, code: Path, tmp_path: Path) -> None:
    with chromium() as browser:
        context = new_context(browser)
        page, watch = context.new_page(), Watch(context)
        page.goto(demo.link())
        page.wait_for_url("**/ai-demo/chat/**")
        banner = page.get_by_role("alert").filter(has_text="The new code can't be loaded")
        expect(banner).to_be_hidden()
        code.write_text(TEAM.replace("def hello(", "def hello((<b>"))
        began = time.monotonic()
        expect(banner).to_be_visible()
        print(f"The mistake was shown {time.monotonic() - began:.1f} s after the edit.")
        expect(banner).to_contain_text("team/workflows.py:6 SyntaxError: ")
        # What it quotes is text.
        expect(banner).to_contain_text("def hello((<b>")
        assert banner.locator("b").count() == 0
        ask(page, "First")
        look(page, tmp_path)
        code.write_text(TEAM.replace("First", "Second"))
        expect(banner).to_be_hidden()
        ask(page, "Second")
        page.reload()
        expect(banner).to_be_hidden()
        assert {each for each in watch.complaints if "ERR_" not in each} == set()
        context.close()
    # It is asked for without a line in the terminal.
    assert "/chat/mistake" not in demo.log()


def ask(page: Page, answer: str) -> None:
    page.get_by_label("Message", exact=True).fill("hello")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text(answer).last).to_be_visible()


def look(page: Page, pictures: Path) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.screenshot(path=pictures / f"mistake-{name}-{scheme}.png")
            assert_accessible(page)
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
