"""POST chat/send."""

import json
import re
from contextlib import ExitStack
from typing import Any
from unittest.mock import ANY

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chatflow.access import limits
from chatflow.answers.errors import Unavailable
from chatflow.conf import conf
from chatflow.models import Tally
from chatflow.workflows import workflow
from chatflow.workflows.models import Job, Message, Session
from tests.chatflow.conftest import AGAIN
from tests.configure import configure
from tests.conftest import Bearer

URL = "/ai-demo/chat/send"
SEEDS_SEVEN = {"success", "async", "job_id", "status", "message", "stream_url", "status_url"}


def send(client: Client, body: Any = None, **fields: Any) -> Any:
    body = {"message": "hello", "workflow": "echo", **fields} if body is None else body
    return client.post(URL, body, content_type="application/json")


def test_it_works(as_alice: Client) -> None:
    answer = send(as_alice, session_id="s1")
    assert answer.status_code == 200
    job = Job.objects.get()
    assert answer.json() == {
        "success": True,
        "response": "You said: hello",
        "actions": [{**AGAIN, "id": ANY}],
        "sources": [{"title": "You"}],
        "session_id": "s1",
        "job_id": job.public_id,
    }
    assert answer["Content-Type"] == "application/json"


def test_async_answers_the_seeds_seven_fields_and_the_session(as_alice: Client) -> None:
    answer = send(as_alice, **{"async": True}, session_id="s1")
    body = answer.json()
    assert answer.status_code == 202
    assert set(body) == {*SEEDS_SEVEN, "session_id"}
    assert (body["success"], body["async"], body["status"]) == (True, True, "processing")
    assert body["message"] == "Your request is being processed..."
    assert re.fullmatch(r"workflow_[0-9a-f]{32}", body["job_id"])
    for name in ("stream", "status"):
        start = f"http://testserver/ai-demo/workflow/{name}/{body['job_id']}?token="
        assert body[f"{name}_url"].startswith(start)
    assert Job.objects.get().state == "queued"


def test_the_status_is_valid_from_that_moment_on(as_alice: Client, anonymous: Client) -> None:
    started = send(as_alice, **{"async": True}).json()
    status = anonymous.get(started["status_url"]).json()
    assert status["data"]["status"] == "processing"
    assert status["data"]["progress"] == 0
    assert status["data"]["queue_position"] == 1


@pytest.mark.usefixtures("inline")
def test_without_a_queue_an_async_send_has_run(as_alice: Client) -> None:
    answer = send(as_alice, **{"async": True})
    assert answer.status_code == 202
    assert Job.objects.get().state == "completed"


@pytest.mark.parametrize(("hint", "status"), [("short", 200), ("long", 202)])
def test_auto_goes_by_the_hint(as_alice: Client, hint: Any, status: int) -> None:
    def hinted(ctx: Any) -> str:
        return "done"

    workflow("hinted", hint=hint)(hinted)
    assert send(as_alice, workflow="hinted", **{"async": "auto"}).status_code == status


def test_auto_is_async_when_there_is_no_room(
    as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "slots", lambda: 0)
    assert send(as_alice, **{"async": "auto"}).status_code == 202


def test_a_sync_send_without_room_stores_nothing(
    as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "slots", lambda: 0)
    answer = send(as_alice)
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert answer.json()["code"] == "unavailable"
    assert not Job.objects.exists()
    assert not Session.objects.exists()


def test_one_user_leaves_room_for_others(alice: User, bob: User) -> None:
    with ExitStack() as taken:
        for _ in range(limits.per_user()):
            taken.enter_context(limits.slot("sync", alice))
        with pytest.raises(Unavailable), limits.slot("sync", alice):
            pass
        with limits.slot("sync", bob) as mode:
            assert mode == "sync"


def test_slots_are_given_back(as_alice: Client, settings: Any) -> None:
    for _ in range(conf.WEB_THREADS):
        assert send(as_alice, workflow="fail").status_code == 500


