"""MCP's own clients: `mcp` from PyPI, @modelcontextprotocol/client with ext-tasks from npm."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from tests.acceptance.clients import node
from tests.acceptance.clients.mcp_tasks import Begun, Tasks, ask
from tests.acceptance.kinds import on_sqlite
from tests.acceptance.markdown import block
from tests.acceptance.processes import ROOT, SECONDS, Site, eventually

PAGE = ROOT / "docs" / "clients.md"


@asynccontextmanager
async def client_of(site: Site, user: str = "alice", **options: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {site.token(user)}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        transport = streamable_http_client(f"{site.url}/mcp", http_client=http)
        async with Client(transport, **options) as client:
            yield client


def text_of(result: CallToolResult) -> str:
    return cast(str, result.content[0].model_dump()["text"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_pythons_client_connects(site: Site, mode: str) -> None:
    asyncio.run(converse(site, mode))


async def converse(site: Site, mode: str) -> None:
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
        message = {"message": f"gated mcp-{uuid4().hex}"}
        done = await client.call_tool("gated", message, progress_callback=note)
        assert done.is_error is False
        assert text_of(done) == done.structured_content["response"] == "All four."
        shown = [progress for progress, _, _ in told]
        assert shown == sorted(set(shown))
        assert {total for _, total, _ in told} == {100}
        assert "Processing step 3 of 4..." in [message for _, _, message in told]
        # A question, and the conversation's next turns.
        asking = await client.call_tool("create_invoice", {"message": "create an invoice"})
        asked = asking.structured_content
        assert asked["awaiting"]["kind"] == "text"
        assert text_of(asking) == asked["awaiting"]["prompt"]
        session = {"session_id": asked["session_id"]}
        dropped = await client.call_tool("create_invoice", {"message": "cancel", **session})
        assert text_of(dropped) == "Cancelled."
        # What goes wrong.
        failing = await client.call_tool("failing", {"message": "go", **session})
        assert failing.is_error is True
        assert failing.structured_content["code"] == "workflow_failed"
        assert "asked to" not in text_of(failing)
        with pytest.raises(MCPError) as refused:
            await client.call_tool("nothing", {"message": "go"})
        assert refused.value.error.code == -32602
        assert (await client.call_tool("gated", {})).is_error is True


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
    state = f"SELECT state FROM workflows_job WHERE text = 'speaker {gate}'"
    eventually(lambda: site.value(state) == ends)


async def leave(site: Site, mode: str, gate: str) -> None:
    async with client_of(site, mode=mode) as client:
        call = asyncio.create_task(client.call_tool("speaker", {"message": f"speaker {gate}"}))
        await asyncio.to_thread(site.wait_at_gate, gate)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


def test_pythons_client_approves(site: Site) -> None:
    def answer(params: dict[str, Any]) -> dict[str, Any]:
        assert "approved" in params["requestedSchema"]["properties"]
        return {"approved": True, "reason": "Old.", "answer.amount": 3}

    async def approve() -> CallToolResult:
        async with client_of(site, extensions=[Tasks(answer)]) as client:
            return await client.call_tool("risky", {"message": "go"})

    assert text_of(asyncio.run(approve())) == "True by alice: Old. Limit(amount=3)"


@on_sqlite
def test_a_task_outlives_the_server(own_site: Site) -> None:
    web = own_site.start_web()
    own_site.start_cluster()
    own_site.close_gate("kept-2")
    begun = asyncio.run(begin(own_site, "gated", "gated kept"))
    own_site.wait_at_gate("kept-2")
    web.kill()
    own_site.open_gate("kept-2")
    own_site.start_web(port=urlsplit(web.url).port)
    assert text_of(asyncio.run(follow(own_site, begun.task_id))) == "All four."


async def begin(site: Site, name: str, message: str) -> Begun:
    async with client_of(site, extensions=[Tasks()]) as client:
        begun = await client.session.call_tool(name, {"message": message}, allow_claimed=True)
        assert isinstance(begun, Begun)
        return begun


async def follow(site: Site, task_id: str) -> CallToolResult:
    async with client_of(site, extensions=[Tasks()]) as client:
        while (standing := await ask(client.session, "get", task_id)).result is None:
            assert standing.status == "working"
            await asyncio.sleep(0.05)
        return standing.result


def test_nodes_client_connects(site: Site) -> None:
    said = node.run("mcp.mjs", site.url, site.token("alice"), site.token("bob"), str(site.gates))
    assert int(said) == 8


def test_the_page_says_how(site: Site) -> None:
    script = as_filled_in(block(PAGE, "MCP", "python"), site)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "workflow_" in done.stdout
    entry = json.loads(as_filled_in(block(PAGE, "MCP", "json"), site))["mcpServers"]["chatflow"]
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert httpx.post(entry["url"], json=ping, headers=entry["headers"]).json()["result"] == {}


def as_filled_in(code: str, site: Site) -> str:
    """Return an example with this site's address and a token."""
    filled = code.replace("https://chat.example.com", site.url)
    return filled.replace("YOUR_TOKEN", site.token("alice"))
