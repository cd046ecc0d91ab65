"""A job's page in Chromium: it grows while the job runs, cancels it, replays what the user saw."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.acceptance.browser import (
    DESKTOP,
    PHONE,
    Watch,
    assert_accessible,
    new_context,
)
from tests.acceptance.kinds import on_postgres
from tests.acceptance.processes import Site

pytestmark = on_postgres

MAKE_BOSS = """
from django.contrib.auth.models import User
if not User.objects.filter(username="boss").exists():
    User.objects.create_superuser("boss", password="boss")
"""


@pytest.fixture(scope="module")
def cookies(site: Site, browser: Browser) -> StorageState:
    """What the browser of the boss's keeps, who has signed in."""
    site.manage("shell", "--command", MAKE_BOSS)
    with new_context(browser) as context:
        page = context.new_page()
        page.goto(f"{site.url}/admin/login/?next=/admin/")
        page.locator("#id_username").fill("boss")
        page.locator("#id_password").fill("boss")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{site.url}/admin/")
        return context.storage_state()


@pytest.fixture
def boss(cookies: StorageState, browser: Browser) -> Iterator[Page]:
    """A page of the boss's."""
    with new_context(browser, reduced_motion="reduce", storage_state=cookies) as context:
        watch = Watch(context)
        yield context.new_page()
        assert not watch.complaints


def url_of(site: Site, job_id: str) -> str:
    key = site.value(f"SELECT id FROM workflows_job WHERE public_id = '{job_id}'")
    return f"{site.url}/admin/chatflow_workflows/job/{key}/change/"


def test_a_running_job_grows_and_is_cancelled(boss: Page, site: Site, kind: str) -> None:
    key = f"grows-{kind}"
    for number in (1, 2):
        site.close_gate(f"{key}-{number}")
    job = site.send("alice", f"gated {key}")["job_id"]
    site.wait_at_gate(f"{key}-1")
    boss.goto(url_of(site, job))
    bars, words = boss.locator(".jp-bar"), boss.locator(".jp-words")
    expect(bars).to_have_count(3)
    conversation = boss.context.new_page()
    conversation.goto(boss.url)
    conversation.locator(".jp-whose a").click()
    expect(conversation.locator(".pg-facts")).to_contain_text("Running")
    # What is open stays open while the page grows.
    bars.nth(1).locator("summary").click()

    site.open_gate(f"{key}-1")

    expect(words).to_have_text("1")
    expect(conversation.locator(".pg-turn .pg-words").last).to_have_text("1")
    expect(bars).to_have_count(4)
    expect(bars.nth(3)).to_contain_text("Step 2 running")
    expect(bars.nth(1).locator(".jp-open")).to_be_visible()
    boss.locator(".jp-act", has_text="It is stopped").locator("summary").click()
    boss.get_by_label("Reason").fill("It takes too long")
    boss.get_by_role("button", name="Cancel").click()
    site.open_gate(f"{key}-2")
    expect(boss.locator(".jp-state")).to_have_text("Cancelled")
    expect(boss.locator(".jp-head .jp-fault")).to_have_count(0)
    expect(conversation.locator(".pg-facts")).to_contain_text("Cancelled")
    expect(boss.locator(".jp-act summary").first).to_contain_text("Retry")
    assert site.finished("alice", job)["code"] == "cancelled"


def test_what_the_user_saw_is_replayed(boss: Page, site: Site, kind: str) -> None:
    key = f"replayed-{kind}"
    job = site.send("alice", f"gated {key}")["job_id"]
    site.finished("alice", job)
    boss.goto(url_of(site, job))
    moment, words = boss.get_by_label("Moment"), boss.locator(".jp-words")
    expect(boss.locator(".jp-words--rich")).to_have_text("All four.")

    moment.evaluate("(range) => { range.value = 0; range.dispatchEvent(new Event('input')); }")

    expect(words).to_have_text("")
    expect(boss.locator(".jp-line")).to_have_text("Waiting in the queue…")
    expect(boss.locator(".jp-now")).not_to_have_count(0)
    boss.get_by_role("button", name="Play").click()
    expect(words).to_have_text("All four.")
    expect(boss.get_by_role("button", name="Play")).to_be_visible()
    for size, colours in ((PHONE, "light"), (DESKTOP, "dark")):
        boss.set_viewport_size(size)  # type: ignore[arg-type]
        boss.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
        for summary in boss.locator(".jp-act > summary, .jp-bar summary").all()[:4]:
            summary.click()
        assert_accessible(boss)
        width = boss.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "The page is wider than the screen."


def test_without_javascript_it_is_all_there(
    cookies: StorageState, site: Site, kind: str, browser: Browser
) -> None:
    key = f"plain-{kind}"
    job = site.send("alice", f"gated {key}")["job_id"]
    site.finished("alice", job)
    with new_context(browser, storage_state=cookies, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(url_of(site, job))
        expect(page.locator(".jp-words")).to_have_text("All four.")
        expect(page.locator(".jp-bar")).to_have_count(6)
        page.locator(".jp-bar summary", has_text="Step 3").click()
        page.get_by_role("link", name="Retry from here…").click()
        page.get_by_role("button", name="Retry from here").click()
        expect(page.get_by_text("Retried from the step")).to_be_visible()
        expect(page.get_by_text("Is retried here")).to_be_visible()