def test_a_failed_workflow_is_500_with_its_sentence(as_alice: Client) -> None:
    answer = send(as_alice, workflow="fail", session_id="s1")
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "error": "The printer is on fire.",
        "code": "fire",
        "session_id": "s1",
        "job_id": Job.objects.get().public_id,
    }


def test_an_exception_gives_nothing_away(as_alice: Client) -> None:
    answer = send(as_alice, workflow="crash")
    assert answer.status_code == 500
    assert "secret" not in answer.content.decode()
    assert answer.json()["job_id"] == Job.objects.get().public_id


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [("timeout", 504, "timeout"), ("cancelled", 409, "cancelled")],
)
def test_other_ends(
    as_alice: Client, monkeypatch: pytest.MonkeyPatch, state: str, status: int, code: str
) -> None:
    def end(job: Job) -> Job:
        job.state, job.code, job.error = state, code, "It ended."
        return job

    monkeypatch.setattr("chatflow.workflows.services.run_inline", end)
    answer = send(as_alice)
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert answer.json()["job_id"]


def test_a_question_is_an_answer_that_awaits_one(as_alice: Client) -> None:
    asked = send(as_alice, workflow="ask", session_id="s").json()
    assert asked["response"] == "What is your name?"
    assert asked["awaiting"]["kind"] == "text"
    told = as_alice.post(URL, {"message": "Ada", "session_id": "s"}, "application/json").json()
    assert told["response"] == "Hello Ada."
    assert "awaiting" not in told


def test_a_session_is_made_when_absent(as_alice: Client) -> None:
    first, second = send(as_alice).json(), send(as_alice).json()
    assert re.fullmatch(r"session-[0-9a-f]{32}", first["session_id"])
    assert first["session_id"] != second["session_id"]


def test_two_users_with_one_session_id_never_meet(as_alice: Client, as_bob: Client) -> None:
    send(as_alice, workflow="ask", session_id="shared")
    send(as_bob, message="I am Bob", session_id="shared")
    assert Session.objects.filter(key="shared").count() == 2
    mine = as_alice.get("/ai-demo/chat/history/shared").json()
    assert "Bob" not in json.dumps(mine)
    assert mine["awaiting"]["kind"] == "text"


def test_a_busy_session_can_be_refused(as_alice: Client) -> None:
    send(as_alice, session_id="s", **{"async": True})
    answer = send(as_alice, session_id="s", on_busy="reject", **{"async": True})
    assert answer.status_code == 409
    assert answer.json()["code"] == "session_busy"
    assert Job.objects.count() == 1
    assert Message.objects.count() == 1


# What comes in.


GOOD = [
    ("application/json", b'{"message": "hello", "workflow": "echo"}'),
    ("application/json; charset=utf-8", b'{"message": "hello", "workflow": "echo"}'),
    ("text/plain;charset=UTF-8", b'{"message": "hello", "workflow": "echo"}'),
    ("", b'{"message": "hello", "workflow": "echo"}'),
    ("application/json", '{"message": "héllo 😀", "workflow": "echo"}'.encode()),
    ("application/json", b'{"message": "\\ud83d\\ude00", "workflow": "echo", "engine": "x"}'),
    ("application/json", json.dumps({"message": " " * 9 + "x" * 4000 + "\n"}).encode()),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("content_type", "body"), GOOD)
def test_good_bodies(as_alice: Client, content_type: str, body: bytes) -> None:
    assert as_alice.post(URL, body, content_type=content_type).status_code == 200


