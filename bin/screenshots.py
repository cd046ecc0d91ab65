#!/usr/bin/env python3
"""Take the README's pictures, of a site of real processes: `make screenshots`."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.acceptance.browser import DESKTOP, PHONE, chromium, new_context  # noqa: E402
from tests.acceptance.processes import Site  # noqa: E402

FOLDER = ROOT / "docs" / "images"
USER = "demo"
# What was said before, the latest last.
EARLIER = (
    "What does an invoice cost?",
    "Where do I find failed jobs?",
    "How do I set a limit for each user?",
    "How do I connect a language model?",
)

expect.set_options(timeout=60_000)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/db.sqlite3"
        with Site(url, EXTRA_APPS="") as site, chromium() as browser:
            site.manage("migrate", "--verbosity=0")
            site.manage("seed_demo")
            site.start_web()
            site.start_cluster()
            for number, message in enumerate(EARLIER):
                site.run(USER, message, session_id=f"earlier-{number}")
            for name, (take, options) in PICTURES.items():
                with new_context(browser, device_scale_factor=1.5, **options) as context:
                    page = context.new_page()
                    open_chat(page, site)
                    take(page)
                    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")
                    print(FOLDER.relative_to(ROOT) / f"{name}.png")


def open_chat(page: Page, site: Site) -> None:
    page.goto(site.url + site.manage("sign_in_link", USER).stdout.strip())
    expect(page.locator("#welcome")).to_be_visible()


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def wait_for_the_end(page: Page) -> None:
    expect(page.locator(".message--assistant .toolbar").last).to_be_visible()
    expect(page.locator("#composer")).to_have_attribute("data-running", "false")
    # The history has told of it, and all that there is to be seen is there.
    expect(page.locator(".message--user [data-edit]").last).to_be_attached()


def take_answer(page: Page) -> None:
    """Show an answer from documents, with its sources."""
    say(page, "How do I set nginx for SSE?")
    wait_for_the_end(page)
    page.locator("#conversation").evaluate("(log) => log.scrollTo(0, log.scrollHeight)")


def take_progress(page: Page) -> None:
    """Show a job in the midst of its steps."""
    say(page, "Run a long demo with 8 steps of 1 second")
    expect(page.locator(".step[data-state=done]")).to_have_count(4)


def take_question(page: Page) -> None:
    """Show what a workflow asks before it does something."""
    say(page, "Create invoice for Acme with 3 laptops at 1200")
    wait_for_the_end(page)


DARK = {"viewport": DESKTOP, "color_scheme": "dark"}
SMALL = {"viewport": PHONE, "is_mobile": True, "has_touch": True}
# Each with what its page is to be like.
PICTURES: dict[str, tuple[Callable[[Page], None], dict[str, Any]]] = {
    "answer": (take_answer, {"viewport": DESKTOP}),
    "progress": (take_progress, DARK),
    "question": (take_question, SMALL),
}

if __name__ == "__main__":
    main()
