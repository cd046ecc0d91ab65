"""The examples of docs/frontend.md and docs/http-api.md, in a shell and on a page of the site."""

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import new_context, sign_in
from tests.acceptance.conftest import MakeSite
from tests.acceptance.kinds import on_sqlite
from tests.acceptance.markdown import block, blocks
from tests.acceptance.processes import ROOT, SECONDS, Site
from tests.acceptance.talk import talk, up_to_the_last_question
from tests.servers import HOST

FRONTEND = ROOT / "docs" / "frontend.md"
API = ROOT / "docs" / "http-api.md"

# The stream for everything has told of the job that was sent last, and of its conversation.
ENDING = """
    const isTold = () =>
        lines.some(([what, id]) => what === 'job' && id === first.job_id) &&
        lines.some(([what, id]) => what === 'conversation' && id === 'orders');
    while (!isTold()) await new Promise((resume) => setTimeout(resume, 20));
    events.close();
    resumed.close();
"""


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
        assert len(scripts) == 7
        lines = run_on(page, "\n".join([*scripts, ENDING]))
        told = [line for line in lines if line[0] in ("conversation", "job")]
        lines = [line for line in lines if line not in told]
        assert ["conversation", "orders", "Run a long demo"] in told
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


class OtherSite(ThreadingHTTPServer):
    """A site on another origin, with one page."""

    html = ""

    def __init__(self) -> None:
        super().__init__((HOST, 0), OtherPage)
        self.url = f"http://localhost:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class OtherPage(BaseHTTPRequestHandler):
    server: OtherSite

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.html.encode())

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@on_sqlite
def test_the_element_works(make_site: MakeSite, browser: Browser, kind: str) -> None:
    """On a page of another site, and also over a reload."""
    with OtherSite() as other, new_context(browser) as context:
        site = make_site(kind, CORS_ALLOWED_ORIGINS=other.url)
        site.start_web()
        site.start_cluster()
        html = block(FRONTEND, "The element", "html").replace("https://chat.example.com", site.url)
        other.html = html.replace("YOUR_TOKEN", site.token("alice"))
        page = context.new_page()
        page.goto(other.url)
        message = page.get_by_role("textbox", name="Message")
        answers = page.get_by_label("Answer", exact=True)
        message.fill("hello")
        message.press("Enter")
        expect(answers).to_contain_text("offline")
        expect(page.get_by_label("You", exact=True)).to_have_text("hello")
        site.close_gate("embedded")
        message.fill("speaker embedded")
        message.press("Enter")
        expect(answers.last).to_have_text("before ")
        page.reload()
        expect(answers.last).to_have_text("before ")
        site.open_gate("embedded")
        expect(answers.last).to_have_text("before after")
        other.shutdown()


def shell(code: str, site: Site, user: str = "alice", job_id: str = "") -> str:
    """Run commands with the site's address, the user's token and the job in their places."""
    code = code.replace("http://127.0.0.1:8000", site.url).replace("JOB_ID", job_id)
    code = code.replace("YOUR_TOKEN", site.token(user))
    done = subprocess.run(
        ["bash", "-euc", code], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_work(site: Site) -> None:
    send, look = (each.code for each in blocks(FRONTEND, "bash") if each.heading == "curl")
    printed = shell(look, site, job_id=json.loads(shell(send, site))["job_id"])
    # The stream to its end, the status, and a cancel that comes too late.
    assert '"status":"completed"' in printed
    assert printed.count('"state":"completed"') == 2


def test_the_api_answers_as_it_is_described(site: Site) -> None:
    # Bob's keys are not yet taken.
    commands = [each.code for each in blocks(API, "bash")]
    examples = [json.loads(each.code) for each in blocks(API, "json")]
    chat, invoice, long, twice, status, stream, cancel, retry, *rest = commands
    act, waiting, decide, jobs, *rest = rest
    history, feedback, export, delete, health = rest
    in_short, started, looked_at, talked, refused = examples

    def answer(command: str, job_id: str = "") -> dict[str, Any]:
        return dict(json.loads(shell(command, site, "bob", job_id)))

    answered = answer(chat)
    assert answered.keys() == in_short.keys()
    assert answered["response"].startswith(in_short["response"].removesuffix(" …"))
    assert answer(invoice).keys() == in_short.keys() | {"awaiting"}

    # Long enough to be looked at while it runs.
    long = long.replace("0.5 seconds", "2 seconds")
    sent = answer(long)
    assert sent.keys() == started.keys()
    job = sent["job_id"]
    seen = answer(status, job)
    assert seen["data"].keys() - {"queue_position"} == looked_at["data"].keys()
    said = answer(history)
    assert said.keys() == talked.keys()
    assert said["active_job"].keys() == talked["active_job"].keys()
    assert said["messages"][0].keys() == talked["messages"][0].keys()
    described = talked["messages"][0]["turn"]
    assert said["messages"][0]["turn"].keys() == described.keys()
    frames = shell(stream, site, "bob", job)
    assert frames.startswith("retry: 1000\ndata: ")
    # As many events as the example has.
    [last] = re.findall(r"^id: (\d+)$", block(API, "Follow a job", "text"), re.M)[-1:]
    assert f"\nid: {last}\n" in frames
    assert f"\nid: {int(last) + 1}\n" not in frames
    turn = answer(history)["messages"][-1]["turn"]
    assert turn.keys() == described.keys()
    assert [step.keys() for step in turn["steps"]] == [described["steps"][0].keys()] * 3
    assert answer(feedback, job)["feedback"] == {"value": "down", "comment": "Too short."}
    assert answer(cancel, job)["data"]["state"] == "completed"
    assert answer(retry, job)["code"] == "not_retryable"
    job = answer(long)["job_id"]
    answer(cancel, job)
    site.finished("bob", job)
    again = answer(retry, job)
    assert again.keys() == started.keys()
    answer(cancel, again["job_id"])

    up_to_the_last_question(site, "bob", "docs-5")
    ready = talk(site, "bob", "docs-5", "yes")
    ids = {action["label"]: action["id"] for action in ready["actions"]}
    void = act.replace("ACTION_ID", ids["Void it"]).replace(', "data": {"method": "card"}', "")
    approval = answer(void)["awaiting"]["approval_id"]
    assert [each["approval_id"] for each in answer(waiting)["approvals"]] == [approval]
    decided = answer(decide.replace("APPROVAL_ID", approval))
    assert decided.keys() == started.keys()
    assert site.finished("bob", decided["job_id"])["response"].endswith("is void.")
    assert answer(decide.replace("APPROVAL_ID", approval))["code"] == "approval_decided"
    assert "is void already" in answer(act.replace("ACTION_ID", ids["Mark as paid"]))["response"]
    assert answer(void)["code"] == "action_used"

    first, second = re.split(r"(?=HTTP/1\.1 202 )", shell(twice, site, "bob"))[1:]
    assert "idempotency-replayed" not in first.lower()
    assert "idempotency-replayed: true" in second.lower()
    assert first.splitlines()[-1] == second.splitlines()[-1]
    page = answer(jobs)
    assert page.keys() == {"success", "jobs", "next"}
    assert len(page["jobs"]) == 2
    # Where the download goes is the reader's business.
    exported = answer(export.replace("-OJ", ""))
    assert [message["content"] for message in exported["messages"]][:1] == [
        said["messages"][0]["content"]
    ]
    assert answer(delete).keys() == {"success", "session_id", "jobs"}
    assert answer(delete)["code"] == answer(history)["code"] == "not_found"
    no_message = chat.replace('"message": "hello", ', "")
    assert answer(no_message) == refused
    assert "chatflow_open_streams" in shell(health, site)
