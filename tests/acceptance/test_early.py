"""What somebody does on the chat page before its own script has begun is done then, once."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.acceptance.browser import Watch, new_context, sign_in
from tests.acceptance.processes import Site, eventually

SCRIPT = "**/built/chat-page*.js"
# The browser tells of no paint, nor does it run out of patience.
NO_PAINT = """
    PerformanceObserver.prototype.observe = () => {};
    const { setTimeout } = globalThis;
    globalThis.setTimeout = (run, delay) => delay === 500 ? 0 : setTimeout(run, delay);
"""
HIDDEN = "Object.defineProperty(document, 'hidden', {get: () => true});"


class Visit:
    """A page that Alice opens, and what is sent from there."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.held: list[Route] = []
        self.opened: list[str] = []
        self.sent: list[str] = []
        page.on("framenavigated", lambda frame: self.opened.append(frame.url))
        page.route("**/chat/send", self._note)

    @property
    def message(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    def open_without_script(self) -> None:
        self.page.route(SCRIPT, lambda route: self.held.append(route))
        self.page.goto(self.url, wait_until="commit")
        self.page.wait_for_function("() => Boolean(document.getElementById('composer')?.onsubmit)")
        self.opened.clear()

    @property
    def send(self) -> Locator:
        return self.page.get_by_role("button", name="Send", exact=True)

    @property
    def begun(self) -> Locator:
        return self.page.locator("#chat[data-session]")

    def begin(self) -> None:
        eventually(lambda: self.page.evaluate("1") and self.held)
        self.held.pop().continue_()
        expect(self.begun).to_have_count(1)

    def expect_said(self, *texts: str) -> None:
        """These were sent, each once, and by no form that leads elsewhere."""
        said = self.page.locator("#conversation .message--user .message__text")
        expect(said).to_have_text(list(texts))
        expect(self.page.locator(".message--assistant[data-state='completed']")).to_have_count(1)
        assert self.sent == list(texts)
        assert all("?c=" in url for url in self.opened), self.opened

    def _note(self, route: Route) -> None:
        posted: Any = route.request.post_data_json
        self.sent.append(posted["message"])
        route.continue_()


@pytest.fixture
def visit(get_site: Callable[[str], Site], browser: Browser) -> Iterator[Visit]:
    site = get_site("sqlite")
    with new_context(browser) as context:
        watch = Watch(context)
        page = context.new_page()
        sign_in(page, site, "alice")
        page.goto("about:blank")
        yield Visit(page, f"{site.url}/ai-demo/chat/")
        assert watch.complaints == []


def test_enter_before_the_script_is_there(visit: Visit) -> None:
    """It sends the text as it stood, and leaves in the composer what was typed since."""
    visit.open_without_script()
    visit.message.press_sequentially("echo early")
    visit.message.press("Enter")
    visit.message.press("Enter")
    expect(visit.message).to_have_value("echo early")
    visit.message.press_sequentially(" and late")
    visit.begin()
    visit.expect_said("echo early")
    expect(visit.message).to_have_value(" and late")


def test_clicks_before_the_script_is_there(visit: Visit) -> None:
    """The button and a suggestion alike."""
    visit.open_without_script()
    visit.message.fill("echo clicked")
    visit.send.click()
    visit.begin()
    visit.expect_said("echo clicked")
    expect(visit.message).to_have_value("")
    visit.page.goto("about:blank")
    visit.sent.clear()
    visit.open_without_script()
    visit.page.get_by_role("button", name="What can you do?").click()
    visit.begin()
    visit.expect_said("What can you do?")


def test_a_key_waits_for_no_paint(visit: Visit) -> None:
    """The page begins with it, and takes it."""
    visit.page.add_init_script(NO_PAINT)
    visit.page.goto(visit.url)
    expect(visit.begun).to_have_count(0)
    visit.message.evaluate("(message) => (message.value = 'echo entered')")
    visit.opened.clear()
    visit.message.press("Enter")
    visit.expect_said("echo entered")
    expect(visit.message).to_have_value("")


def test_a_page_that_nobody_sees_begins_at_once(visit: Visit) -> None:
    """It has news to tell of, and will not be painted."""
    visit.page.add_init_script(NO_PAINT)
    visit.page.add_init_script(HIDDEN)
    visit.page.goto(visit.url)
    expect(visit.begun).to_have_count(1)
