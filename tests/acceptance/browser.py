"""Debian's Chromium, and pages that must neither complain nor ask other hosts for anything."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.acceptance.processes import SECONDS, Site
from tests.servers import find_program

expect.set_options(timeout=SECONDS * 1000)

# As root there is no sandbox; the rest keeps the browser itself from calling home.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}

OpenPage = Callable[..., Page]


@contextmanager
def chromium() -> Iterator[Browser]:
    program = find_program("chromium", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """What a context's pages complained of, and whom they asked."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self.urls: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", lambda request: self.urls.append(request.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location})")

    def hosts(self) -> set[str]:
        return {urlsplit(url).netloc for url in self.urls if not url.startswith(("data:", "blob:"))}


# The admin's links fade from one colour to the next, and half-way they have too little contrast.
FADED = """
Promise.allSettled(
  document
    .getAnimations()
    .filter((each) => each instanceof CSSTransition)
    .map((each) => each.finished)
)
"""


def assert_accessible(page: Page) -> None:
    """Let axe look at the page as it stands, once its colours have settled."""
    page.evaluate(FADED)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", **options})
    context.set_default_timeout(SECONDS * 1000)
    return context


def sign_in(page: Page, site: Site, user: str, path: str = "/ai-demo/chat/") -> None:
    """Open a page that asks for a login, and give it; the password is the user's name."""
    page.goto(site.url + path)
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(user)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(site.url + path)
