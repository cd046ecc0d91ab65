"""AG-UI's own client, from npm."""

import json
import threading
from collections.abc import Iterator

from tests.acceptance.clients import node
from tests.acceptance.clients.logs import with_drawn
from tests.acceptance.conftest import MakeSite
from tests.acceptance.markdown import block
from tests.acceptance.processes import ROOT, Site
from tests.acceptance.test_crash import kill_worker
from tests.chatflow.dialects.test_ag_ui import SAID, standing, streams_of
from tests.openai_server import Answer, OpenAIServer


def test_the_client_connects(site: Site) -> None:
    tokens = [site.token("alice"), site.token("bob")]
    assert int(node.run("ag_ui.mjs", site.url, *tokens, str(site.gates))) == 8


def test_the_client_reads_any_stream() -> None:
    """By its own schemas and rules: the whole of it, and with one break after another."""
    logs = with_drawn(SAID, 60)
    streams = [(said, each) for said in logs for each in streams_of(said)]
    read = json.loads(node.run("ag_ui_judge.mjs", input=json.dumps([each for _, each in streams])))

    assert len(read) > 2 * len(logs)
    for (said, _), (last, messages, state) in zip(streams, read, strict=True):
        failed = said[-1][0] in ("failed", "timeout")
        assert last == ("RUN_ERROR" if failed else "RUN_FINISHED")
        assert failed or state["status"] == said[-1][0]
        answers = [each["content"] for each in messages if each["role"] == "assistant"]
        assert "".join(answers) in standing(said)
        assert messages[0]["content"] == "Hello"


def test_the_lines_of_the_docs_work(site: Site) -> None:
    code = block(ROOT / "docs" / "clients.md", "AG-UI", "js")
    for shown, own in (
        ("https://chat.example.com", site.url),
        ("YOUR_TOKEN", site.token("alice")),
        ("/ag-ui/orders", "/ag-ui/moves"),
    ):
        assert shown in code
        code = code.replace(shown, own)
    assert node.run("--input-type=module", "-", input=code) == "What next?\nWhat next?\n"


def test_a_worker_and_a_server_are_killed_in_mid_word(make_site: MakeSite) -> None:
    """The words that the worker took with it are taken back; no other is lost, or comes twice."""
    rest = threading.Event()
    with OpenAIServer() as server:
        # The first one is never heard to its end.
        server.script = [Answer(text="Good morning, Alice.", stall=threading.Event(), stall_at=3)]
        server.script += [Answer(text="Hello again, Alice.", stall=rest, stall_at=3)]
        site = make_site("sqlite", AI_MODEL="openai-chat:gpt-4o-mini", **server.environment)
        web = site.start_web()
        site.start_cluster()
        with node.started("ag_ui_lost.mjs", site.url, site.token("alice"), "Good day") as lines:
            wait_for(lines, "Good")
            kill_worker(site, site.value("SELECT public_id FROM workflows_job"))
            wait_for(lines, "Hello")
            web.kill()
            wait_for(lines, "lost")
            rest.set()
            site.start_web(port=int(web.url.rpartition(":")[2]))
            *_, last = lines
    assert json.loads(last) == ["Good day", "Hello again, Alice."]


def wait_for(lines: Iterator[str], wanted: str) -> None:
    seen = []
    for line in lines:
        seen.append(line)
        if line == wanted:
            return
    raise AssertionError(seen)
