"""AG-UI's endpoints: a run is begun once, followed as often as its client comes back, answered."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st
from pydantic import BaseModel

from chatflow.access.tokens import make_token
from chatflow.asgi import application
from chatflow.endpoints.ag_ui.histories import adopt
from chatflow.wire.openings import ON_LOOP
from chatflow.workflows import Context, services, workflow
from chatflow.workflows.models import ApprovalRequest, Event, Job, Session
from chatflow.workflows.store.events import append
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.test_web import pool  # noqa: F401  (a fixture)
from tests.configure import configure
from tests.conftest import Bearer
from tests.workflows.chat import claimed

Told = list[dict[str, Any]]
Run = Callable[[Job], Job]

MESSAGE = {"id": "u1", "role": "user", "content": "Hello"}
HELLO: dict[str, Any] = {"threadId": "t", "runId": "r", "messages": [MESSAGE]}
STREAM, CANCEL = "/ag-ui/threads/t/stream", "/ag-ui/threads/t/cancel"
HOUR = timedelta(hours=1)


class Limit(BaseModel):
    amount: int


def refund(ctx: Context) -> str:
    approval = ctx.approve("Pay it back?", answer=Limit)
    return f"{approval.approved}: {approval.reason} {approval.answer!r}"


def order(ctx: Context) -> str:
    color = ctx.choose("Which?", [("r", "Red"), ("b", "Blue")])
    sure = ctx.confirm("Sure?")
    limit = ctx.form("How many?", Limit)
    return f"{color} {sure} {limit!r}"


@pytest.fixture(autouse=True)
def _more_flows(flows: None) -> None:
    for function in (refund, order):
        workflow(function.__name__)(function)


def on_loop(client: Client) -> Client:
    """Let streams begin; what they tell at once is all that most tests want to know."""
    client.defaults[ON_LOOP] = "yes"
    return client


@pytest.fixture
def as_alice(as_alice: Client) -> Client:
    return on_loop(as_alice)


@pytest.fixture
def as_bob(as_bob: Client) -> Client:
    return on_loop(as_bob)


def client_of(user: User, **limits: Any) -> Client:
    _, secret = make_token(user, **limits)
    headers = {"Authorization": f"Bearer {secret}"}
    return on_loop(Client(headers=headers, raise_request_exception=False))


def post(client: Client, path: str = "echo", **fields: Any) -> Any:
    body = {**HELLO, **fields}
    return client.post(f"/ag-ui/{path}", body, "application/json")


def told(answer: Any) -> Told:
    """Return what a stream tells at once."""
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/event-stream"
    sent = answer.content or answer._first
    return [json.loads(block[6:]) for block in sent.decode().split("\n\n") if block]


def kinds(frames: Told) -> list[str]:
    return [each["type"] for each in frames]


def snapshot(frames: Told) -> list[tuple[str, str]]:
    """Return the ids and texts of the messages."""
    (found,) = [each for each in frames if each["type"] == "MESSAGES_SNAPSHOT"]
    return [
        (each["id"], each["content"]) for each in found["messages"] if each["role"] != "activity"
    ]


def refused(answer: Any) -> tuple[int, str]:
    assert answer.json()["success"] is False
    return answer.status_code, answer.json()["code"]


def answer_id(job: Job) -> str:
    return job.public_id.replace("workflow_", "msg_")


def resume(name: str, **entry: Any) -> list[dict[str, Any]]:
    return [{"interruptId": name, "status": "resolved", **entry}]


def interrupt(frames: Told) -> dict[str, Any]:
    (found,) = frames[-1]["outcome"]["interrupts"]
    return dict(found)


@pytest.mark.usefixtures("inline")
def test_it_works(as_alice: Client) -> None:
    frames = told(post(as_alice))
    job = Job.objects.get()
    assert (job.workflow, job.text, job.session.key) == ("echo", "Hello", "t")
    assert frames[0] == {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
    assert frames[1]["snapshot"]["jobId"] == job.public_id
    assert "STEP_STARTED" in kinds(frames)
    assert [each["delta"] for each in frames if "CONTENT" in each["type"]] == ["You said: Hello"]
    assert frames[-1]["result"]["response"] == "You said: Hello"


@pytest.mark.django_db
def test_the_newest_message_counts(as_alice: Client) -> None:
    parts = [{"type": "text", "text": " one"}, {"type": "image"}, {"type": "text", "text": "two "}]
    messages = [
        MESSAGE,
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "x"},
        {"role": "tool", "content": "y"},
    ]
    told(post(as_alice, messages=messages))
    assert Job.objects.get().text == "one\ntwo"


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "name"), [("", "chat"), ("chatflow", "chat"), ("ask", "ask")])
def test_the_path_names_the_workflow(as_alice: Client, path: str, name: str) -> None:
    told(post(as_alice, path))
    assert Job.objects.get().workflow == name


@pytest.mark.django_db
def test_the_same_run_again(as_alice: Client, run: Run) -> None:
    """It never is a second job: while it waits, while it runs, when it has ended, whatever else
    is sent with it.
    """
    begun = told(post(as_alice))
    assert kinds(begun) == ["RUN_STARTED", "STATE_SNAPSHOT"]
    waits = told(post(as_alice, messages=[]))
    assert waits[:2] == begun
    assert [text for _, text in snapshot(waits)] == ["Hello"]
    job = run(Job.objects.get())

    ended = told(post(as_alice, "ask", messages=[{**MESSAGE, "content": "Other"}]))
    assert ended[1]["snapshot"]["status"] == "completed"
    assert snapshot(ended)[-1] == (answer_id(job), "You said: Hello")
    assert kinds(ended)[-1] == "RUN_FINISHED"
    Job.objects.update(created_at=job.created_at - 48 * HOUR, idempotency_key=job.idempotency_key)
    assert told(post(as_alice)) == told(post(as_alice))
    assert Job.objects.count() == 1


@pytest.mark.django_db
def test_the_same_name_in_another_thread_is_another_run(as_alice: Client) -> None:
    told(post(as_alice))
    told(post(as_alice, threadId="t2"))
    assert Job.objects.count() == 2


@pytest.mark.django_db
def test_a_client_that_comes_back_in_the_middle(as_alice: Client) -> None:
    told(post(as_alice))
    job = claimed()
    append(job.pk, job.attempt, Event.Type.STEP_STARTED, data={"step": {"name": "s"}})
    append(job.pk, job.attempt, Event.Type.DELTA, data={"delta": "One"})
    again = told(post(as_alice))

    assert kinds(again)[:3] == ["RUN_STARTED", "STATE_SNAPSHOT", "MESSAGES_SNAPSHOT"]
    assert kinds(again)[3:] == ["TEXT_MESSAGE_START", "STEP_STARTED"]
    assert snapshot(again) == [("u1", "Hello"), (answer_id(job), "One")]


@pytest.mark.usefixtures("inline")
def test_a_lost_page(as_alice: Client, as_bob: Client) -> None:
    for number in (1, 2):
        told(post(as_alice, runId=f"r{number}", messages=[{**MESSAGE, "content": f"No. {number}"}]))
    one, two = Job.objects.order_by("pk")
    frames = told(as_alice.get(STREAM))

    assert frames[0] == {"type": "RUN_STARTED", "threadId": "t", "runId": "r2"}
    assert snapshot(frames) == [
        (answer_id(one).replace("msg_", "user_"), "No. 1"),
        (answer_id(one), "You said: No. 1"),
        (answer_id(two).replace("msg_", "user_"), "No. 2"),
        (answer_id(two), "You said: No. 2"),
    ]
    Job.objects.update(finished_at=two.finished_at and two.finished_at - HOUR)
    assert as_alice.get(STREAM).status_code == 204
    unknown = as_alice.get("/ag-ui/threads/%00/stream")
    for answer in (unknown, as_bob.get(STREAM)):
        assert refused(answer) == (404, "not_found")


@pytest.mark.django_db
def test_a_job_of_another_dialect(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    """It is called as the job is, and found again by that."""
    job = make_job(alice, session="t")
    (started, *_) = told(as_alice.get(STREAM))
    assert started["runId"] == job.public_id

    assert told(post(as_alice, runId=job.public_id))[0] == started
    assert Job.objects.count() == 1


@pytest.mark.django_db
def test_an_empty_thread(as_alice: Client, alice: User) -> None:
    Session.objects.create(user=alice, key="t")
    assert as_alice.get(STREAM).status_code == 204


@pytest.mark.django_db
def test_somebody_elses(as_alice: Client, as_bob: Client, anonymous: Client) -> None:
    """The same names are another thread of Bob's own."""
    told(post(as_alice))
    told(post(as_bob))
    assert {job.user.username for job in Job.objects.all()} == {"alice", "bob"}
    assert as_bob.post(CANCEL).json() == {"success": True, "cancelled": 1}
    assert Job.objects.get(user__username="alice").state == "queued"
    assert refused(post(anonymous)) == (401, "unauthenticated")
    assert refused(anonymous.get(STREAM)) == (401, "unauthenticated")


