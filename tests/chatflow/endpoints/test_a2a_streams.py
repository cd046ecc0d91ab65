"""A2A's streams, and the calls that wait, through the whole ASGI application."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from chatflow.asgi import application
from chatflow.streams.of_job import open_streams
from chatflow.workflows import services
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome, end
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_job import begin
from tests.configure import configure
from tests.conftest import Bearer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("served")]

Run = Callable[[Job], Job]
Call = Callable[..., Exchange]


@pytest_asyncio.fixture
async def call(bearer: Bearer, alice: User) -> Call:
    """Return what makes a call as Alice."""
    token = await sync_to_async(bearer)(alice)

    def call(method: str, **params: Any) -> Exchange:
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        headers = {**token, "Content-Type": "application/json"}
        return Exchange(
            application, "/a2a", method="POST", headers=headers, body=json.dumps(body).encode()
        )

    return call


def said(text: str = "hello", **fields: Any) -> dict[str, Any]:
    metadata = {"workflow": "echo"}
    parts = [{"text": text}]
    return {"messageId": "m1", "role": "ROLE_USER", "parts": parts, "metadata": metadata, **fields}


def newest() -> Job:
    return Job.objects.select_related("session").latest("pk")


def write(job: Job, word: str) -> None:
    append(job.pk, 1, Event.Type.DELTA, data={"delta": word})


def finish(job: Job, response: str) -> None:
    job.refresh_from_db()
    end(job, Outcome(State.COMPLETED, response=response))


async def results(exchange: Exchange) -> AsyncIterator[Any]:
    async for frame in exchange.frames():
        assert (frame["data"]["jsonrpc"], frame["data"]["id"]) == ("2.0", 7)
        yield frame["data"]["result"]


def state(told: Any) -> str:
    return str(told["status"]["state"].removeprefix("TASK_STATE_"))


def text(update: Any) -> tuple[str, bool]:
    (part,) = update["artifactUpdate"]["artifact"]["parts"]
    return part["text"], update["artifactUpdate"]["append"]


async def test_a_message_is_followed_to_its_end(call: Call) -> None:
    async with call("SendStreamingMessage", message=said(contextId="mine")) as exchange:
        stream = results(exchange)
        task = (await anext(stream))["task"]
        assert exchange.headers["content-type"] == "text/event-stream"
        assert (state(task), task["contextId"]) == ("SUBMITTED", "mine")
        assert open_streams.by_dialect() == {"a2a": 1}
        job = await sync_to_async(newest)()
        assert job.public_id == task["id"]
        await sync_to_async(begin)(job)
        await sync_to_async(append)(job.pk, 1, Event.Type.PROGRESS, progress=10, message="Begun")
        await sync_to_async(write)(job, "Hello")
        update = (await anext(stream))["statusUpdate"]
        assert update["status"]["message"]["parts"] == [{"text": "Begun"}]
        assert text(await anext(stream)) == ("Hello", False)
        await sync_to_async(finish)(job, "Hello you")
        assert text(await anext(stream)) == (" you", True)
        assert state((await anext(stream))["statusUpdate"]) == "COMPLETED"
        assert [each async for each in stream] == []
    assert exchange.complete


async def test_who_subscribes_in_mid_word_misses_nothing(
    call: Call, alice: User, make_job: MakeJob
) -> None:
    job = await sync_to_async(make_job)(alice)
    await sync_to_async(begin)(job)
    await sync_to_async(write)(job, "Hel")
    for _ in range(2):
        # Each that hangs up leaves the work alone.
        async with call("SubscribeToTask", id=job.public_id) as exchange:
            task = (await anext(results(exchange)))["task"]
            assert state(task) == "WORKING"
            assert task["artifacts"][0]["parts"] == [{"text": "Hel"}]
    async with call("SubscribeToTask", id=job.public_id) as exchange:
        stream = results(exchange)
        await anext(stream)
        await sync_to_async(write)(job, "lo")
        assert text(await anext(stream)) == ("lo", True)
        await sync_to_async(finish)(job, "Hello")
        assert text(await anext(stream)) == ("", True)
        assert state((await anext(stream))["statusUpdate"]) == "COMPLETED"


async def test_a_task_that_has_ended_has_no_stream(
    call: Call, alice: User, make_job: MakeJob, run: Run
) -> None:
    job = await sync_to_async(lambda: run(make_job(alice)))()
    async with call("SubscribeToTask", id=job.public_id) as exchange:
        error = (await exchange.json())["error"]
    assert (exchange.status, error["code"]) == (200, -32004)
    async with call("SubscribeToTask", id=f"workflow_{'0' * 32}") as exchange:
        assert (await exchange.json())["error"]["code"] == -32001


async def test_a_task_that_asks_has_its_question_only(
    call: Call, alice: User, make_job: MakeJob, run: Run
) -> None:
    job = await sync_to_async(lambda: run(make_job(alice, workflow="ask")))()
    async with call("SubscribeToTask", id=job.public_id) as exchange:
        (asked,) = [each async for each in results(exchange)]
    assert state(asked["task"]) == "INPUT_REQUIRED"
    message = said("cancel", taskId=job.public_id)
    async with call("SendStreamingMessage", message=message) as exchange:
        dropped, last = [each async for each in results(exchange)]
    assert state(dropped["task"]) == state(last["statusUpdate"]) == "CANCELED"


async def test_the_answer_is_followed_as_the_same_task(
    call: Call, alice: User, make_job: MakeJob, run: Run
) -> None:
    job = await sync_to_async(lambda: run(make_job(alice, workflow="ask")))()
    message = said("Alice", taskId=job.public_id, metadata={})
    async with call("SendStreamingMessage", message=message) as exchange:
        stream = results(exchange)
        task = (await anext(stream))["task"]
        assert (task["id"], state(task)) == (job.public_id, "SUBMITTED")
        await sync_to_async(lambda: run(newest()))()
        updates = [each async for each in stream]
    assert text(updates[-2]) == ("Hello Alice.", False)
    assert updates[-1]["statusUpdate"]["taskId"] == job.public_id


@pytest.mark.parametrize(("workflow", "end"), [("echo", "COMPLETED"), ("ask", "INPUT_REQUIRED")])
async def test_a_message_waits_for_the_end(call: Call, run: Run, workflow: str, end: str) -> None:
    message = said(metadata={"workflow": workflow})
    async with call("SendMessage", message=message) as exchange:
        while "wait" not in open_streams.by_dialect():
            await asyncio.sleep(0)
        await sync_to_async(lambda: run(newest()))()
        answer = await exchange.json()
    assert (exchange.status, answer["id"]) == (200, 7)
    assert state(answer["result"]["task"]) == end


async def test_a_conversation_that_is_deleted_while_a_message_waits(call: Call) -> None:
    async with call("SendMessage", message=said(contextId="mine")) as exchange:
        while "wait" not in open_streams.by_dialect():
            await asyncio.sleep(0)
        await sync_to_async(lambda: services.delete_session(newest().session))()
        answer = await exchange.json()
    # It was cancelled before; whoever looks late finds nothing.
    assert (exchange.status, answer["id"]) == (200, 7)
    found = answer.get("error", {}).get("code") or state(answer["result"]["task"])
    assert found in (-32001, "CANCELED")


async def test_no_room_no_job(call: Call, settings: Any) -> None:
    configure(settings, STREAMS_PER_USER=0)
    for method in ("SendMessage", "SendStreamingMessage"):
        async with call(method, message=said()) as exchange:
            error = (await exchange.json())["error"]
        assert (exchange.status, error["data"]) == (429, {"code": "rate_limited"})
    assert not await sync_to_async(Job.objects.exists)()


async def test_the_card_is_where_its_reader_came_by() -> None:
    exchange = Exchange(application, "/chat/.well-known/agent-card.json")
    exchange.scope["root_path"] = "/chat"
    async with exchange:
        card = await exchange.json()
    assert card["supportedInterfaces"][0]["url"] == "http://testserver/chat/a2a"
