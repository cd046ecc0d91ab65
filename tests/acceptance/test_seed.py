"""Every snippet of the seed, word for word but for host, token and job id."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.acceptance.browser import new_context, sign_in
from tests.acceptance.conftest import MakeSite
from tests.acceptance.markdown import block, blocks
from tests.acceptance.processes import SECONDS, Site
from tests.acceptance.streams import Stream, read_stream
from tests.servers import HOST, free_port

SEED = Path(__file__).parent / "seed.md"
SEVEN = {"success", "async", "job_id", "status", "message", "stream_url", "status_url"}
SYNC = {"success", "response", "actions", "sources"}
UPDATE = {"status", "progress", "message", "updated_at"}
# The functions that the snippets leave to the page.
STUBS = """
    const calls = window.calls = [];
    let done;
    const ended = new Promise((resolve) => { done = resolve; });
    const displayMessage = (text) => { calls.push(['message', text]); done(); };
    const displayError = (text) => { calls.push(['error', text]); done(); };
    const updateProgress = (message, progress) => { calls.push(['progress', message, progress]); };
"""


def snippet(heading: str, language: str, number: int = 0) -> str:
    return block(SEED, heading, language, number)


@pytest.fixture(scope="module")
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """Return a page of the site where Alice is signed in."""
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, site, "alice")
        yield page


@pytest.fixture(scope="module")
def anonymous_page(browser: Browser, site: Site) -> Iterator[Page]:
    """Return a page of the site where nobody is signed in."""
    with new_context(browser) as context:
        page = context.new_page()
        page.goto(f"{site.url}/accounts/login/")
        yield page


def shell(text: str) -> str:
    """Run a snippet in a shell, and return what it prints."""
    done = subprocess.run(
        ["bash", "-euc", text], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_host(text: str, site: Site, user: str = "alice", job_id: str = "") -> str:
    text = text.replace("https://dash.test", site.url).replace("YOUR_TOKEN", site.token(user))
    return text.replace("workflow_abc123", job_id)


def test_no_snippet_is_left_out() -> None:
    assert [(each.heading, each.language) for each in blocks(SEED)] == [
        ("1. Enable Async Mode", "javascript"),  # test_enable_async_mode
        ("2. Response Format", "json"),  # test_curl_sends_and_reads_the_stream
        ("2. Response Format", "json"),  # test_old_code_still_works
        ("Option 1: SSE Streaming (Recommended)", "javascript"),  # test_event_source
        ("Option 2: Polling", "javascript"),  # test_polling
        ("Queue Configuration", "bash"),  # test_the_line_in_env_works
        ("Queue Configuration", "bash"),  # test_the_queue_verbs
        ("Workflow Timeouts", "php"),  # test_workflow_timeouts
        ("Status Updates", "json"),  # test_status_updates
        ("Error Handling", "javascript"),  # test_error_handling
        ("Backward Compatibility", "javascript"),  # test_old_code_still_works
        ("Test Async Mode", "bash"),  # test_curl_sends_and_reads_the_stream
        ("Test SSE Stream", "bash"),  # test_curl_sends_and_reads_the_stream
        ("Troubleshooting", "bash"),  # test_the_queue_verbs
    ]


def test_curl_sends_and_reads_the_stream(site: Site) -> None:
    answer = json.loads(shell(with_host(snippet("Test Async Mode", "bash"), site)))
    example = json.loads(snippet("2. Response Format", "json"))
    assert answer.keys() == SEVEN | {"session_id"} == example.keys() | {"session_id"}
    for name in ("success", "async", "status", "message"):
        assert answer[name] == example[name]
    job_id = answer["job_id"]
    assert re.fullmatch("workflow_[0-9a-f]{32}", job_id)
    assert answer["session_id"] == "test-123"
    for name in ("stream_url", "status_url"):
        url = example[name].replace("https://api.example.com", site.url)
        assert answer[name].startswith(url.replace("workflow_abc123", job_id))

    command = with_host(snippet("Test SSE Stream", "bash"), site, job_id=job_id)
    *lines, end = shell(command).rstrip("\n").split("\n")
    assert json.loads(lines[1].removeprefix("data: "))["status"] == "connected"
    last = json.loads(end.removeprefix("data: "))
    assert last["status"] == "completed"
    # "create invoice" names no customer.
    assert "customer" in last["response"]
    assert last["seq"] == int(lines[-1].removeprefix("id: "))


def test_enable_async_mode(site: Site, anonymous_page: Page) -> None:
    code = with_host(snippet("1. Enable Async Mode", "javascript"), site)
    status, data = anonymous_page.evaluate(
        f"async () => {{ {code}; return [response.status, await response.json()] }}"
    )
    assert status == 202
    assert data.keys() == SEVEN | {"session_id"}
    assert site.finished("alice", data["job_id"])["status"] == "completed"


def event_source(page: Page, data: dict[str, Any]) -> list[Any]:
    code = snippet("Option 1: SSE Streaming (Recommended)", "javascript")
    calls: list[Any] = page.evaluate(
        f"""async (data) => {{ {STUBS} {code}
            await ended;
            if (eventSource.readyState !== EventSource.CLOSED) calls.push(['still open']);
            return calls;
        }}""",
        data,
    )
    return calls


def test_event_source(site: Site, anonymous_page: Page) -> None:
    # With no cookie and no header: the URL is all that it needs.
    calls = event_source(anonymous_page, site.send("alice", "gated eventsource"))
    *progress, last = calls
    assert last == ["message", "All four."]
    assert {call[0] for call in progress} == {"progress"}
    assert ["progress", "Processing step 2 of 4...", 25] in progress
    percents = [call[2] for call in progress]
    assert percents == sorted(percents)


def test_event_source_of_a_failure(site: Site, anonymous_page: Page) -> None:
    *_, last = event_source(anonymous_page, site.send("alice", "failing"))
    assert last == ["error", "The workflow failed. The error has been logged."]


@pytest.mark.parametrize(
    ("message", "last"),
    [
        ("gated polling", ["message", "All four."]),
        ("failing", ["error", "The workflow failed. The error has been logged."]),
    ],
)
def test_polling(site: Site, anonymous_page: Page, message: str, last: list[str]) -> None:
    code = snippet("Option 2: Polling", "javascript")
    url = site.send("alice", message)["status_url"]
    calls = anonymous_page.evaluate(
        f"async (url) => {{ {STUBS} {code}; await pollStatus(url); await ended; return calls; }}",
        url,
    )
    assert calls == [last]


def test_the_line_in_env_works(make_site: MakeSite) -> None:
    site = make_site("sqlite")
    line = snippet("Queue Configuration", "bash", 0)
    assert line == "QUEUE_CONNECTION=database  # or redis, sync\n"
    key = "a#b and more"
    (site.folder / ".env").write_text(
        f"# Commented\nSECRET_KEY='{key}'  # it's signed\n{line}"
        f"DATABASE_URL={site.database_url}\nDEBUG=  # none\nRATE_LIMIT_SEND=7/s # a lot\n"
    )
    site.env["ENV_FILE"] = str(site.folder / ".env")
    for name in ("SECRET_KEY", "DATABASE_URL", "RATE_LIMIT_SEND"):
        del site.env[name]
    code = (
        "from django.conf import settings as s; from chatflow.conf import conf;"
        " print(s.SECRET_KEY, s.DEBUG, conf.RATE_LIMIT_SEND)"
    )
    assert f"{key} False (7, 1.0)" in site.manage("shell", "--command", code).stdout
    site.start_web()
    site.start_cluster()
    assert site.run("alice", "gated env")["state"] == "completed"


def test_workflow_timeouts(make_site: MakeSite) -> None:
    """The two settings, by the names that they have in the environment."""
    wanted = dict(re.findall(r"'(\w+)' => (\d+)", snippet("Workflow Timeouts", "php")))
    assert wanted == {"max_execution_time": "120", "max_ai_calls": "10"}
    names = [f"WORKFLOW_{name.upper()}" for name in wanted]
    site = make_site("sqlite")
    code = f"from chatflow.conf import conf; print([getattr(conf, n) for n in {names}])"
    command = ("shell", "--verbosity=0", "--command", code)
    assert json.loads(site.manage(*command).stdout) == [120, 10]
    site.env |= dict.fromkeys(names, "7")
    assert json.loads(site.manage(*command).stdout) == [7, 7]


def test_the_queue_verbs(own_site: Site) -> None:
    """queue:work, queue:work --once and queue:failed, as commands of manage.py."""

    def artisan(text: str) -> list[str]:
        [verb] = re.findall(r"^php artisan (queue:.*)$", text, re.MULTILINE)
        return str(verb).replace(":", "_").split()

    site = own_site
    once, failed = (
        artisan(line)
        for line in snippet("Troubleshooting", "bash").splitlines()
        if line.startswith("php artisan")
    )
    assert (once, failed) == (["queue_work", "--once"], ["queue_failed"])
    site.start_web()
    assert "No job is waiting" in site.manage(*once).stdout
    good, bad = (site.send("alice", text)["job_id"] for text in ("gated verbs", "failing"))
    done = site.manage(*once)
    assert "gated" in done.stdout + done.stderr
    assert site.status("alice", good)["state"] == "completed"
    assert site.status("alice", bad)["state"] == "queued"
    assert bad not in site.manage(*failed).stdout
    site.manage(*once)
    assert site.status("alice", bad)["state"] == "failed"
    listed = site.manage(*failed).stdout
    assert bad in listed
    assert good not in listed
    # Without --once it works until it is told to stop.
    worker = site.start(
        "queue_work", site.manage_command(*artisan(snippet("Queue Configuration", "bash", 1)))
    )
    assert site.run("alice", "gated more")["state"] == "completed"
    worker.terminate()
    assert worker.wait() == 0


def test_status_updates(site: Site) -> None:
    example = json.loads(snippet("Status Updates", "json"))
    assert example.keys() == UPDATE
    site.close_gate("endless")
    seen = set()
    for message in ("gated updates", "failing", "endless"):
        with Stream(site.send("alice", message)["stream_url"]) as stream:
            frames = list(stream)
        seen |= {frame["status"] for frame in frames}
        for frame in frames:
            assert frame.keys() >= UPDATE
            assert isinstance(frame["progress"], int)
            assert isinstance(frame["message"], str)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", frame["updated_at"])
    words = re.findall(r"^- `(\w+)` - ", SEED.read_text(), re.MULTILINE)
    assert seen == set(words) == {"connected", "processing", "completed", "failed", "timeout"}
    # The example's own sentence is what four steps say.
    frames = read_stream(site.send("alice", "gated sentence")["stream_url"])
    assert example["message"] in [frame["message"] for frame in frames]


def error_handling(page: Page, workflow: str) -> list[Any]:
    """Run the snippet with a chat whose workflow is as given; return the page's calls."""
    code = snippet("Error Handling", "javascript")
    calls: list[Any] = page.evaluate(
        f"""async (workflow) => {{ {STUBS}
            const {{ AsyncChatClient }} = await import('/static/js/async-chat.js');
            const client = new AsyncChatClient();
            const sendMessage = (text, options) =>
                client.sendMessage(text, {{ ...options, workflow }});
            const chat = {{ sendMessage }};
            {code}
            return calls;
        }}""",
        workflow,
    )
    return calls


