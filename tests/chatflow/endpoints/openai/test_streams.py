"""Streams and ends of jobs that run, through the whole ASGI application."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from chatflow.answers.errors import Unavailable
from chatflow.asgi import application
from chatflow.endpoints import speaking
from chatflow.streams import following
from chatflow.streams.of_job import open_streams
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.store.lifecycle import end as store_end
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_job import begin
from tests.conftest import Bearer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("served")]

Call = Callable[..., Exchange]
COMPLETED = Outcome(State.COMPLETED, response="One two")
FAILED = Outcome(State.FAILED, error="It broke.", code="broken")
LATE = Outcome(State.TIMEOUT, error="It took too long.", code="timeout")
CANCELLED = Outcome(State.CANCELLED, error="It was cancelled.", code="cancelled")


@pytest_asyncio.fixture
async def call(bearer: Bearer, alice: User) -> Call:
    """Return what asks as Alice."""
    token = await sync_to_async(bearer)(alice)

    def call(path: str, **body: Any) -> Exchange:
        sent = json.dumps(body).encode() if body else b""
        headers = {**token, "Content-Type": "application/json"}
        method = "POST" if body else "GET"
        return Exchange(application, f"/v1/{path}", method=method, headers=headers, body=sent)

    return call


async def started() -> Job:
    """Return the job, once there is one; it runs then."""
    while not await Job.objects.aexists():
        await asyncio.sleep(0.01)
    job = await Job.objects.aget()
    await sync_to_async(begin)(job)
    return job


async def say(job: Job, *words: str) -> None:
    for each in words:
        await sync_to_async(append)(job.pk, 1, Event.Type.DELTA, data={"delta": each})


async def end(job: Job, outcome: Outcome) -> None:
    await job.arefresh_from_db()
    await sync_to_async(store_end)(job, outcome)


async def read_until(frames: Any, kind: str) -> list[Any]:
    """Return the events up to the first of that type."""
    read = []
    async for frame in frames:
        if "comment" not in frame:
            read.append(frame["data"])
            if frame.get("event") == f"response.{kind}":
                return read
    return read


async def test_a_response_is_followed_from_anywhere(call: Call) -> None:
    """One client is there from the beginning, another one comes and goes."""
    async with call("responses", model="echo", input="hello", stream=True) as whole:
        all_of_it = whole.frames()
        seen = await read_until(all_of_it, "queued")
        job = await started()
        await say(job, "One")
        seen += await read_until(all_of_it, "output_text.delta")
        url = f"responses/{seen[0]['response']['id']}?stream=true"
        async with call(f"{url}&starting_after=1") as other:
            part = await read_until(other.frames(), "output_text.delta")
        assert part == seen[2:]
        # From the middle of what will have happened.
        async with call(f"{url}&starting_after={len(seen) - 2}") as other:
            later = other.frames()
            part = await read_until(later, "output_text.delta")
            assert open_streams.by_dialect() == {"responses": 2}
            await say(job, " two")
            await end(job, COMPLETED)
            part += await read_until(later, "completed")
        seen += await read_until(all_of_it, "completed")
        assert whole.complete
    assert part == seen[-len(part) :]
    assert [each["sequence_number"] for each in seen] == list(range(len(seen)))
    async with call(url) as again:
        assert await read_until(again.frames(), "never") == seen


async def test_one_job_in_two_protocols(call: Call) -> None:
    messages = [{"role": "user", "content": "hello"}]
    async with call("chat/completions", model="echo", messages=messages, stream=True) as chat:
        await chat.start()
        job = await started()
        name = f"resp_{job.public_id.removeprefix('workflow_')}"
        async with call(f"responses/{name}?stream=true") as response:
            await response.start()
            assert open_streams.by_dialect() == {"chat-completions": 1, "responses": 1}
            await say(job, "One", " two")
            await end(job, COMPLETED)
            *_, last = await read_until(response.frames(), "completed")
        said = (await chat.read()).decode()
    assert last["response"]["output"][0]["content"][0]["text"] == "One two"
    assert said.endswith("data: [DONE]\n\n")
    assert said.index('"One"') < said.index('" two"')


async def test_a_stream_that_is_cut_has_no_end(call: Call) -> None:
    messages = [{"role": "user", "content": "hello"}]
    async with call("chat/completions", model="echo", messages=messages, stream=True) as chat:
        await chat.start()
        await say(await started(), "One")
        chunks = chat.chunks()
        said = b""
        while b"One" not in said:
            said += await anext(chunks)
        listeners.cut_all()
        said += b"".join([chunk async for chunk in chunks])
    assert not chat.complete
    assert b"[DONE]" not in said
    assert b'"stop"' not in said


@pytest.mark.parametrize(
    ("outcome", "status"), [(COMPLETED, 200), (FAILED, 500), (LATE, 504), (CANCELLED, 409)]
)
async def test_who_does_not_stream_waits(call: Call, outcome: Outcome, status: int) -> None:
    messages = [{"role": "user", "content": "hello"}]
    async with call("chat/completions", model="echo", messages=messages) as chat:
        job = await started()
        await end(job, outcome)
        body = await chat.json()
    assert chat.status == status
    if status != 200:
        assert chat.headers["x-should-retry"] == "false"
        assert body["error"]["code"] == outcome.code
    else:
        assert body["choices"][0]["message"]["content"] == "One two"


async def test_a_response_that_is_waited_for_and_cancelled(call: Call) -> None:
    async with call("responses", model="echo", input="hello") as exchange:
        job = await started()
        await end(job, CANCELLED)
        body = await exchange.json()
    assert (exchange.status, body["status"]) == (200, "cancelled")


@pytest.mark.parametrize(
    ("module", "name", "final"), [(speaking, "say", None), (following, "encode", "false")]
)
@pytest.mark.parametrize(
    "asked",
    [
        {"path": "responses", "input": "hello"},
        {"path": "chat/completions", "messages": [{"role": "user", "content": "hello"}]},
    ],
)
async def test_an_outage_behind_the_begin_of_a_job_does_not_begin_another(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    final: str | None,
    asked: dict[str, Any],
) -> None:
    def out(*args: Any, **kwargs: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(module, name, out)
    async with call(**asked, stream=True) as exchange:
        assert await exchange.start() == 503
    assert exchange.headers.get("x-should-retry") == final