@pytest.mark.django_db
def test_cancel(as_alice: Client, as_bob: Client) -> None:
    told(post(as_alice))
    told(post(as_alice, runId="r2"))
    claimed()

    assert refused(as_bob.post(CANCEL)) == (404, "not_found")
    assert as_alice.post(CANCEL).json() == {"success": True, "cancelled": 2}
    assert as_alice.post(CANCEL).json() == {"success": True, "cancelled": 0}
    running, waiting = Job.objects.order_by("pk")
    assert (running.cancel_code, waiting.state) == ("cancelled", "cancelled")
    assert told(post(as_alice, runId="r2"))[-1]["outcome"] == {"type": "cancelled"}


@pytest.mark.usefixtures("inline")
def test_a_question(as_alice: Client) -> None:
    asked = interrupt(told(post(as_alice, "ask")))
    answer = {"runId": "r2", "resume": resume(asked["id"], payload="What is Carol?")}
    frames = told(post(as_alice, "ask", **answer))

    assert frames[-1]["result"]["response"] == "Hello What is Carol?."
    again = told(post(as_alice, "ask", **answer))
    assert again[-1] == frames[-1]
    assert refused(post(as_alice, "ask", **{**answer, "runId": "r3"})) == (409, "question_closed")


@pytest.mark.usefixtures("inline")
def test_a_question_is_answered_by_a_message_too(as_alice: Client) -> None:
    told(post(as_alice, "ask"))
    frames = told(post(as_alice, "echo", runId="r2", messages=[{**MESSAGE, "content": "Carol"}]))
    assert frames[-1]["result"]["response"] == "Hello Carol."