def test_error_handling(site: Site, page: Page) -> None:
    site.close_gate("endless")
    assert error_handling(page, "gated") == [["message", "All four."]]
    assert error_handling(page, "endless") == [
        ["error", "The request took too long. Please try again."]
    ]
    [[kind, text]] = error_handling(page, "failing")
    assert kind == "error"
    assert text.startswith("An error occurred: The workflow failed.")
    [[kind, text]] = error_handling(page, "unknown")
    assert text.startswith("An error occurred: There is no workflow called")


def test_old_code_still_works(site: Site, page: Page, anonymous_page: Page) -> None:
    code = snippet("Backward Compatibility", "javascript")
    script = f"async () => {{ {code}; return [response.status, await response.json()] }}"
    status, answer = page.evaluate(script)
    assert status == 200
    example = json.loads(snippet("2. Response Format", "json", 1))
    assert example.keys() == SYNC <= answer.keys()
    assert (answer["success"], answer["actions"], answer["sources"]) == (True, [], [])
    assert answer["response"]
    # Who is not signed in is told so.
    status, answer = anonymous_page.evaluate(script)
    assert (status, answer["success"], answer["code"]) == (401, False, "unauthenticated")


def test_old_code_from_another_site_is_refused(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    """What comes without a token must come from a page of this site."""
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, site, "alice")
        jobs = site.value("SELECT count(*) FROM workflows_job")
        # Another port is the same site to cookies, and another origin.
        port = free_port()
        folder = f"--directory={tmp_path}"
        command = [sys.executable, "-m", "http.server", str(port), f"--bind={HOST}", folder]
        other = site.serve("other", command, port)
        page.goto(other.url)
        outcome = page.evaluate(
            """(url) => fetch(url, {
                method: 'POST', mode: 'no-cors', credentials: 'include',
                headers: { 'Content-Type': 'text/plain' },
                body: JSON.stringify({ message: 'hello' }),
            }).then((response) => response.type)""",
            f"{site.url}/ai-demo/chat/send",
        )
        assert outcome == "opaque"
        assert site.value("SELECT count(*) FROM workflows_job") == jobs
