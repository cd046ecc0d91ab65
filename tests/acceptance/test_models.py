"""Real workers that ask a model over HTTP, and are killed and cancelled meanwhile."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.processes import Databases, Site, eventually
from tests.acceptance.streams import Stream, read_stream
from tests.acceptance.test_crash import assert_gapless, kill_worker, text_of
from tests.openai_server import Answer, OpenAIServer, text


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def running_site(databases: Databases, kind: str, server: OpenAIServer) -> Iterator[Site]:
    options = {"AI_MODEL": "openai-chat:gpt-4o-mini", **server.environment}
    with databases.site(kind, **options) as site:
        site.start_web()
        site.start_cluster()
        yield site


@pytest.fixture
def site(running_site: Site, server: OpenAIServer) -> Site:
    """Return a running site with a model; nobody has asked it yet."""
    server.requests.clear()
    return running_site


def test_a_kill_between_two_calls_repeats_neither(
    site: Site, server: OpenAIServer, kind: str
) -> None:
    server.script = [text("First."), text("Second.")]
    gate = f"between-{kind}"
    site.close_gate(gate)
    sent = site.send("alice", f"thinker {gate}", workflow="thinker")
    site.wait_at_gate(gate)
    kill_worker(site, sent["job_id"])
    site.wait_at_gate(gate, 2)
    site.open_gate(gate)
    data = site.finished("alice", sent["job_id"])

    assert (data["response"], data["attempt"]) == ("First. Second.", 2)
    assert [request["messages"][-1]["content"] for request in server.requests] == ["one", "two"]
    assert (data["usage"]["requests"], data["usage"]["input_tokens"]) == (2, 200)
    frames = read_stream(sent["stream_url"])
    assert_gapless(frames)
    assert text_of(frames) == "First.Second."
    assert frames[-1]["usage"] == data["usage"]


def test_a_kill_in_the_middle_of_an_answer(site: Site, server: OpenAIServer, kind: str) -> None:
    never = threading.Event()
    server.script = [
        text("First."),
        Answer(text="Half of it is said.", stall=never, stall_at=3),
        text("All of it is said."),
    ]
    sent = site.send("alice", f"thinker open-{kind}", workflow="thinker")
    with Stream(sent["stream_url"]) as stream:
        frames = [frame for frame in [next(stream)] if "seq" in frame]
        while not text_of(frames).startswith("First.Half"):
            frames.append(next(stream))
        kill_worker(site, sent["job_id"])
        frames += list(stream)
    never.set()

    assert frames[-1]["response"] == "First. All of it is said."
    assert text_of(frames) == "First.All of it is said."
    assert [frame["text_length"] for frame in frames if frame["type"] == "restarted"] == [6]
    assert_gapless(frames)
    assert len(server.requests) == 3
    assert read_stream(sent["stream_url"]) == frames


def test_cancel_breaks_off_a_request(site: Site, server: OpenAIServer, kind: str) -> None:
    never = threading.Event()
    server.script = [Answer(text="Too late.", stall=never), text("First."), text("Second.")]
    sent = site.send("alice", f"thinker open-{kind}", workflow="thinker")
    eventually(lambda: server.requests)
    worker = site.busy_worker(sent["job_id"])
    site.api("alice").post(f"/ai-demo/workflow/cancel/{sent['job_id']}")

    assert site.finished("alice", sent["job_id"])["state"] == "cancelled"
    # The worker lives, and works on.
    again = site.run("alice", f"thinker open-{kind}", workflow="thinker")
    assert again["response"] == "First. Second."
    assert f"Worker {worker} died" not in site.logs()
    assert "did not stop when it was told to" not in site.logs()
    never.set()


def test_cancel_breaks_off_a_request_of_a_sync_send(
    site: Site, server: OpenAIServer, kind: str
) -> None:
    never = threading.Event()
    server.script = [Answer(text="Too late.", stall=never)]
    body = {"message": f"thinker open-{kind}", "workflow": "thinker", "session_id": f"sync-{kind}"}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(site.client("alice").post, "/ai-demo/chat/send", json=body)
        eventually(lambda: server.requests or answer.done())
        query = "SELECT public_id FROM workflows_job WHERE state = 'processing'"
        [[job_id]] = eventually(lambda: site.query(query))
        site.api("alice").post(f"/ai-demo/workflow/cancel/{job_id}")

        assert answer.result().status_code == 409
    never.set()
