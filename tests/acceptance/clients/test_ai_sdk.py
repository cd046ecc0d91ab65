"""The AI SDK's own client, from npm: `Chat` of @ai-sdk/react in Node, and useChat in a browser."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, Page, expect

from chatflow.dialects.ai_sdk import start
from chatflow.workflows.models import Job, Session
from tests.acceptance.browser import new_context, sign_in
from tests.acceptance.clients import node
from tests.acceptance.clients.logs import with_drawn
from tests.acceptance.conftest import MakeSite
from tests.acceptance.kinds import on_sqlite
from tests.acceptance.markdown import block
from tests.acceptance.processes import ROOT, Site
from tests.acceptance.test_crash import kill_worker
from tests.chatflow.dialects.test_ai_sdk import SAID, encode
from tests.openai_server import Answer, OpenAIServer

JOB = Job(public_id="workflow_x", session=Session(key="s"))


def test_the_client_connects(site: Site) -> None:
    tokens = [site.token("alice"), site.token("bob")]
    said = node.run("ai_sdk.mjs", site.url, *tokens, str(site.gates))
    assert int(said) == 8


def test_the_client_reads_any_stream() -> None:
    """By its own schema and rules; a stream that fails says what the job has said."""
    logs = with_drawn(SAID, 200)
    streams = []
    for said in logs:
        restarts = [kind for kind, _ in said].count("restarted")
        frames = encode(said, restarts=restarts)
        streams.append((start("msg_x", JOB) + b"".join(frames)).decode())
    read = json.loads(node.run("ai_sdk_judge.mjs", input=json.dumps(streams)))

    for said, (message, errors) in zip(logs, read, strict=True):
        kind, data = said[-1]
        assert errors == ([data["error"]] if kind in ("failed", "timeout") else [])
        assert message["id"] == "msg_x"
        assert all(part["state"] == "done" for part in texts(message))
    whole = read[0][0]
    assert [part["text"] for part in texts(whole)] == ["One two three"]


def texts(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for part in message["parts"] if part["type"] == "text"]


@on_sqlite
def test_the_hook_works(site: Site, browser: Browser) -> None:
    """As docs/clients.md has it; over a reload in mid-word, and with an approval."""
    code = block(ROOT / "docs" / "clients.md", "AI SDK", "jsx")
    code = code.replace("https://chat.example.com", "").replace("'orders'", "'hook'")
    own = "  headers: { Authorization: 'Bearer YOUR_TOKEN' },\n"
    assert own in code
    script = node.run("bundle.mjs", input=code.replace(own, ""))
    site.close_gate("hook")
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, site, "alice")
        page.evaluate(script)
        say(page, "speaker hook")
        expect(page.locator("p").last).to_contain_text("before")
        page.reload()
        page.evaluate(script)
        expect(page.locator("p")).to_contain_text("before")
        site.open_gate("hook")
        expect(page.locator("p")).to_have_text("100 % before after")

        say(page, "careful")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator("p").last).to_have_text("100 % Delete the rows?Approved by alice.")


def test_a_worker_and_a_server_are_killed_in_mid_word(make_site: MakeSite) -> None:
    """The words that the worker took with it are taken back; no other is lost, or comes twice."""
    rest = threading.Event()
    with OpenAIServer() as server:
        # The first one is never heard to its end.
        server.script = [Answer(text="Good morning, Alice.", stall=threading.Event(), stall_at=3)]
        server.script += [Answer(text="Hello again, Alice.", stall=rest, stall_at=3)]
        model = {"AI_MODEL": "openai-chat:gpt-4o-mini", **server.environment}
        site = make_site("sqlite", **model)
        web = site.start_web()
        site.start_cluster()
        token = site.token("alice")
        with node.started("ai_sdk_lost.mjs", site.url, token, "Good morning") as lines:
            wait_for(lines, "words")
            kill_worker(site, site.value("SELECT public_id FROM workflows_job"))
            wait_for(lines, "lost")
            wait_for(lines, "words")
            web.kill()
            wait_for(lines, "lost")
            rest.set()
            site.start_web(port=int(web.url.rpartition(":")[2]))
            *_, last = lines
    assert json.loads(last) == [2, "Hello again, Alice."]


def wait_for(lines: Iterator[str], wanted: str) -> None:
    seen = []
    for line in lines:
        seen.append(line)
        if line == wanted:
            return
    raise AssertionError(seen)


def say(page: Page, text: str) -> None:
    page.locator("input").fill(text)
    page.locator("input").press("Enter")
