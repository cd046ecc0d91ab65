"""What is typed on the chat page is sent once, or given back with a word."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.acceptance.browser import new_context, sign_in
from tests.acceptance.processes import Site, eventually

SEND = "**/chat/send"
REFUSAL = {"success": False, "error": "The server says no.", "code": "invalid"}


@pytest.fixture
def page(get_site: Callable[[str], Site], browser: Browser) -> Iterator[Page]:
    """Alice is signed in on the chat page."""
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, get_site("sqlite"), "alice")
        yield page


@pytest.fixture
def message(page: Page) -> Locator:
    """Where she writes."""
    return page.get_by_label("Message", exact=True)


def leave_a_message(page: Page) -> None:
    """Say something that doesn't get through, and leave the page."""
    page.route(SEND, lambda route: route.abort())
    page.get_by_label("Message", exact=True).fill("words of mine")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/chat/send")):
        page.keyboard.press("Enter")
    page.goto("about:blank")
    page.unroute(SEND)


def hold(page: Page) -> list[Route]:
    """Let what is sent wait for its answer."""
    held: list[Route] = []
    page.route(SEND, lambda route: held.append(route))
    return held


def refuse(page: Page, held: list[Route]) -> None:
    # A page takes what happens while something is asked of it.
    eventually(lambda: page.evaluate("1") and held)
    held.pop().fulfill(status=400, json=REFUSAL)


def test_what_an_earlier_visit_has_left(
    get_site: Callable[[str], Site], page: Page, message: Locator
) -> None:
    """A refusal makes a draft of it, which stays until it is sent."""
    leave_a_message(page)
    page.route(SEND, lambda route: route.fulfill(status=400, json=REFUSAL))
    page.goto(f"{get_site('sqlite').url}/ai-demo/chat/")
    notice = page.locator("#notices")
    expect(notice).to_contain_text(f"was not sent, and is kept as a draft. {REFUSAL['error']}")
    notice.get_by_role("button", name="Open").click()
    expect(message).to_have_value("words of mine")
    page.reload()
    expect(message).to_have_value("words of mine")


def test_what_was_not_sent_stands_beside_what_was_typed_since(page: Page, message: Locator) -> None:
    """Stopped, refused, and sent again."""
    page.route(SEND, lambda route: route.abort())
    for text in ("one", "two"):
        message.fill(text)
        message.press("Enter")
    message.fill("three")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(message).to_have_value("three\n\none\n\ntwo")
    page.unroute(SEND)
    page.get_by_role("button", name="New conversation").click()
    held = hold(page)
    message.fill("refused")
    message.press("Enter")
    message.fill("typed since")
    refuse(page, held)
    expect(message).to_have_value("typed since\n\nrefused")
    page.unroute(SEND)
    page.get_by_role("button", name="Try again").click()
    expect(message).to_have_value("typed since")
    page.reload()
    expect(message).to_have_value("typed since")


def test_a_first_message_refused_while_another_one_is_written(page: Page, message: Locator) -> None:
    """Its words can be changed at once, and stay changed."""
    held = hold(page)
    message.fill("refused")
    message.press("Enter")
    page.get_by_role("button", name="New conversation").click()
    message.fill("another")
    refuse(page, held)
    expect(message).to_have_value("another\n\nrefused")
    message.fill("changed")
    page.reload()
    expect(message).to_have_value("changed")