@pytest.mark.usefixtures("inline")
def test_each_kind_of_answer(as_alice: Client) -> None:
    frames = told(post(as_alice, "order"))
    for number, payload in enumerate(("b", True, {"amount": 3})):
        answer = resume(interrupt(frames)["id"], payload=payload)
        frames = told(post(as_alice, "order", runId=f"a{number}", resume=answer))
    assert frames[-1]["result"]["response"] == "b True Limit(amount=3)"


@pytest.mark.usefixtures("inline")
def test_a_question_is_dropped(as_alice: Client) -> None:
    asked = interrupt(told(post(as_alice, "ask")))
    dropped = {"runId": "r2", "resume": resume(asked["id"], status="cancelled")}
    frames = told(post(as_alice, "ask", **dropped))

    assert frames[-1] == {
        "type": "RUN_FINISHED",
        "threadId": "t",
        "runId": "r2",
        "outcome": {"type": "cancelled"},
    }
    assert Session.objects.get().open_job is None
    assert told(post(as_alice, "ask", **dropped)) == frames
    answered = post(as_alice, "ask", runId="r3", resume=resume(asked["id"], payload="Carol"))
    assert refused(answered) == (409, "question_closed")


@pytest.mark.usefixtures("inline")
def test_what_was_answered_can_not_be_dropped(as_alice: Client) -> None:
    asked = interrupt(told(post(as_alice, "ask")))
    told(post(as_alice, "ask", runId="r2", resume=resume(asked["id"], payload="Carol")))
    dropped = post(as_alice, "ask", runId="r3", resume=resume(asked["id"], status="cancelled"))
    assert refused(dropped) == (409, "question_closed")


