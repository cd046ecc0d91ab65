"""What is typed on the chat page is sent once, or given back with a word."""

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import new_context, sign_in
from tests.acceptance.processes import Site

SEND = "**/chat/send"
REFUSAL = {"success": False, "error": "The server says no.", "code": "invalid"}


def leave_a_message(page: Page) -> None:
    """Say something that doesn't get through, and leave the page."""
    page.route(SEND, lambda route: route.abort())
    page.get_by_label("Message", exact=True).fill("words of mine")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/chat/send")):
        page.keyboard.press("Enter")
    page.goto("about:blank")
    page.unroute(SEND)


def test_what_an_earlier_visit_has_left(get_site: Callable[[str], Site], browser: Browser) -> None:
    """A refusal makes a draft of it, which stays until it is sent."""
    site = get_site("sqlite")
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, site, "alice")
        leave_a_message(page)
        page.route(SEND, lambda route: route.fulfill(status=400, json=REFUSAL))
        page.goto(f"{site.url}/ai-demo/chat/")
        notice = page.locator("#notices")
        expect(notice).to_contain_text(f"was not sent: {REFUSAL['error']} It is a draft now.")
        notice.get_by_role("button", name="Open").click()
        message = page.get_by_label("Message", exact=True)
        expect(message).to_have_value("words of mine")
        page.reload()
        expect(message).to_have_value("words of mine")
