"""MCP's own clients: `mcp` from PyPI, @modelcontextprotocol/client with ext-tasks from npm."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.acceptance.clients import node
from tests.acceptance.markdown import block
from tests.acceptance.processes import ROOT, SECONDS, Site, eventually


@asynccontextmanager
async def client_of(site: Site, user: str = "alice", **options: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {site.token(user)}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        transport = streamable_http_client(f"{site.url}/mcp", http_client=http)
        async with Client(transport, **options) as client:
            yield client


def state_of(site: Site, message: str) -> str:
    return str(site.value(f"SELECT state FROM workflows_job WHERE text = '{message}'"))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_pythons_client_connects(site: Site, mode: str) -> None:
    asyncio.run(converse(site, mode))


async def converse(site: Site, mode: str) -> None:
    key = f"mcp-{uuid4().hex}"
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with client_of(site, mode=mode) as client:
        assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
        assert client.server_info is not None
        assert client.server_info.name == "chatflow"
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["gated"].title == "Gated"
        # A whole run, and what it tells in between.
        done = await client.call_tool("gated", {"message": f"gated {key}"}, progress_callback=note)
        assert done.is_error is False
        assert done.content[0].text == "All four."
        assert done.structured_content["response"] == "All four."
        shown = [progress for progress, _, _ in told]
        assert shown == sorted(set(shown))
        assert {total for _, total, _ in told} == {100}
        assert "Processing step 3 of 4..." in [message for _, _, message in told]
        # A question, and the conversation's next turns.
        asking = await client.call_tool("create_invoice", {"message": "create an invoice"})
        told_of = asking.structured_content
        assert told_of["awaiting"]["kind"] == "text"
        assert asking.content[0].text == told_of["awaiting"]["prompt"]
        session = {"session_id": told_of["session_id"]}
        dropped = await client.call_tool("create_invoice", {"message": "cancel", **session})
        assert dropped.structured_content["response"] == "Cancelled."
        # What goes wrong.
        failing = await client.call_tool("failing", {"message": "go", **session})
        assert failing.is_error is True
        assert failing.structured_content["code"] == "workflow_failed"
        assert "asked to" not in failing.content[0].text
        with pytest.raises(MCPError) as refused:
            await client.call_tool("nothing", {"message": "go"})
        assert refused.value.error.code == -32602
        nothing = await client.call_tool("gated", {})
        assert nothing.is_error is True


@pytest.mark.parametrize(
    ("mode", "ends"), [("auto", "cancelled"), ("legacy", "completed")], ids=["auto", "legacy"]
)
def test_a_stream_that_is_left(site: Site, mode: str, ends: str) -> None:
    """By the newer version it cancels the job, by the older one it must not."""
    gate = f"mcp-{uuid4().hex}"
    site.close_gate(gate)
    asyncio.run(leave(site, mode, gate))
    if mode == "legacy":
        site.open_gate(gate)
    eventually(lambda: state_of(site, f"speaker {gate}") == ends)


async def leave(site: Site, mode: str, gate: str) -> None:
    async with client_of(site, mode=mode) as client:
        call = asyncio.create_task(client.call_tool("speaker", {"message": f"speaker {gate}"}))
        await asyncio.to_thread(site.wait_at_gate, gate)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


def test_the_page_says_how(site: Site) -> None:
    python = block(ROOT / "docs" / "clients.md", "MCP", "python")
    script = as_reader(python, site)
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert "workflow_" in said.stdout
    entry = json.loads(as_reader(block(ROOT / "docs" / "clients.md", "MCP", "json"), site))
    server = entry["mcpServers"]["chatflow"]
    greeting = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert httpx.post(server["url"], json=greeting, headers=server["headers"]).status_code == 200


def as_reader(code: str, site: Site) -> str:
    """Return an example as whoever reads it would fill it in."""
    filled = code.replace("https://chat.example.com", site.url)
    return filled.replace("YOUR_TOKEN", site.token("alice"))


def test_nodes_client_connects(site: Site) -> None:
    said = node.run("mcp.mjs", site.url, site.token("alice"), site.token("bob"), str(site.gates))
    assert int(said) == 8


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_task_outlives_the_server(own_site: Site) -> None:
    cluster, web = own_site.start_cluster(), own_site.start_web()
    own_site.close_gate("kept-2")
    with client(own_site) as mcp:
        task_id = begin(mcp, "gated", "gated kept")
        own_site.wait_at_gate("kept-2")
        cluster.kill()
        web.kill()
    own_site.start_web(port=urlsplit(web.url).port)
    own_site.start_cluster()
    own_site.open_gate("kept-2")
    with client(own_site) as mcp:
        done = eventually(lambda: completed(mcp, task_id))
    assert done["structuredContent"]["response"] == "All four."
    # The step that was done was not done again.
    assert own_site.visits("kept-1") == 1


def client(site: Site) -> httpx.Client:
    headers = {"Authorization": f"Bearer {site.token('alice')}"}
    return httpx.Client(base_url=site.url, headers=headers, timeout=30, trust_env=False)


def begin(client: httpx.Client, name: str, message: str) -> str:
    arguments = {"name": name, "arguments": {"message": message}}
    return str(call(client, "tools/call", name, arguments)["taskId"])


def completed(client: httpx.Client, task_id: str) -> Any:
    return call(client, "tasks/get", task_id, {"taskId": task_id}).get("result")


def call(client: httpx.Client, method: str, name: str, params: dict[str, Any]) -> Any:
    """Return the result of a call with the tasks extension."""
    version, prefix = "2026-07-28", "io.modelcontextprotocol/"
    capabilities = {"extensions": {f"{prefix}tasks": {}}}
    meta = {f"{prefix}protocolVersion": version, f"{prefix}clientCapabilities": capabilities}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": name}
    return client.post("/mcp", json=body, headers=headers).json()["result"]