@pytest.mark.usefixtures("inline")
def test_an_approval(as_alice: Client, as_bob: Client) -> None:
    asked = interrupt(told(post(as_alice, "refund")))
    approval = ApprovalRequest.objects.get()
    assert asked["id"] == approval.public_id
    payload = {"approved": True, "reason": "fine", "answer": {"amount": 5}}
    answer = {"runId": "r2", "resume": resume(asked["id"], payload=payload)}
    assert refused(post(as_bob, "refund", **answer)) == (404, "not_found")
    assert refused(post(as_alice, "refund", **{**answer, "threadId": "x"})) == (404, "not_found")
    frames = told(post(as_alice, "refund", **answer))

    assert frames[-1]["result"]["response"] == "True: fine Limit(amount=5)"
    approval.refresh_from_db()
    assert (approval.by, approval.via) == ("alice", "api")
    assert told(post(as_alice, "refund", **answer))[-1] == frames[-1]
    late = post(as_alice, "refund", **{**answer, "runId": "r3"})
    assert refused(late) == (409, "approval_decided")


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    "payload", [None, True, "yes", [], {}, {"approved": 1}, {"approved": True, "answer": {}}]
)
def test_what_is_no_decision(as_alice: Client, payload: Any) -> None:
    asked = interrupt(told(post(as_alice, "refund")))
    answer = resume(asked["id"], payload=payload)
    assert refused(post(as_alice, runId="r2", resume=answer)) == (400, "invalid")
    assert ApprovalRequest.objects.get().decided_at is None


@pytest.mark.usefixtures("inline")
def test_an_approval_is_dropped(as_alice: Client) -> None:
    asked = interrupt(told(post(as_alice, "refund")))
    frames = told(post(as_alice, runId="r2", resume=resume(asked["id"], status="cancelled")))

    assert frames[-1]["outcome"] == {"type": "cancelled"}
    assert Session.objects.get().open_job is None


@pytest.mark.usefixtures("inline")
def test_tokens_that_may_not_decide(alice: User, as_alice: Client) -> None:
    asked = interrupt(told(post(as_alice, "refund")))
    yes = {"runId": "r2", "resume": resume(asked["id"], payload={"approved": True})}
    job = Job.objects.get().public_id.replace("workflow_", "ask_")
    by_words = {"runId": "r2", "resume": resume(job, payload="yes")}
    for limits in ({"scope": "send"}, {"workflow": "refund"}):
        limited = client_of(alice, **limits)
        assert refused(post(limited, "", **yes)) == (403, "forbidden")
        assert refused(post(limited, "", **by_words)) == (404, "not_found")
    assert refused(post(client_of(alice, workflow="ask"), "", **yes)) == (404, "not_found")
    assert refused(post(client_of(alice, scope="read"), "", **yes)) == (403, "forbidden")
    assert ApprovalRequest.objects.get().decided_at is None


@pytest.mark.usefixtures("inline")
def test_a_token_for_one_workflow(alice: User, as_alice: Client) -> None:
    told(post(as_alice, "echo"))
    limited = client_of(alice, workflow="ask")
    assert refused(post(limited, "ask")) == (404, "not_found")
    assert refused(post(limited, "echo", runId="r2")) == (403, "forbidden")
    # Nothing in it is the token's to see.
    assert limited.get(STREAM).status_code == 404
    asked = interrupt(told(post(limited, "", runId="r2", messages=[{**MESSAGE, "content": "Hi"}])))

    frames = told(limited.get(STREAM))
    assert [text for _, text in snapshot(frames)] == ["Hi", "What is your name?"]
    done = told(post(limited, "", runId="r3", resume=resume(asked["id"], payload="Carol")))
    assert done[-1]["result"]["response"] == "Hello Carol."


@pytest.mark.django_db
def test_a_token_that_only_reads(alice: User, as_alice: Client) -> None:
    told(post(as_alice))
    reader = client_of(alice, scope="read")
    assert refused(post(reader)) == (403, "forbidden")
    assert refused(reader.post(CANCEL)) == (403, "forbidden")
    assert kinds(told(reader.get(STREAM)))[0] == "RUN_STARTED"


