"""POST /api/chat, GET /api/chat/{id}/stream, POST /api/chat/{id}/stop."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client

from chatflow.access.tokens import make_token
from chatflow.asgi import application
from chatflow.serving.pool import Pool
from chatflow.streams.of_job import open_streams
from chatflow.workflows.models import ApprovalRequest, Event, Job, Message, Session, State
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.store.lifecycle import end as store_end
from chatflow.workflows.streaming.listeners import listeners
from chatflow.wsgi import application as wsgi
from tests.chatflow.conftest import MakeJob
from tests.chatflow.endpoints.ai_sdk.conftest import (
    CHAT,
    LOOP,
    Ask,
    chunks,
    decides,
    kinds,
    says,
    text_of,
)
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_job import begin
from tests.chatflow.threads import close_connections, close_streams
from tests.configure import configure
from tests.conftest import Bearer

pytestmark = pytest.mark.django_db

STREAM, STOP = f"{CHAT}/s/stream", f"{CHAT}/s/stop"


def refused(answer: Any) -> tuple[int, str]:
    assert answer.json()["success"] is False
    return answer.status_code, answer.json()["code"]


def limited(user: User, **limits: Any) -> Client:
    _, secret = make_token(user, **limits)
    headers = {"Authorization": f"Bearer {secret}"}
    return Client(headers=headers, raise_request_exception=False, **LOOP)


def test_it_works(ask: Ask) -> None:
    read = chunks(ask(says("hello"), workflow="echo"))
    job = Job.objects.get()
    assert read[0] == {
        "type": "start",
        "messageId": job.public_id.replace("workflow", "msg"),
        "messageMetadata": {"jobId": job.public_id, "sessionId": "s"},
    }
    assert kinds(read)[1:] == [
        "start-step",
        *("text-start", "text-delta", "text-end"),
        *("source-document", "data-actions", "finish-step", "finish"),
    ]
    assert text_of(read) == "You said: hello"
    assert (job.workflow, job.session.key, job.options["memory"]) == ("echo", "s", True)


def test_who_comes_back_has_the_same_once_more(ask: Ask, client: Client) -> None:
    said = ask(says("hello"), workflow="echo")
    assert client.get(STREAM).content == said.content
    assert chunks(client.get(STREAM))


def test_who_comes_back_late(ask: Ask, client: Client) -> None:
    ask(says("hello"), workflow="echo")
    Job.objects.update(finished_at=F("finished_at") - timedelta(hours=2))
    assert client.get(STREAM).status_code == 204


@pytest.mark.parametrize("key", ["s", "x%00", "%ff", "a/b", "x" * 300])
def test_where_there_is_nothing(client: Client, key: str) -> None:
    assert client.get(f"{CHAT}/{key}/stream").status_code == 204
    assert refused(client.post(f"{CHAT}/{key}/stop")) == (404, "not_found")


def test_a_failure(ask: Ask, client: Client) -> None:
    said = ask(says("hello"), workflow="fail")
    assert chunks(said)[-1] == {"type": "error", "errorText": "The printer is on fire."}
    assert client.get(STREAM).content == said.content


def test_no_secret_is_told(ask: Ask) -> None:
    assert b"secret" not in ask(says("hello"), workflow="crash").content


def test_the_next_message_answers_a_question(ask: Ask, client: Client) -> None:
    read = chunks(ask(says("hello"), workflow="ask"))
    assert text_of(read) == "What is your name?"
    assert [each["data"]["kind"] for each in read if each["type"] == "data-awaiting"] == ["text"]

    # Whatever workflow it names, and in a message of its own.
    again = chunks(ask(says("Ada"), workflow="echo"))
    assert text_of(again) == "Hello Ada."
    assert again[0]["messageId"] != read[0]["messageId"]
    assert client.get(STREAM).content.startswith(b'data: {"type":"start","messageId":"msg_')
    assert text_of(chunks(client.get(STREAM))) == "Hello Ada."


def test_one_key_starts_one_job(client: Client) -> None:
    body = {"id": "s", "messages": [says("hello")], "workflow": "echo"}

    def post() -> Any:
        return client.post(CHAT, body, "application/json", headers={"Idempotency-Key": "k"})

    assert post().content == post().content
    assert Job.objects.count() == 1


def test_the_flags_of_a_send(ask: Ask, settings: Any) -> None:
    configure(settings, AI_ALLOWED_MODELS=["test:small"])
    ask(says("x"), actions=False, memory=False, intelligent_rag=False, model="test:small")
    assert Job.objects.get().options == {
        "actions": False,
        "memory": False,
        "intelligent_rag": False,
        "model": "test:small",
    }


# Once more.


def test_an_answer_is_given_anew(ask: Ask) -> None:
    ask(says("hello"), workflow="echo")
    read = chunks(ask(says("hello"), workflow="echo", trigger="regenerate-message"))

    assert text_of(read) == "You said: hello"
    assert Job.objects.count() == 2
    # The conversation goes on from there, as the client shows it.
    assert Message.objects.filter(cut=False).count() == 2


def test_the_workflow_that_was_named_answers_anew(ask: Ask) -> None:
    ask(says("hello"), workflow="echo")
    read = chunks(ask(says("hello"), trigger="regenerate-message"))
    assert text_of(read) == "You said: hello"


def test_a_question_is_no_answer_to_itself(ask: Ask) -> None:
    ask(says("hello"), workflow="ask")
    read = chunks(ask(says("hello"), workflow="ask", trigger="regenerate-message"))
    assert text_of(read) == "What is your name?"


def test_an_older_answer_is_given_anew(ask: Ask) -> None:
    ask(says("hello"), workflow="echo")
    ask(says("hello"), says("you", "u2"), workflow="echo")
    read = chunks(ask(says("hello"), workflow="echo", trigger="regenerate-message"))

    assert text_of(read) == "You said: hello"
    assert Message.objects.filter(cut=False).count() == 6


def test_with_a_token_for_one_workflow_it_is_one_more_message(ask: Ask, alice: User) -> None:
    by = limited(alice, workflow="echo")
    ask(says("hello"), by=by)
    assert chunks(ask(says("hello"), by=by, trigger="regenerate-message"))
    assert Message.objects.filter(cut=False).count() == 4


# Approvals.


def test_a_decision_goes_on_with_the_message(ask: Ask, client: Client) -> None:
    read = chunks(ask(says("go"), workflow="twice"))
    mine, first = read[0]["messageId"], ApprovalRequest.objects.get()
    assert kinds(read)[-5:-2] == [
        "data-awaiting",
        "tool-input-available",
        "tool-approval-request",
    ]
    assert text_of(read) == "First. Delete it?"

    decided = decides(first.public_id, mine, approved=True, reason="old")
    more = chunks(ask(says("go"), decided, messageId=mine))
    second = ApprovalRequest.objects.get(decided_at=None)
    assert more[0]["messageId"] == mine
    assert more[1] == {
        "type": "tool-output-available",
        "toolCallId": first.public_id,
        "output": {"approved": True, "reason": "old"},
    }
    assert {each["id"] for each in more if "text" in each["type"]} == {"text-2"}
    first.refresh_from_db()
    assert (first.approved, first.by, first.via, first.reason) == (True, "alice", "api", "old")

    last = chunks(ask(says("go"), decides(second.public_id, "own", approved=True)))
    # By whatever name the client knows it.
    assert last[0]["messageId"] == "own"
    assert text_of(last) == "True True: "

    # Whoever comes back has all of it.
    whole = chunks(client.get(STREAM))
    assert whole[0] == {**last[0], "messageId": mine}
    assert whole[1:] == [*read[1:-1], *more[1:-1], *last[1:]]


def test_a_rejection(ask: Ask) -> None:
    ask(says("go"), workflow="twice")
    asked = ApprovalRequest.objects.get()
    read = chunks(ask(decides(asked.public_id, approved=False, reason="no need")))

    assert read[1] == {"type": "tool-output-denied", "toolCallId": asked.public_id}
    assert text_of(read) == "No: no need"
    # It has no name of its own for the message.
    assert read[0]["messageId"].startswith("msg_")


def test_the_same_decision_again_is_the_same_answer(ask: Ask) -> None:
    """The client has lost the stream of the first one."""
    ask(says("go"), workflow="twice")
    asked = ApprovalRequest.objects.get()
    decided = decides(asked.public_id, "m", approved=False, reason="no")

    assert ask(decided).content == ask(decided).content
    assert Job.objects.count() == 2
    other = decides(asked.public_id, "m", approved=True)
    assert refused(ask(other)) == (409, "approval_decided")


def test_words_decide_too_in_a_message_of_their_own(ask: Ask, client: Client) -> None:
    read = chunks(ask(says("go"), workflow="twice"))
    again = chunks(ask(says("no", "u2")))

    assert text_of(again) == "No: "
    assert again[0]["messageId"] != read[0]["messageId"]
    assert chunks(client.get(STREAM)) == again


def test_a_late_decision(ask: Ask) -> None:
    ask(says("go"), workflow="twice")
    asked = ApprovalRequest.objects.get()
    ApprovalRequest.objects.update(expires_at=asked.created_at)
    decided = decides(asked.public_id, approved=True)
    assert refused(ask(decided)) == (409, "approval_expired")


def test_only_whole_tokens_decide(ask: Ask, alice: User) -> None:
    ask(says("go"), workflow="twice")
    decided = decides(ApprovalRequest.objects.get().public_id, approved=True)
    for limits in ({"scope": "send"}, {"workflow": "twice"}, {"scope": "read"}):
        assert refused(ask(decided, by=limited(alice, **limits))) == (403, "forbidden")
    assert ApprovalRequest.objects.get().decided_at is None


def test_somebody_elses_approval(ask: Ask, bob: User) -> None:
    ask(says("go"), workflow="twice")
    asked = ApprovalRequest.objects.get()
    decided = decides(asked.public_id, approved=True)
    assert refused(ask(decided, by=limited(bob))) == (404, "not_found")
    # Nor is it another conversation's.
    assert refused(ask(decided, id="t")) == (404, "not_found")
    assert refused(ask(decides("approval_\0x", approved=True))) == (404, "not_found")


# Who is asking.


def test_somebody_elses_chat_is_none(ask: Ask, bob: User) -> None:
    ask(says("hello"), workflow="echo")
    by = limited(bob)
    assert by.get(STREAM).status_code == 204
    assert refused(by.post(STOP)) == (404, "not_found")
    chunks(ask(says("hello"), workflow="echo", by=by))
    assert Session.objects.filter(key="s").count() == 2


def test_nobodys(ask: Ask, anonymous: Client) -> None:
    assert refused(ask(says("hello"), by=anonymous)) == (401, "unauthenticated")
    assert refused(anonymous.get(STREAM)) == (401, "unauthenticated")
    assert refused(anonymous.post(STOP)) == (401, "unauthenticated")


def test_a_cookie_from_another_site(ask: Ask, alice: User) -> None:
    by = Client(enforce_csrf_checks=True, **LOOP)
    by.force_login(alice)
    assert refused(ask(says("hello"), by=by)) == (403, "forbidden")
    body = {"id": "s", "messages": [says("hello")], "workflow": "echo"}
    own = {"Sec-Fetch-Site": "same-origin"}
    assert chunks(by.post(CHAT, body, "application/json", headers=own))


def test_a_token_for_one_workflow(ask: Ask, client: Client, alice: User) -> None:
    by = limited(alice, workflow="echo")
    assert refused(ask(says("hello"), workflow="fail", by=by)) == (403, "forbidden")
    mine = chunks(ask(says("hello"), by=by))
    ask(says("hello"), workflow="fail")
    assert chunks(by.get(STREAM)) == mine
    assert chunks(client.get(STREAM)) != mine


def test_a_token_that_reads(ask: Ask, alice: User) -> None:
    ask(says("hello"), workflow="echo")
    by = limited(alice, scope="read")
    assert chunks(by.get(STREAM))
    assert refused(ask(says("hello"), by=by)) == (403, "forbidden")
    assert refused(by.post(STOP)) == (403, "forbidden")


def test_a_limit_of_messages(ask: Ask, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(1, 60))
    chunks(ask(says("hello"), workflow="echo"))
    assert refused(ask(says("hello"), workflow="echo")) == (429, "rate_limited")


def test_without_an_event_loop_nothing_begins(as_alice: Client) -> None:
    body = {"id": "s", "messages": [says("hello")]}
    answer = as_alice.post(CHAT, body, "application/json")
    assert refused(answer) == (503, "unavailable")
    assert not Job.objects.exists()


# Stopping.


def test_stop(client: Client, alice: User, make_job: MakeJob, settings: Any) -> None:
    configure(settings, QUEUE_CONNECTION="database")
    jobs = [make_job(alice), make_job(alice)]
    assert client.post(STOP).json() == {"success": True, "cancelled": 2}
    assert client.post(STOP).json() == {"success": True, "cancelled": 0}
    assert {job.state for job in Job.objects.all()} == {"cancelled"}
    assert chunks(client.get(STREAM))[1:] == [
        {"type": "start-step"},
        {"type": "abort", "reason": "cancelled"},
    ]
    assert Job.objects.count() == len(jobs)


def test_a_token_stops_its_own_workflow_only(alice: User, make_job: MakeJob) -> None:
    other = make_job(alice)
    by = limited(alice, workflow="ask")
    # It may see nothing there.
    assert by.post(STOP).status_code == 404
    make_job(alice, workflow="ask")
    assert by.post(STOP).json() == {"success": True, "cancelled": 1}
    other.refresh_from_db()
    assert other.state == "queued"


# Streams that last.

THREADS = 2


@pytest_asyncio.fixture
async def posted(
    monkeypatch: pytest.MonkeyPatch, bearer: Bearer, alice: User
) -> AsyncIterator[Callable[..., Exchange]]:
    """Return what asks the application as Alice; its pool is the test's own."""
    listeners.closing = False
    pool = Pool(wsgi, THREADS)
    monkeypatch.setattr(application, "pool", pool)
    token = await sync_to_async(bearer)(alice)

    def ask(path: str, **fields: Any) -> Exchange:
        headers = {**token, "Content-Type": "application/json"}
        body = json.dumps(fields).encode()
        method = "POST" if fields else "GET"
        return Exchange(application, path, method=method, headers=headers, body=body)

    yield ask
    await asyncio.to_thread(close_connections, pool.executor, THREADS)
    await asyncio.to_thread(pool.executor.shutdown)
    await close_streams()


