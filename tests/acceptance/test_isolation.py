"""Who may see what, over HTTP; and a send that fails leaves nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.kinds import on_sqlite
from tests.acceptance.processes import Site, eventually
from tests.acceptance.streams import Stream
from tests.acceptance.test_streams import CUT_OFF

UNKNOWN = "workflow_" + "0" * 32


def test_two_users_with_one_session_id_never_meet(site: Site) -> None:
    # Alice's session is busy all the while.
    site.close_gate("shared-1")
    of_alice = site.send("alice", "gated shared", session_id="shared")
    of_bob = site.run("bob", "demo_long 1 step of 0 s for Bob", session_id="shared")
    assert of_bob["state"] == "completed"
    asked = site.run("bob", "create invoice", session_id="shared")
    assert asked["awaiting"]
    site.open_gate("shared-1")
    assert site.finished("alice", of_alice["job_id"])["state"] == "completed"
    # It is Bob who was asked.
    answered = site.run("alice", "gated on", session_id="shared")
    assert answered["workflow"] == "gated"
    told = {}
    for user in ("alice", "bob"):
        past = site.api(user).get("/ai-demo/chat/history/shared").json()
        told[user] = [row["content"] for row in past["messages"] if row["role"] == "user"]
        jobs = site.api(user).get("/ai-demo/workflow/jobs").json()["jobs"]
        assert (of_alice["job_id"] in [job["job_id"] for job in jobs]) == (user == "alice")
    assert told == {
        "alice": ["gated shared", "gated on"],
        "bob": ["demo_long 1 step of 0 s for Bob", "create invoice"],
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "workflow/status/{job}"),
        ("GET", "workflow/stream/{job}"),
        ("POST", "workflow/cancel/{job}"),
        ("POST", "workflow/retry/{job}"),
        ("GET", "chat/history/{session}"),
    ],
)
def test_what_is_somebody_elses_is_as_unknown_as_what_is_not(
    site: Site, method: str, path: str
) -> None:
    site.close_gate("foreign-1")
    sent = site.send("alice", "gated foreign")
    job, session = sent["job_id"], sent["session_id"]
    of_bob = site.api("bob")
    foreign = of_bob.request(method, "/ai-demo/" + path.format(job=job, session=session))
    unknown = of_bob.request(method, "/ai-demo/" + path.format(job=UNKNOWN, session="unknown"))
    anonymous = site.client().request(method, "/ai-demo/" + path.format(job=job, session=session))
    site.open_gate("foreign-1")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert foreign.json()["code"] == "not_found"
    assert anonymous.status_code == 401
    # Bob's cancel did nothing.
    assert site.finished("alice", job)["state"] == "completed"


@on_sqlite
def test_a_link_is_good_for_its_one_job_as_it_was_made(site: Site) -> None:
    one, other = (site.send("alice", "gated link") for _ in range(2))
    token = one["stream_url"].partition("token=")[2]
    stamp, _, signature = token.partition(".")
    wrong = {
        "of another job": other["stream_url"].partition("token=")[2],
        "tampered signature": f"{stamp}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
        "tampered stamp": f"{stamp[:-1]}{'A' if stamp[-1] != 'A' else 'B'}.{signature}",
        "without a signature": stamp,
        "empty": "",
        "not ASCII": "%C3%A4.%00",
    }
    for name in ("stream_url", "status_url"):
        assert httpx.get(one[name]).status_code == 200
        url = one[name].partition("?")[0]
        for why, text in wrong.items():
            answer = httpx.get(f"{url}?token={text}")
            assert answer.status_code == 401, why
            assert answer.json()["success"] is False
        assert httpx.get(url).status_code == 401
    # It opens nothing else.
    cancel = one["status_url"].replace("/status/", "/cancel/")
    assert httpx.post(cancel).status_code == 401


@on_sqlite
def test_links_run_out(make_site: MakeSite, kind: str) -> None:
    site = make_site(kind, STREAM_LINK_TTL="3")
    site.start_web()
    sent = site.send("alice", "gated late")
    with Stream(sent["stream_url"]) as stream:
        assert next(stream)["status"] == "connected"
        # An open stream ends with its link, and not as if the job were over.
        with pytest.raises(CUT_OFF):
            list(stream)
    for name in ("stream_url", "status_url"):
        assert httpx.get(sent[name]).status_code == 401
    # Their owner can still look.
    assert site.status("alice", sent["job_id"])["state"] == "queued"


def test_revoked_links_and_tokens_are_void(own_site: Site) -> None:
    site = own_site
    site.start_web()
    sent = site.send("alice", "gated revoked")
    with Stream(sent["stream_url"]) as stream:
        assert next(stream)["status"] == "connected"
        site.manage("revoke_tokens", "alice")
        with pytest.raises(CUT_OFF):
            list(stream)
    assert httpx.get(sent["stream_url"]).status_code == 401
    assert site.api("alice").get("/ai-demo/workflow/jobs").status_code == 401
    assert site.api("bob").get("/ai-demo/workflow/jobs").status_code == 200


@contextmanager
def refused_message(site: Site, text: str) -> Iterator[None]:
    """Let the database refuse a message: the last thing that a send could write."""
    if site.is_sqlite:
        site.query(
            f"CREATE TRIGGER refuse BEFORE INSERT ON workflows_message WHEN NEW.content = '{text}'"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    else:
        site.query(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
        )
        site.query(
            "CREATE TRIGGER refuse BEFORE INSERT ON workflows_message FOR EACH ROW"
            f" WHEN (NEW.content = '{text}') EXECUTE FUNCTION refuse()"
        )
    try:
        yield
    finally:
        site.query("DROP TRIGGER refuse" + ("" if site.is_sqlite else " ON workflows_message"))


def test_a_send_that_is_rolled_back_leaves_nothing(site: Site) -> None:
    tables = ("workflows_session", "workflows_job", "workflows_message", "workflows_event")

    def rows() -> list[int]:
        return [site.value(f"SELECT count(*) FROM {table}") for table in tables]

    # The jobs of other tests have ended.
    eventually(
        lambda: (
            not site.query("SELECT 1 FROM workflows_job WHERE state IN ('queued', 'processing')")
        )
    )
    before = rows()
    body = {"message": "gated refused", "session_id": "rolled back", "async": True}
    with refused_message(site, "gated refused"):
        answer = site.api("alice").post(
            "/ai-demo/chat/send", json=body, headers={"Idempotency-Key": "rolled back"}
        )
        assert answer.status_code >= 500
        assert answer.json()["success"] is False
        assert "refused" not in answer.text
    assert rows() == before
    history = site.api("alice").get("/ai-demo/chat/history/rolled%20back")
    assert history.status_code == 404
    # Not even the key is taken.
    again = site.api("alice").post(
        "/ai-demo/chat/send", json=body, headers={"Idempotency-Key": "rolled back"}
    )
    assert again.status_code == 202
    assert "Idempotency-Replayed" not in again.headers
    assert site.finished("alice", again.json()["job_id"])["state"] == "completed"