BAD = {
    "empty body": b"",
    "not JSON": b"message=hello",
    "broken JSON": b'{"message": "hello"',
    "broken UTF-8": b'{"message": "\xff\xfe"}',
    "byte order mark": b'\xef\xbb\xbf{"message": "hello"}',
    "an array": b'["hello"]',
    "null": b"null",
    "a string": b'"hello"',
    "NaN": b'{"message": "hello", "x": NaN}',
    "Infinity": b'{"message": "hello", "x": -Infinity}',
    "a number beyond all": b'{"message": "hello", "x": 1e999}',
    "a number of 5000 digits": b'{"message": "hello", "x": ' + b"1" * 5000 + b"}",
    "deep": b'{"message": "hello", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "lone surrogate": b'{"message": "hello \\ud800"}',
    "lone surrogate in a name": b'{"message": "hello", "\\udfff": 1}',
    "no message": b"{}",
    "empty message": b'{"message": ""}',
    "blank message": b'{"message": " \\n\\t "}',
    "message of 4001": json.dumps({"message": "x" * 4001}).encode(),
    "NUL in message": b'{"message": "hello\\u0000"}',
}
WRONG_FIELDS: list[tuple[str, Any]] = [
    ("message", None),
    ("message", 5),
    ("message", ["hello"]),
    ("message", {"text": "hello"}),
    ("message", True),
    ("session_id", ""),
    ("session_id", None),
    ("session_id", 5),
    ("session_id", "x" * 256),
    ("session_id", "a\0b"),
    ("session_id", "a\nb"),
    ("session_id", "a\n"),
    ("session_id", "."),
    ("session_id", ".."),
    ("workflow", "ec\x85ho"),
    ("async", "true"),
    ("async", "AUTO"),
    ("async", 1),
    ("async", 0),
    ("async", None),
    ("async", []),
    ("actions", "yes"),
    ("actions", 1),
    ("actions", None),
    ("memory", "false"),
    ("memory", {}),
    ("intelligent_rag", 0),
    ("workflow", "no_such_workflow"),
    ("workflow", ""),
    ("workflow", 5),
    ("workflow", "a\0b"),
    ("workflow", "x" * 101),
    ("on_busy", "explode"),
    ("on_busy", None),
    ("on_busy", ["reject"]),
]


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_bad_bodies(as_alice: Client, content_type: str, body: bytes) -> None:
    answer = as_alice.post(URL, body, content_type=content_type)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["code"] == "invalid"
    assert answer.json()["error"]
    assert not Job.objects.exists()


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS, ids=str)
def test_wrong_fields(as_alice: Client, field: str, value: Any) -> None:
    body = {"message": "hello", "workflow": "echo", field: value}
    answer = as_alice.post(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html"],
)
def test_other_content_types(as_alice: Client, content_type: str) -> None:
    answer = as_alice.post(URL, b'{"message": "hello"}', content_type=content_type)
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_methods(as_alice: Client, method: str) -> None:
    answer = getattr(as_alice, method)(URL)
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize("accept", ["text/html", "text/event-stream", "image/*", "nonsense"])
def test_whatever_the_client_accepts_it_gets_json(as_alice: Client, accept: str) -> None:
    answer = as_alice.post(
        URL,
        {"message": "hello", "workflow": "echo"},
        "application/json",
        headers={"Accept": accept},
    )
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"


# Idempotency.


