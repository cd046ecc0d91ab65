"""The operator's overview in Chromium: live, for all to read, and complete without JavaScript."""

import os
import signal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.acceptance.browser import DESKTOP, PHONE, Watch, assert_accessible, new_context
from tests.acceptance.kinds import on_postgres
from tests.acceptance.processes import Site

pytestmark = on_postgres

MAKE_BOSS = """
from django.contrib.auth.models import User
User.objects.create_superuser("boss", password="boss")
"""


@pytest.fixture
def staffed(own_site: Site) -> Site:
    """A site with one worker for plain jobs, and a boss."""
    own_site.manage("shell", "--command", MAKE_BOSS)
    own_site.start_web()
    own_site.start_cluster(QUEUE_WORKERS="1")
    return own_site


def open_overview(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill("boss")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()


def part(page: Page, name: str) -> Locator:
    return page.locator(f"#overview-{name}")


def test_it_is_live(staffed: Site, browser: Browser) -> None:
    site = staffed
    site.close_gate("overview")
    with new_context(browser) as context:
        watch = Watch(context)
        page = context.new_page()
        open_overview(page, site)
        expect(page.locator("#overview-state")).to_have_text("Live")
        expect(part(page, "troubles")).to_contain_text("All is well")
        page.get_by_text("The charts as a table").click()
        job_id = site.send("alice", "speaker overview")["job_id"]
        pid = site.busy_worker(job_id)
        workers = part(page, "workers")
        working = workers.get_by_role("row").filter(has_text="speaker for")
        expect(working).to_contain_text(f"{pid}")
        os.kill(pid, signal.SIGKILL)
        # Another worker takes its place, and its job.
        expect(workers).not_to_contain_text(f"{pid}")
        expect(working).to_have_count(1)
        site.open_gate("overview")
        expect(part(page, "figures")).to_contain_text("1, of which 0 failed")
        expect(part(page, "figures").get_by_role("table", name="By workflow")).to_contain_text(
            "speaker"
        )
        # What was open stays so.
        expect(page.get_by_role("region", name="The charts as a table")).to_be_visible()
        for size, colours in ((PHONE, "light"), (DESKTOP, "dark")):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
            assert_accessible(page)
        cluster = next(each for each in site.processes if "qcluster" in each.command)
        cluster.end()
        expect(part(page, "troubles")).to_contain_text("No cluster is alive")
        assert not watch.complaints
    with new_context(browser, java_script_enabled=False) as context:
        page = context.new_page()
        open_overview(page, site)
        expect(part(page, "troubles")).to_contain_text("No cluster is alive")
        expect(part(page, "figures")).to_contain_text("1, of which 0 failed")
        expect(part(page, "queues")).to_contain_text("nobody")
        page.get_by_role("link", name="Day").click()
        expect(page.get_by_role("heading", name="The last day")).to_be_visible()
        expect(part(page, "figures")).to_contain_text("1, of which 0 failed")
