"""The chat page in Chromium: how soon it is there, what it loads, how soon it shows a word."""

import statistics
import urllib.request
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page, Request

from bench.site import Site
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50, p99
from tests.acceptance.browser import chromium, new_context

PATH = "/ai-demo/chat/"
VISITS = 5
WORDS = 60
# The largest paint so far, and by how much things have moved.
SEEN = """new Promise((resolve) => {
    const seen = {paint: 0, shift: 0};
    new PerformanceObserver((list) => { seen.paint = list.getEntries().at(-1).startTime; })
        .observe({type: 'largest-contentful-paint', buffered: true});
    new PerformanceObserver((list) => {
        for (const {value} of list.getEntries()) seen.shift += value;
    }).observe({type: 'layout-shift', buffered: true});
    setTimeout(() => resolve(seen), 300);
})"""
# When each word was painted; a word is the moment at which it was written, in microseconds.
WATCH = """() => {
    globalThis.painted = new Map();
    const look = () => {
        const answer = document.querySelector('.message--assistant:last-child');
        const words = answer?.innerText.match(/\\d{16}/g) ?? [];
        for (const word of words) if (!painted.has(word)) painted.set(word, null);
        requestAnimationFrame(() => {
            const now = (performance.timeOrigin + performance.now()) * 1000;
            for (const [word, moment] of painted) if (moment === null) painted.set(word, now);
        });
    };
    const all = {childList: true, subtree: true, characterData: true};
    new MutationObserver(look).observe(document.body, all);
}"""
DELAYS = "() => [...painted].filter(([, at]) => at).map(([word, at]) => (at - Number(word)) / 1000)"


@dataclass(frozen=True)
class Visit:
    """What a visit took.

    Args:
        paint: milliseconds until the largest part was painted.
        shift: by how much things have moved.
        requests: how many there were.
        scripts: the addresses of the JavaScript, without the highlighter.
    """

    paint: float
    shift: float
    requests: int
    scripts: frozenset[str]


def measure(stage: Stage) -> list[Line]:
    site = stage.on_postgres
    cold, warm, delays = [], [], []
    with site.web() as web, site.cluster(), chromium() as browser:
        url = f"http://127.0.0.1:{web.port}"
        cookies = sign_in(browser, site, url)
        for _ in range(ROUNDS):
            for _ in range(VISITS):
                with new_context(browser) as context:
                    context.add_cookies(cookies)
                    page = context.new_page()
                    cold.append(visit(page, url))
                    warm.append(visit(page, url))
            with new_context(browser) as context:
                context.add_cookies(cookies)
                delays += words(context.new_page(), url)
        scripts = sum(map(weigh, frozenset.union(*(each.scripts for each in cold)))) / 1000
    first = p50([each.paint for each in cold])
    again = p50([each.paint for each in warm])
    shift = max(each.shift for each in cold + warm)
    most = max(each.requests for each in cold + warm)
    middle, late = statistics.median(delays), p99(delays)
    return [
        line("page: largest paint, first visit", first, "ms", bar="≤ 300 ms", held=first <= 300),
        line("page: largest paint, later", again, "ms", bar="≤ 100 ms", held=again <= 100),
        line("page: layout shift", shift, "", bar="0", held=shift == 0),
        line("page: requests", most, "", bar="≤ 12", held=most <= 12),
        line("page: JavaScript", scripts, "KB", bar="≤ 60 KB", held=scripts <= 60),
        line("written → painted, p50", middle, "ms", bar="≤ 100 ms", held=middle <= 100),
        line("written → painted, p99", late, "ms"),
    ]


def sign_in(browser: Browser, site: Site, url: str) -> list[Any]:
    """Return the cookies of the bench's user."""
    with new_context(browser) as context:
        page = context.new_page()
        page.goto(url + site.sign_in_link())
        page.wait_for_url(f"{url}{PATH}")
        return list(context.cookies())


def visit(page: Page, url: str) -> Visit:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(url + PATH)
    seen = page.evaluate(SEEN)
    page.remove_listener("request", note)
    scripts = frozenset(each for each in asked if each.endswith(".js") and "chunk" not in each)
    return Visit(seen["paint"], seen["shift"], len(asked), scripts)


def weigh(url: str) -> int:
    """Return the bytes of a file as browsers get it; a worker loads its own out of sight."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip, deflate, br"})
    with urllib.request.urlopen(request) as answer:
        return len(answer.read())


def words(page: Page, url: str) -> list[float]:
    """Return the milliseconds from when a worker wrote each word until that was painted."""
    page.goto(url + PATH)
    page.evaluate(WATCH)
    page.get_by_label("Message", exact=True).fill(f"say the moments {WORDS}")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("button", name="Good answer").wait_for()
    found: list[float] = page.evaluate(DELAYS)
    assert len(found) == WORDS, f"{len(found)} of {WORDS} words"
    return found