@pytest.mark.usefixtures("inline")
def test_a_client_keeps_its_own_ids(as_alice: Client) -> None:
    """What another dialect said in between stands behind what it knows, or is left out."""
    told(post(as_alice))
    one = Job.objects.get()
    told(post(as_alice, runId="r2", messages=[{**MESSAGE, "id": "x", "content": "Aside"}]))
    two = {"id": "u2", "role": "user", "content": [{"type": "text", "text": "And?"}], "name": None}
    system = {"id": "s", "role": "system", "content": "Be brief."}
    sent = [system, MESSAGE, {"id": answer_id(one), "role": "assistant", "content": "…"}, two]
    told(post(as_alice, runId="r3", messages=sent))
    three = Job.objects.latest("pk")

    assert snapshot(told(post(as_alice, runId="r3", messages=sent))) == [
        ("s", "Be brief."),
        ("u1", "Hello"),
        (answer_id(one), "You said: Hello"),
        ("u2", "And?"),
        (answer_id(three), "You said: And?"),
    ]
    assert len(snapshot(told(post(as_alice, runId="r3", messages=[system])))) == 7


@pytest.mark.usefixtures("inline")
def test_an_older_run(as_alice: Client) -> None:
    told(post(as_alice))
    told(post(as_alice, runId="r2", messages=[{**MESSAGE, "content": "And?"}]))
    frames = told(post(as_alice, messages=[]))

    texts = ["Hello", "You said: Hello", "And?", "You said: And?"]
    assert [text for _, text in snapshot(frames)] == texts
    # One that had gone before it was answered, and knows what followed.
    known = [MESSAGE, {"id": "u2", "role": "user", "content": "And?"}]
    assert [text for _, text in snapshot(told(post(as_alice, messages=known)))] == texts
    assert frames[-1]["result"]["response"] == "You said: Hello"


@pytest.mark.django_db
def test_a_retry(as_alice: Client, alice: User, run: Run) -> None:
    """It is the thread's newest run, and its answer stands behind the message."""
    told(post(as_alice, "fail"))
    failed = run(Job.objects.get())
    told(post(as_alice, "echo", runId="r2", messages=[{**MESSAGE, "content": "And?"}]))
    run(Job.objects.latest("pk"))
    retried = services.retry(failed)
    (started, *_), frames = (
        told(as_alice.get(STREAM)),
        told(post(as_alice, runId=retried.public_id)),
    )
    assert started["runId"] == retried.public_id
    assert [text for _, text in snapshot(frames)] == ["Hello", "And?", "You said: And?"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {"threadId": None},
        {"threadId": ""},
        {"threadId": ".."},
        {"threadId": "\0"},
        {"threadId": 5},
        {"threadId": "x" * 256},
        {"runId": None},
        {"runId": ""},
        {"runId": "\0"},
        {"runId": ["r"]},
        {"runId": "x" * 129},
        {"messages": None},
        {"messages": {}},
        {"messages": [5]},
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [MESSAGE, {"role": "user"}]},
        {"messages": [MESSAGE, {"role": "user", "content": " "}]},
        {"messages": [MESSAGE, {"role": "user", "content": "\0"}]},
        {"messages": [MESSAGE, {"role": "user", "content": [None, {"text": {}}]}]},
        {"resume": {}},
        {"resume": [None]},
        {"resume": [{"interruptId": 1, "status": "resolved"}]},
        {"resume": [{"interruptId": "x", "status": "maybe"}]},
        {"resume": [{"interruptId": "x", "status": []}]},
        {"resume": resume("x") * 2},
    ],
)
def test_what_is_wrong(as_alice: Client, fields: dict[str, Any]) -> None:
    assert refused(post(as_alice, **fields)) == (400, "invalid")
    assert not Job.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["x", "ask_", "ask_\0", f"ask_{'f' * 32}", "approval_\0", "\0"])
@pytest.mark.parametrize("status", ["resolved", "cancelled"])
def test_unknown_questions(as_alice: Client, name: str, status: str) -> None:
    answer = resume(name, status=status, payload={"approved": True})
    assert refused(post(as_alice, resume=answer)) == (404, "not_found")


@pytest.mark.usefixtures("inline")
def test_a_job_that_asks_nothing(as_alice: Client) -> None:
    told(post(as_alice))
    name = Job.objects.get().public_id.replace("workflow_", "ask_")
    answer = post(as_alice, runId="r2", resume=resume(name, payload="x"))
    assert refused(answer) == (404, "not_found")