def test_a_replay_is_the_same_answer(as_alice: Client) -> None:
    body = {"message": "hello", "workflow": "echo", "async": True}
    first, again = [
        as_alice.post(URL, body, "application/json", headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Job.objects.count() == 1


def test_a_replay_compares_parsed_bodies(as_alice: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    first = b'{"message": "hello", "workflow": "echo", "session_id": "s"}'
    same = b'{"session_id":"s",\n"workflow":"echo","message":"h\\u0065llo"}'
    other = b'{"message": "goodbye", "workflow": "echo", "session_id": "s"}'
    answers = [
        as_alice.post(URL, body, "application/json", headers=headers)
        for body in (first, same, other)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert answers[0].json() == answers[1].json()
    assert answers[2].json()["code"] == "idempotency_conflict"


def test_a_failed_send_is_replayed_too(as_alice: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"message": "hello", "workflow": "fail"}
    first, again = [as_alice.post(URL, body, "application/json", headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (500, 500)
    assert first.json() == again.json()


def test_a_sync_send_that_still_runs_is_in_progress(as_alice: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"message": "hello", "workflow": "echo"}
    as_alice.post(URL, body, "application/json", headers=headers)
    Job.objects.update(state="queued", finished_at=None)
    answer = as_alice.post(URL, body, "application/json", headers=headers)
    assert answer.status_code == 409
    assert answer.json()["code"] == "in_progress"


def test_a_refused_send_leaves_the_key_free(as_alice: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    refused = as_alice.post(URL, {"message": ""}, "application/json", headers=headers)
    body = {"message": "hello", "workflow": "echo"}
    accepted = as_alice.post(URL, body, "application/json", headers=headers)
    assert (refused.status_code, accepted.status_code) == (400, 200)


def test_a_key_is_the_users_own(as_alice: Client, as_bob: Client) -> None:
    body = {"message": "hello", "workflow": "echo"}
    for client in (as_alice, as_bob):
        answer = client.post(URL, body, "application/json", headers={"Idempotency-Key": "k"})
        assert "Idempotency-Replayed" not in answer
    assert Job.objects.count() == 2


def test_a_key_too_long(as_alice: Client) -> None:
    answer = as_alice.post(
        URL, {"message": "hello"}, "application/json", headers={"Idempotency-Key": "k" * 256}
    )
    assert answer.status_code == 400


# How much.


def test_too_many_sends(as_alice: Client, as_bob: Client, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(2, 60.0))
    statuses = [send(as_alice).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    answer = send(as_alice)
    assert answer.json()["code"] == "rate_limited"
    assert 55 <= int(answer["Retry-After"]) <= 60
    assert send(as_bob).status_code == 200


def test_deleting_the_conversation_lowers_nothing(as_alice: Client, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(2, 60.0))
    for _ in range(2):
        assert send(as_alice).status_code == 200
        session = Job.objects.get().session.key
        assert as_alice.delete(f"/ai-demo/chat/session/{session}").status_code == 200
    assert send(as_alice).status_code == 429


def test_counting_takes_one_statement(as_alice: Client) -> None:
    """In the place of the one that looked at the jobs."""
    send(as_alice)
    with CaptureQueriesContext(connection) as captured:
        assert send(as_alice, **{"async": True}).status_code == 202
    about_limits = [each for each in captured.captured_queries if "tally" in each["sql"]]
    assert len(about_limits) == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_counting_waits_for_no_disk(as_alice: Client) -> None:
    send(as_alice)
    with CaptureQueriesContext(connection) as captured:
        send(as_alice)
    [counted] = [each["sql"] for each in captured.captured_queries if "tally" in each["sql"]]
    assert counted.startswith("SET LOCAL synchronous_commit = off; ")
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)


def test_a_replay_is_not_counted(as_alice: Client, settings: Any) -> None:
    configure(settings, RATE_LIMIT_SEND=(1, 60.0))
    body = {"message": "hello", "workflow": "echo"}
    for _ in range(2):
        answer = as_alice.post(URL, body, "application/json", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 200
    assert Tally.objects.get().count == 1


# Who.


def test_without_credentials(anonymous: Client, db: None) -> None:
    answer = send(anonymous)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.django_db(transaction=True)
def test_the_seeds_old_call_from_a_page_of_the_site(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    body = json.dumps({"message": "hello"})
    # fetch() of a string: no token, no Content-Type of its own, no CSRF header.
    answer = client.post(
        URL, body, "text/plain;charset=UTF-8", headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 200
    assert answer.json()["success"] is True


def test_a_bearer_call_needs_no_csrf(alice: User, bearer: Bearer) -> None:
    client = Client(enforce_csrf_checks=True, headers=bearer(alice))
    assert send(client).status_code == 200


def test_the_model_is_one_of_the_allowed(as_alice: Client, settings: LazySettings) -> None:
    configure(settings, AI_ALLOWED_MODELS=["openai:gpt-5-mini"])

    for model in ("openai:gpt-5", "", 5):
        answer = send(as_alice, message="hello", model=model)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), model
        assert list(answer.json()["errors"]) == ["model"]

    for model in ("openai:gpt-5-mini", "offline"):
        answer = send(as_alice, message="hello", model=model, **{"async": True})
        job = Job.objects.get(public_id=answer.json()["job_id"])
        assert (answer.status_code, job.options["model"]) == (202, model)
