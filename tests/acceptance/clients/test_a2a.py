"""The A2A client from PyPI: it finds the site by its card, and works with tasks."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from a2a.client import A2AClientError, Client, ClientConfig, create_client
from a2a.helpers import new_data_part, new_message, new_text_message
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskNotCancelableError,
    TaskNotFoundError,
    TaskState,
    UnsupportedOperationError,
)

from tests.acceptance.conftest import MakeSite
from tests.acceptance.markdown import block
from tests.acceptance.processes import ROOT, SECONDS, Site
from tests.acceptance.test_crash import kill_worker
from tests.servers import free_port


@asynccontextmanager
async def connected(site: Site, user: str, **how: Any) -> AsyncIterator[Client]:
    """Give a client that knows the site's address and the user's token, no more."""
    headers = {"Authorization": f"Bearer {site.token(user)}"}
    async with httpx.AsyncClient(headers=headers, timeout=SECONDS, trust_env=False) as http:
        yield await create_client(site.url, ClientConfig(httpx_client=http, **how))


def request(message: Message | str, workflow: str = "") -> SendMessageRequest:
    if isinstance(message, str):
        message = new_text_message(message)
    wanted = SendMessageRequest(message=message)
    if workflow:
        wanted.metadata["workflow"] = workflow
    return wanted


async def follow(
    updates: AsyncIterator[StreamResponse], upto: str = "", task: Task | None = None
) -> Task:
    """Keep up with a task until its stream ends, or its answer ends with *upto*.

    Args:
        updates: of the stream.
        upto: where to leave off; the rest stays in the stream.
        task: as it stood before these updates.
    """
    task = task or Task()
    async for update in updates:
        if update.HasField("task"):
            task.CopyFrom(update.task)
        elif update.HasField("artifact_update"):
            append_artifact_to_task(task, update.artifact_update)
        else:
            task.status.CopyFrom(update.status_update.status)
        if upto and answer(task).endswith(upto):
            return task
    assert not upto, task
    return task


async def pieces(updates: AsyncIterator[StreamResponse]) -> AsyncIterator[tuple[str, bool]]:
    """Give the pieces of the answer that come, and whether each is added to those before."""
    async for update in updates:
        if update.HasField("artifact_update"):
            (part,) = update.artifact_update.artifact.parts
            yield part.text, update.artifact_update.append


async def say(client: Client, message: Message | str, workflow: str = "") -> Task:
    """Send a message, and follow its task to the end of the turn."""
    return await follow(client.send_message(request(message, workflow)))


def answer(task: Task) -> str:
    return "".join(part.text for each in task.artifacts for part in each.parts)


def state(task: Task) -> str:
    return str(TaskState.Name(task.status.state)).removeprefix("TASK_STATE_")


def code_of(task: Task) -> Any:
    """Return the code of a failure, behind its sentence."""
    return task.status.message.parts[1].data.struct_value["code"]


def in_context(task: Task, text: str) -> Message:
    return new_text_message(text, context_id=task.context_id, task_id=task.id)


def test_the_documented_lines(site: Site) -> None:
    code = block(ROOT / "docs" / "clients.md", "A2A", "python")
    for written, own in (
        ("https://chat.example.com", site.url),
        ("YOUR_TOKEN", site.token("alice")),
        ('"hello"', '"gated documented"'),
        ('"orders"', '"gated"'),
        ("timeout=300", "timeout=300, trust_env=False"),
    ):
        assert written in code
        code = code.replace(written, own)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(code, "docs/clients.md", "exec"), {})
    assert said.getvalue().splitlines()[-2:] == ["All four.", ""]


async def test_a_client_that_was_away_in_mid_word_misses_nothing(site: Site) -> None:
    """Two clients follow the same task, one of them comes late."""
    site.close_gate("a2a")
    async with connected(site, "alice") as client, connected(site, "alice") as other:
        stream = client.send_message(request("speaker a2a"))
        begun = await follow(stream, "before ")
        await stream.aclose()  # type: ignore[attr-defined]
        assert state(begun) == "WORKING"
        wanted = SubscribeToTaskRequest(id=begun.id)
        again, late = client.subscribe(wanted), other.subscribe(wanted)
        for each in (again, late):
            assert answer((await anext(each)).task) == "before "
        site.open_gate("a2a")
        for each in (again, late):
            assert [piece async for piece in pieces(each)] == [("after", True), ("", True)]
        task = await client.get_task(GetTaskRequest(id=begun.id))
        assert (state(task), answer(task)) == ("COMPLETED", "before after")
        with pytest.raises(UnsupportedOperationError):
            await anext(client.subscribe(wanted))


async def test_a_conversation(site: Site) -> None:
    async with connected(site, "alice") as alice, connected(site, "bob") as bob:
        asking = await say(alice, "delete them", "risky")
        assert state(asking) == "INPUT_REQUIRED"
        prompt, wanted = asking.status.message.parts
        assert (prompt.text, wanted.data.struct_value["kind"]) == ("Delete the rows?", "approval")
        # It isn't Bob's.
        with pytest.raises(TaskNotFoundError):
            await bob.get_task(GetTaskRequest(id=asking.id))
        with pytest.raises(TaskNotFoundError):
            await say(bob, in_context(asking, "yes"))
        decision = {"approved": True, "reason": "fine", "answer": {"amount": 7}}
        parts = [new_data_part(decision)]
        done = await say(alice, new_message(parts, asking.context_id, asking.id))
        assert (done.id, state(done)) == (asking.id, "COMPLETED")
        assert answer(done) == "True by alice: fine Limit(amount=7)"
        with pytest.raises(UnsupportedOperationError):
            await say(alice, in_context(done, "and now?"))
        # The conversation goes on, and the chat knows it.
        await say(alice, new_text_message("gated next", context_id=done.context_id), "gated")
        history = site.api("alice").get(f"/ai-demo/chat/history/{done.context_id}").json()
        assert [each["content"] for each in history["messages"]][-2:] == ["gated next", "All four."]
        found = await alice.list_tasks(ListTasksRequest(context_id=done.context_id))
        assert {state(each) for each in found.tasks} == {"COMPLETED"}
        assert (len(found.tasks), found.total_size) == (2, 2)


async def test_ends(site: Site) -> None:
    site.close_gate("endless")
    async with (
        connected(site, "alice") as client,
        connected(site, "alice", streaming=False) as plain,
    ):
        late = asyncio.create_task(say(client, "go on", "endless"))
        failed = await say(plain, "go", "failing")
        assert state(failed) == "FAILED"
        assert code_of(failed) == "workflow_failed"
        # What was raised stays inside.
        assert "as it was asked" not in str(failed)
        stream = client.send_message(request("murmur 1000"))
        begun = await follow(stream, "1 ")
        await client.cancel_task(CancelTaskRequest(id=begun.id))
        assert state(await follow(stream, task=begun)) == "CANCELED"
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=begun.id))
        timed_out = await late
        assert state(timed_out) == "FAILED"
        assert code_of(timed_out) == "timeout"
    site.open_gate("endless")


async def test_a_polling_client_and_one_without_a_token(site: Site) -> None:
    site.close_gate("poll")
    async with connected(site, "alice", streaming=False, polling=True) as client:
        task = await say(client, "speaker poll", "speaker")
        assert state(task) in ("SUBMITTED", "WORKING")
        site.open_gate("poll")
        while state(task) != "COMPLETED":
            task = await client.get_task(GetTaskRequest(id=task.id))
        assert answer(task) == "before after"
    async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as http:
        stranger = await create_client(site.url, ClientConfig(httpx_client=http))
        with pytest.raises(A2AClientError, match="401"):
            await say(stranger, "hello")


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="session")
async def test_a_worker_and_a_server_are_killed_in_mid_word(make_site: MakeSite, kind: str) -> None:
    site = make_site(kind)
    port = free_port()
    web = site.start_web(port=port)
    site.start_cluster()
    site.close_gate("kill")
    async with connected(site, "alice") as client:
        stream = client.send_message(request("speaker kill"))
        begun = await follow(stream, "before ")
        site.wait_at_gate("kill")
        kill_worker(site, begun.id)
        site.wait_at_gate("kill", 2)
        web.kill()
        # No end is told, so nobody takes it for one.
        with pytest.raises(A2AClientError):
            await follow(stream)
        site.start_web(port=port)
        again = client.subscribe(SubscribeToTaskRequest(id=begun.id))
        assert answer((await anext(again)).task) == "before "
        site.open_gate("kill")
        assert [each async for each in pieces(again)] == [("after", True), ("", True)]