@pytest.mark.django_db
def test_an_unknown_workflow(as_alice: Client) -> None:
    assert refused(post(as_alice, "nothing")) == (400, "unknown_workflow")


@pytest.mark.django_db
def test_a_client_of_many_messages(as_alice: Client) -> None:
    many = [{"id": f"x{number}", "role": "user", "content": "x"} for number in range(10_000)]
    told(post(as_alice, messages=[*many, MESSAGE]))
    assert snapshot(told(post(as_alice, messages=[*many, MESSAGE]))) == [("u1", "Hello")]


@pytest.mark.django_db
def test_the_limits(as_alice: Client, settings: Any) -> None:
    """Who comes back says nothing new."""
    configure(settings, RATE_LIMIT_SEND=(1, 60))
    told(post(as_alice))
    told(post(as_alice))
    refusal = post(as_alice, runId="r2")
    assert refused(refusal) == (429, "rate_limited")
    assert "Retry-After" in refusal
    configure(settings, STREAMS_PER_USER=0)
    assert refused(post(as_alice)) == (429, "rate_limited")
    assert refused(as_alice.get(STREAM)) == (429, "rate_limited")


@pytest.mark.django_db
def test_a_page_of_another_site(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert refused(post(client)) == (403, "forbidden")
    assert not Job.objects.exists()


@rules(max_examples=100, derandomize=True, database=None, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=7), st.integers(0, 7))
def test_the_messages_stay_in_order(said: list[tuple[str, bool]], place: int) -> None:
    """Whatever of the thread a client knows, by ids of its own, it shows all in their order."""
    thread = [
        {"id": f"user_{number}", "role": "user", "content": text}
        for number, (text, _) in enumerate(said)
    ]
    answer = {"id": "msg_x", "role": "assistant", "content": "…"}
    known = [
        {**message, "id": f"own_{message['id']}"}
        for message, (_, is_known) in zip(thread, said, strict=True)
        if is_known
    ]
    told = adopt([*thread[:place], answer, *thread[place:]], answer, known)

    ids = [each["id"] for each in known]
    shown = [each["id"] for each in told if each["id"] in ids]
    assert shown == ids
    assert answer in told
    new = [each for each in told if each["id"] not in ids and each is not answer]
    assert not new or told.index(new[0]) >= len(shown)


# Over the event loop.


async def begin(headers: dict[str, str], **fields: Any) -> Exchange:
    body = json.dumps({**HELLO, **fields}).encode()
    return Exchange(application, "/ag-ui/echo", method="POST", headers=headers, body=body)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("pool")
async def test_two_at_once_are_one_run(alice: User, bearer: Bearer, run: Run) -> None:
    headers = {**await sync_to_async(bearer)(alice), "Content-Type": "application/json"}
    exchanges = [await begin(headers) for _ in range(3)]
    async with exchanges[0], exchanges[1], exchanges[2]:
        assert await asyncio.gather(*(each.start() for each in exchanges)) == [200] * 3
        job = await Job.objects.aget()
        await sync_to_async(run)(job)
        ends = [[frame["data"] async for frame in each.frames()] for each in exchanges]
    for frames in ends:
        words = [each["delta"] for each in frames if each["type"] == "TEXT_MESSAGE_CONTENT"]
        assert words == ["You said: Hello"]
        assert frames[-1] == ends[0][-1]
        assert kinds(frames)[-1] == "RUN_FINISHED"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("pool")
async def test_two_decisions_at_once_are_one(
    alice: User, bearer: Bearer, make_job: MakeJob, run: Run
) -> None:
    await sync_to_async(lambda: run(make_job(alice, session="t", workflow="refund")))()
    asked = await ApprovalRequest.objects.aget()
    headers = {**await sync_to_async(bearer)(alice), "Content-Type": "application/json"}
    answer = resume(asked.public_id, payload={"approved": False})
    exchanges = [await begin(headers, resume=answer) for _ in range(3)]
    async with exchanges[0], exchanges[1], exchanges[2]:
        assert await asyncio.gather(*(each.start() for each in exchanges)) == [200] * 3
    assert await Job.objects.acount() == 2
