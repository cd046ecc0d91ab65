"""Who may see a job: status and the other views of one job, by every credential."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIRequest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from chatflow.auth import Grant, job_from_link, sign_link
from chatflow.models import Token
from chatflow.streams.of_job import look
from chatflow.workflows.models import Job
from tests.chatflow.conftest import MakeJob
from tests.configure import configure
from tests.conftest import Bearer

STATUS = "/ai-demo/workflow/status/"
CANCEL = "/ai-demo/workflow/cancel/"


def asked_for(job: Job, headers: dict[str, str], query: bytes = b"") -> ASGIRequest:
    raw = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": raw}
    return ASGIRequest(scope, BytesIO())


def grant_of(job: Job, *, link: bool = False, headers: dict[str, str] | None = None) -> Grant:
    query = f"token={sign_link(job)}".encode() if link else b""
    return look(asked_for(job, headers or {}, query), job.public_id)


def code(client: Client, job: Job, token: str | None = None) -> int:
    url = STATUS + job.public_id + (f"?token={token}" if token is not None else "")
    return client.get(url).status_code


def test_it_works(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    assert code(as_alice, make_job(alice)) == 200


def test_a_foreign_job_is_unknown(as_bob: Client, alice: User, make_job: MakeJob, db: None) -> None:
    job = make_job(alice)
    for url in (STATUS, CANCEL, "/ai-demo/workflow/retry/"):
        call = as_bob.get if url == STATUS else as_bob.post
        foreign, unknown = call(url + job.public_id), call(url + "workflow_" + "0" * 32)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json() == unknown.json()
        assert foreign.json()["code"] == "not_found"
    assert as_bob.get("/ai-demo/chat/history/s").status_code == 404
    assert as_bob.get("/ai-demo/workflow/jobs").json()["jobs"] == []
    assert Job.objects.get().state == "queued"


@pytest.mark.parametrize(
    "job_id", ["x", "%00", "workflow_%00", "%ff", "a" * 3000, "%F0%9F%98%80", "'"]
)
def test_odd_job_ids(as_alice: Client, job_id: str) -> None:
    assert as_alice.get(STATUS + job_id).status_code == 404
    assert as_alice.post(CANCEL + job_id).status_code == 404
    assert as_alice.get(f"/ai-demo/chat/history/{job_id}").status_code == 404
    assert as_alice.get(f"{STATUS}{job_id}?token={job_id}").status_code == 404


def test_no_credentials(anonymous: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    answers = [
        anonymous.get(STATUS + job.public_id),
        anonymous.get(STATUS + "workflow_x"),
        anonymous.post(CANCEL + job.public_id),
        anonymous.get("/ai-demo/chat/history/s"),
        anonymous.get("/ai-demo/workflow/jobs"),
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer.json()["success"] is False


# Bearer tokens.


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer a b",
        "Bearer " + "0" * 64,
        "Bearer \xff\xfe",
        "Bearer a\0b",
        "Bearer ' OR 1=1",
    ],
)
def test_bad_tokens(alice: User, make_job: MakeJob, header: str) -> None:
    job = make_job(alice)
    client = Client(raise_request_exception=False, HTTP_AUTHORIZATION=header)
    # A link doesn't help where a token is wrong.
    for token in (None, sign_link(job)):
        assert code(client, job, token) == 401


def test_the_header_is_case_insensitive_and_others_are_left_alone(
    alice: User, bearer: Bearer, make_job: MakeJob
) -> None:
    job = make_job(alice)
    token = bearer(alice)["Authorization"].split()[1]
    assert code(Client(headers={"Authorization": f"bearer {token}"}), job) == 200
    assert code(Client(headers={"Authorization": "Basic eA=="}), job, sign_link(job)) == 200


def test_an_expired_token(alice: User, bearer: Bearer, make_job: MakeJob) -> None:
    job = make_job(alice)
    client = Client(headers=bearer(alice))
    Token.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert code(client, job) == 401
    assert Token.objects.exists()


def test_tokens_are_hashed(alice: User, bearer: Bearer) -> None:
    token = bearer(alice)["Authorization"].split()[1]
    assert token not in str(Token.objects.values().get())


def test_an_inactive_user(charlie: User, bearer: Bearer, make_job: MakeJob) -> None:
    job = make_job(charlie)
    assert code(Client(headers=bearer(charlie)), job) == 401
    assert code(Client(), job, sign_link(job)) == 401
    client = Client()
    client.force_login(charlie)
    assert code(client, job) == 401


# Signed links.


def test_a_link_opens_its_job_alone(anonymous: Client, alice: User, make_job: MakeJob) -> None:
    job, other = make_job(alice), make_job(alice, session="t")
    assert code(anonymous, job, sign_link(job)) == 200
    assert code(anonymous, other, sign_link(job)) == 401
    assert job_from_link(sign_link(job), job.public_id) == job


def test_a_link_only_shows(anonymous: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    query = f"?token={sign_link(job)}"
    assert anonymous.post(CANCEL + job.public_id + query).status_code == 401
    assert anonymous.get("/ai-demo/chat/history/s" + query).status_code == 401


def test_the_same_job_has_the_same_link(alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    assert sign_link(job) == sign_link(Job.objects.get())


def tampered(token: str) -> list[str]:
    stamp, _, signature = token.partition(".")
    later = stamp[:-1] + ("0" if stamp[-1] != "0" else "1")
    return [
        "",
        "x",
        ".",
        stamp,
        "." + signature,
        f"{stamp}.{signature[:-1]}",
        f"{later}.{signature}",
        f"{stamp}.{signature}x",
        f"{stamp}.x.{signature}",
        f"%00.{signature}",
        f"{stamp}.%F0%9F%98%80",
        f"{stamp}:{signature}",
        token.swapcase(),
    ]


def test_a_tampered_link(anonymous: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    for token in tampered(sign_link(job)):
        assert code(anonymous, job, token) == 401, token


def expire(settings: Any, alice: User) -> None:
    configure(settings, STREAM_LINK_TTL=0)


def rekey(settings: Any, alice: User) -> None:
    settings.SECRET_KEY = "another"


def change_password(settings: Any, alice: User) -> None:
    alice.set_password("another one")
    alice.save()


def deactivate(settings: Any, alice: User) -> None:
    User.objects.update(is_active=False)


def revoke(settings: Any, alice: User) -> None:
    call_command("revoke_tokens", "alice")


@pytest.mark.parametrize("end", [expire, rekey, change_password, deactivate, revoke])
def test_how_links_die(
    anonymous: Client,
    alice: User,
    make_job: MakeJob,
    settings: Any,
    end: Callable[[Any, User], None],
) -> None:
    job = make_job(alice)
    token = sign_link(job)
    end(settings, alice)
    assert code(anonymous, job, token) == 401


def test_a_link_lives_through_a_change_of_keys(
    anonymous: Client, alice: User, make_job: MakeJob, settings: Any
) -> None:
    job = make_job(alice)
    token = sign_link(job)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert code(anonymous, job, token) == 200


def test_a_job_after_the_revocation_has_a_good_link(
    anonymous: Client, alice: User, make_job: MakeJob
) -> None:
    call_command("revoke_tokens", "alice")
    job = make_job(alice)
    assert code(anonymous, job, sign_link(job)) == 200


def test_a_dead_link_does_no_harm_to_its_owner(
    alice: User, make_job: MakeJob, settings: Any
) -> None:
    job = make_job(alice)
    token = sign_link(job)
    configure(settings, STREAM_LINK_TTL=0)
    client = Client()
    client.force_login(alice)
    assert code(client, job, token) == 200


# The cookie.


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": "https://trusted.example"}, 200),
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://testserver"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_cookie_call_comes_from_this_site(
    alice: User, make_job: MakeJob, settings: Any, headers: dict[str, str], status: int
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    job = make_job(alice)
    answer = client.post(CANCEL + job.public_id, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "forbidden"
        job.refresh_from_db()
        assert job.state == "queued"


def test_or_it_has_djangos_csrf_token(alice: User, make_job: MakeJob) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    client.get("/ai-demo/chat/")
    token = client.cookies["csrftoken"].value
    url = CANCEL + make_job(alice).public_id
    assert (
        client.post(url, {}, "application/json", headers={"X-CSRFToken": token}).status_code == 200
    )


def test_looking_needs_no_proof(alice: User, make_job: MakeJob) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert code(client, make_job(alice)) == 200
