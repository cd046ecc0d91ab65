"""`<chatflow-chat>` in a browser, on a page of the site itself and on one of another."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import assert_accessible, new_context, sign_in
from tests.acceptance.processes import Site

PAGE = """<!doctype html><html lang="{language}"><title>A shop</title>
<meta name="color-scheme" content="light dark">
<script type="module" src="{url}/static/chatflow/js/client/chatflow-chat.js"></script>
<main><h1>A shop</h1><chatflow-chat src="{src}" {attributes}></chatflow-chat></main></html>"""


@pytest.fixture(scope="module")
def site(get_site: Callable[[str], Site]) -> Site:
    return get_site("sqlite")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_context(browser) as context:
        yield context.new_page()


def open_shop(page: Page, origin: str, **values: Any) -> None:
    html = PAGE.format(**values)
    page.route("**/shop/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{origin}/shop/")


def test_on_the_site_itself_it_shows_markdown(page: Page, site: Site) -> None:
    site.run("alice", "hostile", session_id="shop")
    sign_in(page, site, "alice")
    page.add_init_script("window.attack = () => { window.attacked = true; };")
    attributes = 'session="shop"'
    open_shop(page, site.url, language="de", url=site.url, src="", attributes=attributes)
    answer = page.get_by_label("Antwort", exact=True).last
    expect(answer.get_by_role("heading", name="Hello <b>you</b>")).to_be_visible()
    expect(answer.get_by_role("button", name="Kopieren")).to_be_visible()
    assert answer.locator("script, img, iframe, [style], [class*=evil]").count() == 0
    page.get_by_label("Nachricht").fill("gated shop")
    page.get_by_role("button", name="Senden").click()
    expect(answer).to_have_text("All four.")
    assert page.evaluate("window.attacked") is None
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        assert_accessible(page)


def test_a_page_that_is_not_admitted_says_what_to_set(page: Page, site: Site) -> None:
    # As Chromium asks of a page that reaches into one's own network.
    page.context.grant_permissions(["local-network-access"])
    origin = site.url.replace("127.0.0.1", "localhost")
    attributes = f'token="{site.token("alice")}"'
    open_shop(page, origin, language="en", url=site.url, src=site.url, attributes=attributes)
    said = f"The server admits no pages of {origin}: its CORS_ALLOWED_ORIGINS has to name it."
    expect(page.get_by_role("status")).to_have_text(said)
    assert_accessible(page)
