"""A conversation is read, taken along, or deleted; by its owner only."""

import json
from typing import Any
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client

from chatflow.asgi import application
from chatflow.auth import sign_link
from chatflow.workflows import Context, services, workflow
from chatflow.workflows.models import ApprovalRequest, Event, Job, Message, Session, State, Step
from chatflow.workflows.services import sessions
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.conftest import AGAIN, MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_job import begin
from tests.chatflow.threads import close_streams

pytestmark = pytest.mark.django_db

HISTORY = "/ai-demo/chat/history/"


def url(key: str, more: str = "") -> str:
    return f"/ai-demo/chat/session/{quote(key, safe='')}{more}"


def remaining(user: User) -> list[int]:
    """Return how many rows of each kind are left of a user."""
    jobs = Job.objects.filter(user=user)
    return [
        Session.objects.filter(user=user).count(),
        jobs.count(),
        Message.objects.filter(session__user=user).count(),
        Event.objects.filter(job__in=jobs).count(),
        Step.objects.filter(job__in=jobs).count(),
    ]


# history


def test_history(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    job = run(make_job(alice))
    history = as_alice.get(HISTORY + "s").json()
    said, answered = history.pop("messages")
    assert history == {"success": True, "session_id": "s", "active_job": None, "awaiting": None}
    assert said.pop("created_at").endswith("Z")
    assert said == {
        "role": "user",
        "content": "hello",
        "actions": [],
        "sources": [],
        "job_id": job.public_id,
        "id": ANY,
    }
    assert (answered["role"], answered["content"]) == ("assistant", "You said: hello")
    assert answered["actions"] == [{**AGAIN, "id": ANY, "state": "offered"}]


def test_history_says_what_failed(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    job = run(make_job(alice, workflow="crash"))
    (said,) = as_alice.get(HISTORY + "s").json()["messages"]
    assert (said["role"], said["error"], said["code"]) == ("user", job.error, job.code)


def test_the_list_of_jobs_says_what_began_each(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, "order pizza", workflow="ask"))
    run(make_job(alice, "the answer", workflow=None))
    jobs = as_alice.get("/ai-demo/workflow/jobs").json()["jobs"]
    assert [job["text"] for job in jobs] == ["order pizza", "order pizza"]


def test_history_has_the_job_under_way(
    as_alice: Client, anonymous: Client, alice: User, make_job: MakeJob, settings: Any
) -> None:
    first, _ = make_job(alice), make_job(alice)
    # Long ago: the link is a new one.
    Job.objects.update(created_at="2026-01-01T00:00:00Z")
    active = as_alice.get(HISTORY + "s").json()["active_job"]
    assert set(active) == {"job_id", "stream_url", "status_url", "state"}
    assert (active["job_id"], active["state"]) == (first.public_id, "queued")
    assert anonymous.get(active["status_url"]).status_code == 200


def test_history_has_the_open_question(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    job = run(make_job(alice, workflow="ask"))
    history = as_alice.get(HISTORY + "s").json()
    assert history["awaiting"]["kind"] == "text"
    assert history["messages"][-1]["awaiting"] == history["awaiting"]
    services.cancel(job)
    assert as_alice.get(HISTORY + "s").json()["awaiting"] is None


@pytest.mark.parametrize("key", ["a b", "a/b", "ä😀", "100%", "?x=1", "x" * 255, "{}"])
def test_odd_session_ids(as_alice: Client, alice: User, make_job: MakeJob, key: str) -> None:
    from urllib.parse import quote

    make_job(alice, session=key)
    answer = as_alice.get(HISTORY + quote(key))
    assert answer.status_code == 200
    assert answer.json()["session_id"] == key


def test_an_unknown_session(as_alice: Client) -> None:
    answer = as_alice.get(HISTORY + "nowhere")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_history_costs_the_same_for_many_messages(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        run(make_job(alice))
    # Once in five minutes the token's use is noted too.
    as_alice.get("/ai-demo/workflow/jobs")
    # Two of them for the turns: their jobs, and their steps.
    with django_assert_max_num_queries(8):
        assert len(as_alice.get(HISTORY + "s").json()["messages"]) == 10


# export


def test_it_works(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    first = run(make_job(alice, "hello", session="my trip/2"))
    second = run(make_job(alice, "name me", session="my trip/2", workflow="ask"))
    make_job(alice, "of another session", session="other")

    answer = as_alice.get(url("my trip/2", "/export"))

    assert answer.status_code == 200
    assert answer["Content-Disposition"] == 'attachment; filename="my-trip2.json"'
    assert answer["Content-Type"] == "application/json"
    found = answer.json()
    assert (found["success"], found["session_id"], found["summary"]) == (True, "my trip/2", "")
    assert [(m["role"], m["content"], m["job_id"]) for m in found["messages"]] == [
        ("user", "hello", first.public_id),
        ("assistant", "You said: hello", first.public_id),
        ("user", "name me", second.public_id),
        ("assistant", "What is your name?", second.public_id),
    ]
    assert found["messages"][1]["sources"] == [{"title": "You"}]
    echoed, asked = found["jobs"]
    assert (echoed["job_id"], echoed["workflow"], echoed["state"]) == (
        first.public_id,
        "echo",
        "completed",
    )
    assert (echoed["response"], echoed["actions"]) == ("You said: hello", [{**AGAIN, "id": ANY}])
    assert [set(step) for step in echoed["steps"]] == [{"name", "duration_ms", "finished_at"}]
    assert echoed["steps"][0]["name"] == "Listening"
    # A question is a message, no step.
    assert (asked["steps"], asked["awaiting"]["kind"]) == ([], "text")


def test_an_export_tells_nothing_of_the_inside(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, workflow="crash"))

    answer = as_alice.get(url("s", "/export"))

    assert answer.json()["jobs"][0]["code"] == "workflow_failed"
    assert b"secret detail" not in answer.content
    assert b"Traceback" not in answer.content


def test_an_export_has_the_approvals(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    workflow("spend")(lambda ctx: str(ctx.approve("Spend it?").approved))
    run(make_job(alice, workflow="spend"))
    services.start(alice, "no, too much", session_key="s")

    (open_one,) = as_alice.get(url("s", "/export")).json()["approvals"]
    assert (open_one["prompt"], open_one["approved"]) == ("Spend it?", None)
    run(Job.objects.latest("pk"))
    (decided,) = as_alice.get(url("s", "/export")).json()["approvals"]
    assert (decided["approved"], decided["by"], decided["via"]) == (False, "alice", "chat")

    as_alice.delete(url("s"))
    assert ApprovalRequest.objects.count() == 0


def test_an_export_costs_no_query_for_each_message(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(8):
        run(make_job(alice, f"hello {number}"))

    # Two of them for the files: of all messages, and of the conversation.
    with django_assert_max_num_queries(12):
        assert len(as_alice.get(url("s", "/export")).json()["messages"]) == 16


# delete


def test_delete(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    run(make_job(alice))
    run(make_job(alice, workflow="ask"))
    kept = run(make_job(alice, session="other"))

    answer = as_alice.delete(url("s"))

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "session_id": "s", "jobs": 2}
    assert Session.objects.get().key == "other"
    assert Job.objects.get() == kept
    assert Message.objects.exclude(job=kept).count() == 0
    assert as_alice.get("/ai-demo/chat/history/s").status_code == 404
    assert as_alice.delete(url("s")).status_code == 404


def test_delete_what_is_under_way(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)

    assert as_alice.delete(url("s")).status_code == 200

    assert remaining(alice) == [0, 0, 0, 0, 0]
    assert as_alice.get(f"/ai-demo/workflow/status/{job.public_id}").status_code == 404


def test_a_deleted_conversation_begins_anew(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, workflow="ask"))
    as_alice.delete(url("s"))

    # The question that was open is not answered by this.
    job = run(make_job(alice, "hello"))

    assert (job.workflow, job.response) == ("echo", "You said: hello")
    assert Message.objects.count() == 2


@pytest.mark.parametrize("key", ["a/b", "x/export", "ü ✓", "50%", "/", "…/export/export"])
def test_a_key_of_any_characters(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any, key: str
) -> None:
    run(make_job(alice, session=key))

    found = as_alice.get(url(key, "/export"))
    assert (found.status_code, found.json()["session_id"]) == (200, key)
    found["Content-Disposition"].encode("ascii")
    assert as_alice.delete(url(key)).json()["session_id"] == key
    assert not Session.objects.exists()


# Refusals.


@pytest.mark.parametrize(("method", "more"), [("get", "/export"), ("delete", "")])
def test_somebody_elses_is_not_there(
    as_bob: Client, alice: User, make_job: MakeJob, run: Any, method: str, more: str
) -> None:
    run(make_job(alice))
    before = remaining(alice)

    for key in ("s", "unknown", "\0"):
        answer = getattr(as_bob, method)(url(key, more))
        assert answer.status_code == 404
        assert answer.json() == {
            "success": False,
            "error": "There is no such session.",
            "code": "not_found",
        }
    assert remaining(alice) == before


@pytest.mark.parametrize(("method", "more"), [("get", "/export"), ("delete", "")])
def test_without_a_credential(anonymous: Client, method: str, more: str) -> None:
    answer = getattr(anonymous, method)(url("s", more))

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(("method", "more"), [("post", "/export"), ("get", ""), ("post", "")])
def test_another_method(as_alice: Client, method: str, more: str) -> None:
    answer = getattr(as_alice, method)(url("s", more))

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_page_of_another_site_deletes_nothing(alice: User, make_job: MakeJob, run: Any) -> None:
    run(make_job(alice))
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)

    refused = browser.delete(url("s"), headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status_code, Session.objects.count()) == (403, 1)
    assert browser.delete(url("s"), headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_sync_send_whose_conversation_is_deleted_meanwhile(as_alice: Client, alice: User) -> None:
    """Its answer is a 404, and no error of the server's."""

    def work(ctx: Context) -> str:
        services.delete_session(ctx.session)
        ctx.progress(50, "Still there?")
        return "Done"

    workflow("delete_all")(work)
    body = {"message": "hello", "session_id": "s", "workflow": "delete_all"}

    answer = as_alice.post("/ai-demo/chat/send", json.dumps(body), content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert remaining(alice) == [0, 0, 0, 0, 0]


def test_cancelled_before_it_is_deleted(
    alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stream can see, in the moment between the two transactions."""
    job = make_job(alice)
    seen = []
    cancel = sessions._cancel_at_once

    def look(session: Session) -> None:
        seen.append(Job.objects.get(pk=job.pk).state)
        cancel(session)

    monkeypatch.setattr(sessions, "_cancel_at_once", look)
    services.delete_session(job.session)

    assert seen == [State.QUEUED, State.CANCELLED]


@pytest.mark.django_db(transaction=True)
async def test_the_stream_of_a_deleted_job_does_not_end_as_a_success(
    as_alice: Client, alice: User, make_job: MakeJob
) -> None:
    listeners.closing = False
    job = await sync_to_async(make_job)(alice)
    await sync_to_async(begin)(job)
    path = f"/ai-demo/workflow/stream/{job.public_id}?token={await sync_to_async(sign_link)(job)}"
    async with Exchange(application, path) as exchange:
        frames = exchange.frames()
        assert (await anext(frames))["data"]["status"] == "connected"
        answer = await sync_to_async(as_alice.delete)(url("s"))
        assert answer.status_code == 200
        rest = [frame["data"] async for frame in frames]

    # It saw the end of the job, or broke off; what comes back is told that there is none.
    if exchange.complete:
        assert [(frame["status"], frame["code"]) for frame in rest] == [("failed", "cancelled")]
    else:
        assert rest == []
    async with Exchange(application, path) as exchange:
        assert await exchange.start() in (401, 404)
    await close_streams()
