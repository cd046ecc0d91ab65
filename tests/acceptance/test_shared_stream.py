"""Nine tabs on nine jobs: one connection, held by the SharedWorker of the page's bundle."""

from collections.abc import Callable

from playwright.sync_api import Browser, expect

from tests.acceptance.browser import Watch, new_context, sign_in
from tests.acceptance.processes import Site, eventually

TABS = 9


def shared_workers(browser: Browser) -> list[str]:
    """Return the addresses of the SharedWorkers that run."""
    session = browser.new_browser_cdp_session()
    targets = session.send("Target.getTargets")["targetInfos"]
    session.detach()
    return [target["url"] for target in targets if target["type"] == "shared_worker"]


def test_nine_tabs_share_one_connection(get_site: Callable[[str], Site], browser: Browser) -> None:
    site = get_site("sqlite")

    def connections() -> tuple[int, int]:
        """Return how many streams were opened so far: of a user, and of one job."""
        log = site.logs()
        return log.count('"GET /ai-demo/chat/stream'), log.count('"GET /ai-demo/workflow/stream')

    before = connections()
    with new_context(browser) as context:
        watch = Watch(context)
        tabs = [context.new_page() for _ in range(TABS)]
        sign_in(tabs[0], site, "alice")
        for tab in tabs[1:]:
            tab.goto(f"{site.url}/ai-demo/chat/", wait_until="commit")
        eventually(lambda: connections()[0] > before[0])
        for tab in tabs:
            # The last one for so long that its words are seen on a busy machine too.
            tab.get_by_label("Message", exact=True).fill(f"murmur {200 if tab is tabs[-1] else 20}")
            tab.keyboard.press("Enter")
        # Its words, while they are said.
        said = tabs[-1].locator("#conversation .message__text:visible").last
        expect(said).to_contain_text("0 1 2 3")
        for tab in tabs:
            answer = tab.locator("#conversation .message__text:visible").last
            expect(answer).to_have_text("Enough.")
        assert connections() == (before[0] + 1, before[1])
        [worker] = shared_workers(browser)
        assert worker.startswith(f"{site.url}/static/chatflow/js/built/stream-worker.")
        assert watch.complaints == []
