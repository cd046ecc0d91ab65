"""The operator's list of jobs in Chromium: one is found, selected and cancelled, on any screen."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import DESKTOP, PHONE, Watch, assert_accessible, new_context
from tests.acceptance.kinds import on_sqlite
from tests.acceptance.processes import Site

pytestmark = on_sqlite

JOBS = "/admin/chatflow_workflows/job/"
MAKE_OPERATOR = """
from django.contrib.auth.models import User
if not User.objects.filter(username="operator").exists():
    User.objects.create_superuser("operator", password="operator")
"""


def open_list(page: Page, site: Site, query: str) -> None:
    site.manage("shell", "--command", MAKE_OPERATOR)
    page.goto(f"{site.url}/admin/login/?next=/admin/")
    page.locator("#id_username").fill("operator")
    page.locator("#id_password").fill("operator")
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{site.url}{JOBS}?q={query}")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_job_is_found_and_cancelled(
    site: Site, browser: Browser, kind: str, scripts: bool
) -> None:
    word = f"listed-{kind}-{scripts}"
    site.close_gate(f"{word}-1")
    job = site.send("alice", f"gated {word}", session_id=word)["job_id"]
    site.wait_at_gate(f"{word}-1")
    with new_context(browser, java_script_enabled=scripts) as context:
        page = context.new_page()
        open_list(page, site, word.upper() if scripts else job)
        rows = page.locator(".jl-table tbody tr")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("Running")
        if scripts:
            page.get_by_label("Select all of this page").check()
            expect(page.locator("[data-jl-count]")).to_have_text("(1)")
        else:
            page.get_by_label("with all that this list finds").check()
        page.get_by_role("button", name="Preview").click()
        expect(page.locator(".jl-outcomes tbody tr")).to_contain_text("Is told to stop")
        page.get_by_label("Why").fill("It is in the way.")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".messagelist")).to_contain_text("1 job: Told to stop.")
    site.open_gate(f"{word}-1")
    assert site.finished("alice", job)["code"] == "cancelled"


def test_everybody_can_use_it(site: Site, browser: Browser, kind: str) -> None:
    site.run("alice", "Hello there")
    looks: tuple[tuple[Any, Any], ...] = ((PHONE, "dark"), (DESKTOP, "light"))
    for viewport, colour in looks:
        with new_context(browser, viewport=viewport, color_scheme=colour) as context:
            watch, page = Watch(context), context.new_page()
            open_list(page, site, "")
            page.locator("summary", has_text="Filters").click()
            assert_accessible(page)
            width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0
            page.get_by_label("with all that this list finds").check()
            page.get_by_role("button", name="Preview").click()
            expect(page.get_by_label("Why")).to_be_visible()
            assert_accessible(page)
            assert not watch.complaints