def work(kind: Event.Type, **data: Any) -> None:
    append(Job.objects.get().pk, 1, kind, data=data)


def finish(response: str) -> None:
    store_end(Job.objects.get(), Outcome(State.COMPLETED, response=response))


async def read(exchange: Exchange) -> list[Any]:
    """Return the chunks until the stream ends, or breaks off."""
    said = (await exchange.read()).decode().split("\n\n")
    return [json.loads(each.removeprefix("data: ")) for each in said if each.startswith("data: {")]


@pytest.mark.django_db(transaction=True)
async def test_words_that_are_taken_back(posted: Callable[..., Exchange]) -> None:
    """The stream breaks off; who comes back has the message without them, and what is new."""
    do = sync_to_async
    async with posted(CHAT, id="s", messages=[says("x")], workflow="echo") as exchange:
        assert await exchange.start() == 200
        await do(lambda: begin(Job.objects.get()))()
        for word in ("One", " two"):
            await do(work)(Event.Type.DELTA, delta=word)
        await do(work)(Event.Type.RESTARTED, attempt=2, text_length=3)
        said = await read(exchange)
    assert not exchange.complete
    assert said[-1]["type"] == "data-restarted"

    async with posted(STREAM) as first, posted(STREAM) as second:
        both = [asyncio.ensure_future(read(each)) for each in (first, second)]
        while open_streams.by_dialect() != {"ai-sdk": 2}:
            await asyncio.sleep(0)
        await do(work)(Event.Type.DELTA, delta=" three")
        await do(finish)("One three")
        one, other = await asyncio.gather(*both)
    assert one == other
    assert text_of(one) == "One three"
    assert one[0] == said[0]
    assert first.complete
    assert open_streams.by_dialect() == {}


@pytest.mark.django_db(transaction=True)
async def test_too_many_streams(posted: Callable[..., Exchange], settings: Any) -> None:
    configure(settings, STREAMS_PER_USER=1)
    message = {"id": "s", "messages": [says("x")], "workflow": "echo"}
    async with posted(CHAT, **message) as exchange:
        await exchange.start()
        async with posted(CHAT, **message) as other:
            assert await other.start() == 429
        async with posted(STREAM) as other:
            assert await other.start() == 429
    assert await sync_to_async(Job.objects.count)() == 1
