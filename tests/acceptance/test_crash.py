"""kill -9 of whatever is at work: nothing is lost, and nothing happens twice."""

import os
import signal
from typing import Any

import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import Process, Site, eventually, is_alive
from tests.acceptance.streams import Stream, read_stream
from tests.acceptance.talk import up_to_the_last_question
from tests.acceptance.test_streams import CUT_OFF, at


def kill_worker(site: Site, job_id: str) -> None:
    pid = site.busy_worker(job_id)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_alive(pid))


def text_of(frames: list[dict[str, Any]]) -> str:
    """Put the streamed words together, as a client does."""
    text = ""
    for frame in frames:
        if frame["type"] == "restarted":
            text = text[: frame["text_length"]]
        text += frame.get("delta", "")
    return text


def assert_gapless(frames: list[dict[str, Any]]) -> None:
    assert [frame["id"] for frame in frames] == list(range(1, len(frames) + 1))


def test_a_killed_worker_is_resumed_at_its_step(site: Site) -> None:
    site.close_gate("kill-3")
    sent = site.send("alice", "gated kill")
    with Stream(sent["stream_url"]) as stream:
        assert next(stream)["status"] == "connected"
        site.wait_at_gate("kill-3")
        kill_worker(site, sent["job_id"])
        site.wait_at_gate("kill-3", 2)
        site.open_gate("kill-3")
        frames = list(stream)
    data = site.status("alice", sent["job_id"])
    assert (data["state"], data["attempt"], data["response"]) == ("completed", 2, "All four.")
    # The steps that had finished did not run again.
    assert [site.visits(f"kill-{step}") for step in (1, 2, 3, 4)] == [1, 1, 2, 1]
    # One connection saw all of it, over the crash.
    assert_gapless(frames)
    assert frames[-1]["status"] == "completed"
    assert text_of(frames) == "1 2 3 4 "
    progress = [frame["progress"] for frame in frames]
    assert progress == sorted(progress)
    assert read_stream(sent["stream_url"]) == frames


def test_a_worker_killed_while_it_saves_leaves_one_invoice(site: Site) -> None:
    session = "Killed Ltd"
    up_to_the_last_question(site, "alice", session)
    site.close_gate("invoice")
    visits = site.visits("invoice")
    sent = site.send("alice", "yes", session_id=session)
    with Stream(sent["stream_url"]) as stream:
        next(stream)
        # The invoice is written, and not yet committed.
        site.wait_at_gate("invoice", visits + 1)
        kill_worker(site, sent["job_id"])
        site.open_gate("invoice")
        frames = list(stream)
    assert_gapless(frames)
    assert frames[-1]["status"] == "completed"
    assert frames[-1]["response"].endswith("is ready.")
    assert site.visits("invoice") == visits + 2
    customers = f"SELECT id FROM invoicing_customer WHERE name = '{session}'"
    assert len(site.query(customers)) == 1
    invoices = f"SELECT total FROM invoicing_invoice WHERE customer_id IN ({customers})"
    assert [float(total) for (total,) in site.query(invoices)] == [3600.0]


def test_a_killed_cluster_is_resumed_by_the_next(make_site: MakeSite, kind: str) -> None:
    site = make_site(kind, WORKFLOW_LEASE_SECONDS="1")
    site.start_web()
    cluster = site.start_cluster()
    site.close_gate("cluster-2")
    sent = site.send("alice", "gated cluster")
    site.wait_at_gate("cluster-2")
    workers = cluster.children()
    assert workers
    cluster.kill()
    # No orphan goes on.
    eventually(lambda: not any(map(is_alive, workers)))
    site.open_gate("cluster-2")
    site.start_cluster()
    data = site.finished("alice", sent["job_id"])
    assert (data["state"], data["attempt"]) == ("completed", 2)
    assert [site.visits(f"cluster-{step}") for step in (1, 2, 3, 4)] == [1, 2, 1, 1]
    assert_gapless(read_stream(sent["stream_url"]))


@pytest.fixture
def other_web(site: Site) -> Process:
    return site.start_web()


def test_a_client_of_a_killed_web_server_gets_exactly_the_rest(
    site: Site, other_web: Process
) -> None:
    site.close_gate("web")
    sent = site.send("alice", "speaker web")
    link = at(other_web, sent["stream_url"])
    seen = []
    with Stream(link) as stream:
        next(stream)
        seen.append(stream.until(type="started"))
        seen.append(stream.until(type="delta"))
        other_web.kill()
        with pytest.raises(CUT_OFF):
            list(stream)
    site.open_gate("web")
    site.finished("alice", sent["job_id"])
    again = site.start_web(port=int(other_web.url.rpartition(":")[2]))
    rest = read_stream(link, last_event_id=seen[-1]["id"])
    again.end()
    assert_gapless([*seen, *rest])
    assert text_of([*seen, *rest]) == "before after"
    assert rest[-1]["status"] == "completed"


def test_a_sync_send_whose_web_server_is_killed_is_finished_by_the_cluster(
    make_site: MakeSite, kind: str
) -> None:
    site = make_site(kind, WORKFLOW_LEASE_SECONDS="1")
    web = site.start_web()
    site.start_cluster()
    site.close_gate("sync-2")
    request = site.start(
        "curl",
        [
            "curl",
            f"{site.url}/ai-demo/chat/send",
            *("--header", f"Authorization: Bearer {site.token('alice')}"),
            *("--header", "Content-Type: application/json"),
            *("--data", '{"message": "gated sync"}'),
        ],
    )
    site.wait_at_gate("sync-2")
    web.kill()
    assert request.wait() != 0
    site.open_gate("sync-2")
    [(job_id,)] = site.query("SELECT public_id FROM workflows_job")
    eventually(lambda: site.value("SELECT state FROM workflows_job") == "completed")
    site.start_web(port=int(site.url.rpartition(":")[2]))
    data = site.status("alice", job_id)
    assert data["attempt"] == 2
    assert [site.visits(f"sync-{step}") for step in (1, 2, 3, 4)] == [1, 2, 1, 1]
