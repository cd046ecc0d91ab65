"""The examples of docs/frontend.md, word for word, in a shell and on a page of the site."""

import json
import re
import subprocess
from typing import Any

from playwright.sync_api import Browser, Page

from tests.acceptance.browser import new_context, sign_in
from tests.acceptance.markdown import block, blocks
from tests.acceptance.processes import ROOT, SECONDS, Site

FRONTEND = ROOT / "docs" / "frontend.md"


def run_on(page: Page, code: str) -> list[list[Any]]:
    """Run the code on the page, and return what it writes to the console."""
    # A module's import, where a script stands.
    code = re.sub(
        r"^ *import (\{.*\}) from (\S+);$", r"const \1 = await import(\2);", code, flags=re.M
    )
    lines: list[list[Any]] = page.evaluate(
        f"""async () => {{
            const lines = [];
            const console = {{ log: (...parts) => lines.push(parts) }};
            {code}
            return lines;
        }}"""
    )
    return lines


def test_the_scripts_work(site: Site, browser: Browser) -> None:
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, site, "alice")
        # One after the other, as they build on each other; the stream is over when polling ends.
        scripts = [each.code for each in blocks(FRONTEND, "js")]
        assert len(scripts) == 5
        lines = run_on(page, "\n".join([*scripts, "resumed.close();"]))
        streamed = [line for line in lines if line[0] == "completed"]
        assert len(streamed) == 2
        assert streamed[0] == streamed[1]
        asked = [line for line in lines if isinstance(line[-1], dict)]
        assert [line[1]["kind"] for line in asked] == ["text", "confirm"]
        assert lines[-1] == ["true", True]

        html = block(FRONTEND, "AsyncChatClient", "html")
        [module] = re.findall(r'<script type="module">(.*)</script>', html, re.S)
        lines = run_on(page, module)
        assert lines[-1][0] == "Which customer is the invoice for?"
        assert lines[-1][-1]["kind"] == "text"


def test_a_page_of_another_site_works(site: Site, browser: Browser) -> None:
    """Nobody is signed in; the token says who asks."""
    html = block(FRONTEND, "AsyncChatClient", "html", 1)
    [module] = re.findall(r'<script type="module">(.*)</script>', html, re.S)
    module = module.replace("https://chat.example.com", site.url)
    with new_context(browser) as context:
        page = context.new_page()
        page.goto(f"{site.url}/accounts/login/")
        [[response]] = run_on(page, module.replace("YOUR_TOKEN", site.token("alice")))
        assert "offline" in response


def test_the_commands_work(site: Site) -> None:
    send, look = (each.code for each in blocks(FRONTEND, "bash") if each.heading == "curl")

    def shell(code: str, job_id: str = "") -> str:
        code = code.replace("http://127.0.0.1:8000", site.url).replace("JOB_ID", job_id)
        code = code.replace("YOUR_TOKEN", site.token("alice"))
        done = subprocess.run(
            ["bash", "-euc", code], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    job_id = json.loads(shell(send))["job_id"]
    printed = shell(look, job_id)
    # The stream to its end, the status, and a cancel that comes too late.
    assert '"status":"completed"' in printed
    assert printed.count('"state":"completed"') == 2
