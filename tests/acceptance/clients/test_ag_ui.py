"""AG-UI's own client, from npm."""

import json

from hypothesis import given, settings

from tests.acceptance.clients import node
from tests.acceptance.markdown import block
from tests.acceptance.processes import ROOT, Site
from tests.chatflow.dialects.contract import LOGS, Said
from tests.chatflow.dialects.test_ag_ui import SAID, standing, streams_of


def test_the_client_connects(site: Site) -> None:
    tokens = [site.token("alice"), site.token("bob")]
    assert int(node.run("ag_ui.mjs", site.url, *tokens, str(site.gates))) == 8


def test_the_client_reads_any_stream() -> None:
    """By its own schemas and rules: the whole of it, and with one break after another."""
    logs: list[list[Said]] = list(LOGS.values())

    @settings(max_examples=60, derandomize=True, database=None, deadline=None)
    @given(SAID)
    def collect(said: list[Said]) -> None:
        logs.append(said)

    collect()
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
