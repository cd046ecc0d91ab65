"""A model chooses, and a conversation is deleted, while real workers run and are killed."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.processes import Databases, Site
from tests.acceptance.streams import Stream, read_stream
from tests.acceptance.test_crash import assert_gapless, kill_worker
from tests.openai_server import Answer, OpenAIServer, call, text


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def site(databases: Databases, kind: str, server: OpenAIServer) -> Iterator[Site]:
    """Return a running site with a model and one worker."""
    options = {"AI_MODEL": "openai-chat:gpt-4o-mini", "QUEUE_WORKERS": "1", **server.environment}
    with databases.site(kind, **options) as site:
        site.start_web()
        site.start_cluster()
        yield site


def test_a_choice_outlives_its_worker(site: Site, server: OpenAIServer, kind: str) -> None:
    """It is made and paid once; sync and async alike."""
    server.requests.clear()
    server.script = [Answer(text="I take them.", calls=[("gated", {})]), call("gated")]
    site.close_gate(f"choice-{kind}-2")
    sent = site.send("alice", f"Please take the steps of choice-{kind}", session_id="choice")
    site.wait_at_gate(f"choice-{kind}-2")
    kill_worker(site, sent["job_id"])
    site.wait_at_gate(f"choice-{kind}-2", 2)
    site.open_gate(f"choice-{kind}-2")
    data = site.finished("alice", sent["job_id"])

    assert (data["workflow"], data["response"]) == ("gated", "All four.")
    assert len(server.requests) == data["usage"]["requests"] == 1
    frames = read_stream(sent["stream_url"])
    assert_gapless(frames)
    assert frames[-1]["metadata"]["workflow"] == "gated"
    # What the model said before it chose doesn't stand.
    said = "".join(frame.get("delta", "") for frame in frames)
    (taken_back,) = [frame for frame in frames if frame["type"] == "restarted"]
    assert (said, taken_back["text_length"]) == ("I take them.1 2 3 4 ", 0)
    # The first step was recorded before the kill.
    assert site.visits(f"choice-{kind}-1") == 1
    answer = site.send("alice", f"The same, sync-{kind}", **{"async": False})
    assert answer["response"] == "All four."
    assert len(server.requests) == 2


def test_a_chat_that_remembers(site: Site, server: OpenAIServer) -> None:
    server.script = [text("Hello Ada."), text("You are Ada.")]
    site.run("alice", "I am Ada", session_id="memory")
    server.requests.clear()
    sent = site.send("alice", "Who am I?", session_id="memory")
    frames = read_stream(sent["stream_url"])

    assert frames[-1]["response"] == "You are Ada."
    assert "".join(frame.get("delta", "") for frame in frames) == "You are Ada."
    told = [each["content"] for each in server.requests[0]["messages"][1:]]
    assert told == ["I am Ada", "Hello Ada.", "Who am I?"]


def test_the_first_word_comes_with_the_first_request(site: Site, server: OpenAIServer) -> None:
    """The model is asked nothing before it."""
    rest = threading.Event()
    server.script = [text("Hello."), Answer(text="Hello again.", stall=rest, stall_at=3)]
    site.run("alice", "Hello", session_id="first")
    server.requests.clear()
    sent = site.send("alice", "Hello again", session_id="first")
    with Stream(sent["stream_url"]) as stream:
        while "delta" not in next(stream):
            pass
        assert len(server.requests) == 1
        rest.set()
        frames = list(stream)

    assert frames[-1]["response"] == "Hello again."
    assert len(server.requests) == frames[-1]["usage"]["requests"] == 1


def test_a_conversation_is_deleted_while_it_works(site: Site, kind: str) -> None:
    gate = f"deleted-{kind}"
    site.close_gate(gate)
    sent = site.send("alice", f"speaker {gate}", session_id="deleted")
    site.wait_at_gate(gate)
    seen = []
    with Stream(sent["stream_url"]) as stream:
        while "delta" not in (frame := next(stream)):
            seen.append(frame["status"])
        answer = site.api("alice").delete("/ai-demo/chat/session/deleted")
        assert (answer.status_code, answer.json()["jobs"]) == (200, 1)
        try:
            seen += [frame["status"] for frame in stream]
        except (httpx.RemoteProtocolError, httpx.ReadError):
            # It broke off, which is as good: whoever comes back learns that there is nothing.
            assert "failed" not in seen
        else:
            assert seen[-1] == "failed"

    assert "completed" not in seen
    assert httpx.get(sent["stream_url"], trust_env=False).status_code in (401, 404)
    # The only worker has stopped, though its gate is closed, and takes the next message.
    assert site.run("alice", f"speaker next-{kind}")["response"] == "before after"
    assert site.visits(gate) == 1
    left = site.value("SELECT count(*) FROM workflows_session WHERE key = 'deleted'")
    assert left == 0
