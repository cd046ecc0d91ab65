"""The stream over real connections: all of it, live, and from wherever a client left off."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.acceptance.kinds import on_postgres, on_sqlite
from tests.acceptance.processes import SECONDS, Process, Site
from tests.acceptance.streams import Stream, read_stream
from tests.servers import HOST, Nginx, free_port

CUT_OFF = (httpx.RemoteProtocolError, httpx.ReadError)


@pytest.fixture
def second_web(site: Site) -> Iterator[Process]:
    web = site.start_web()
    yield web
    web.end()


def at(web: Process | str, link: str) -> str:
    """Return the same link at another server."""
    parts = urlsplit(link)
    base = web if isinstance(web, str) else web.url
    return f"{base}{parts.path}?{parts.query}"


def test_a_finished_job_is_replayed_from_any_cursor(site: Site) -> None:
    sent = site.send("alice", "gated replay")
    site.finished("alice", sent["job_id"])
    url = sent["stream_url"]
    frames = read_stream(url)
    last = len(frames)
    assert [frame["id"] for frame in frames] == list(range(1, last + 1))
    assert [frame["seq"] for frame in frames] == list(range(1, last + 1))
    assert [frame["status"] for frame in frames] == ["processing"] * (last - 1) + ["completed"]
    assert [frame["step"]["name"] for frame in frames if frame["type"] == "step_finished"] == [
        "Step 1",
        "Step 2",
        "Step 3",
        "Step 4",
    ]
    for cursor in range(last):
        assert read_stream(url, last_event_id=cursor) == frames[cursor:]
        assert read_stream(f"{url}&last_event_id={cursor}") == frames[cursor:]
    # What the browser says is later than what the page's address says.
    assert read_stream(f"{url}&last_event_id=1", last_event_id=last - 1) == frames[last - 1 :]
    for answer in (
        httpx.get(url, headers={"Last-Event-ID": str(last)}),
        httpx.get(f"{url}&last_event_id={last}"),
    ):
        assert answer.status_code == 204
        assert answer.content == b""


def test_its_head_lets_no_proxy_hold_it_back(site: Site) -> None:
    job = site.run("alice", "gated head")["job_id"]
    url = f"{site.url}/ai-demo/workflow/stream/{job}"
    with Stream(url, token=site.token("alice")) as stream:
        head = stream.response.headers
        assert head["Content-Type"] == "text/event-stream"
        assert head["Cache-Control"] == "no-cache"
        assert head["X-Accel-Buffering"] == "no"
        assert head["Content-Encoding"] == "identity"
        first = next(stream)
    assert (first["status"], first["id"]) == ("connected", None)


def watch_live(site: Site, gate: str, web: str) -> None:
    """Follow a job that stands at a closed gate, through the server at *web*."""
    site.close_gate(gate)
    sent = site.send("alice", f"speaker {gate}")
    with Stream(at(web, sent["stream_url"])) as stream:
        assert stream.status == 200
        assert next(stream)["status"] == "connected"
        assert stream.until(type="delta")["delta"] == "before "
        # The first word is here, and the workflow is still where it was.
        assert site.status("alice", sent["job_id"])["state"] == "processing"
        site.open_gate(gate)
        assert stream.until(type="delta")["delta"] == "after"
        end = stream.until("completed")
        assert end["response"] == "before after"
        # The server ends the answer.
        assert next(stream, None) is None


def test_frames_come_live_from_the_worker(site: Site) -> None:
    watch_live(site, "live", site.url)


def test_frames_come_live_through_each_of_two_web_processes(
    site: Site, second_web: Process
) -> None:
    site.close_gate("two")
    sent = site.send("alice", "speaker two")
    with Stream(sent["stream_url"]) as one, Stream(at(second_web, sent["stream_url"])) as two:
        for stream in (one, two):
            stream.until(type="delta")
        site.open_gate("two")
        frames = [list(one), list(two)]
    assert frames[0] == frames[1]
    assert frames[0][-1]["status"] == "completed"


@on_postgres
def test_a_web_server_of_several_processes_streams_live(site: Site) -> None:
    web = site.start_web("--workers=2")
    site.close_gate("workers")
    sent = site.send("alice", "speaker workers")
    with ExitStack() as stack:
        opened = [stack.enter_context(Stream(at(web, sent["stream_url"]))) for _ in range(6)]
        for stream in opened:
            stream.until(type="delta")
        site.open_gate("workers")
        first, *others = [list(stream) for stream in opened]
    assert first[-1]["status"] == "completed"
    assert all(frames == first for frames in others)
    web.end()


@on_sqlite
def test_runserver_streams_live(site: Site) -> None:
    port = free_port()
    command = site.manage_command("runserver", f"{HOST}:{port}")
    runserver = site.serve("runserver", command, port)
    try:
        watch_live(site, "runserver", runserver.url)
    finally:
        runserver.end()


@on_postgres
def test_nginx_as_it_comes_streams_live(site: Site) -> None:
    port = free_port()
    server = f"""
    gzip on;
    gzip_min_length 0;
    gzip_types *;
    server {{
        listen {HOST}:{port};
        location / {{ proxy_pass {site.url}; }}
    }}
    """
    with Nginx(server, port=port) as nginx:
        watch_live(site, "nginx", nginx.url)


def test_an_open_stream_does_not_keep_a_web_process(site: Site, second_web: Process) -> None:
    site.close_gate("sigterm")
    sent = site.send("alice", "speaker sigterm")
    seen = []
    with Stream(at(second_web, sent["stream_url"])) as stream:
        seen.append(stream.until(type="started"))
        seen.append(stream.until(type="delta"))
        second_web.terminate()
        # Not the clean end that would tell the client that the job is over.
        with pytest.raises(CUT_OFF):
            list(stream)
    second_web.wait(10)
    site.open_gate("sigterm")
    rest = read_stream(sent["stream_url"], last_event_id=seen[-1]["id"])
    assert [frame["seq"] for frame in [*seen, *rest]] == list(range(1, len(rest) + 3))
    assert rest[-1]["status"] == "completed"


@on_postgres
def test_no_token_is_logged(site: Site) -> None:
    sent = site.send("alice", "failing on purpose")
    [link_token] = parse_qs(urlsplit(sent["stream_url"]).query)["token"]
    assert site.finished("alice", sent["job_id"])["state"] == "failed"
    read_stream(sent["stream_url"])
    read_stream(f"{site.url}/ai-demo/workflow/stream/{sent['job_id']}", token=site.token("alice"))
    anonymous = site.client()
    for path in ("stream", "status"):
        url = f"/ai-demo/workflow/{path}/{sent['job_id']}"
        for query in (f"token={link_token}x", f"%74oken={link_token}", f"a=1&token={link_token}"):
            anonymous.get(f"{url}?{query}")
        anonymous.get(f"{url}x?token={link_token}")
    assert anonymous.get(sent["status_url"]).status_code == 200
    # In a URL it has no business, but people try.
    anonymous.get(f"/ai-demo/workflow/jobs?token={site.token('alice')}")
    logs = site.logs()
    # There is an access log, and it names what was asked for.
    assert f"/ai-demo/workflow/stream/{sent['job_id']}?token=redacted" in logs
    assert "as it was asked to" in logs
    for secret in (link_token, site.token("alice"), site.token("bob")):
        assert secret not in logs


@on_sqlite
def test_curl_reads_it(site: Site) -> None:
    sent = site.send("alice", "gated curl")
    done = subprocess.run(
        ["curl", "--no-buffer", "--silent", "--show-error", "--fail", sent["stream_url"]],
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    assert b"\r" not in done.stdout
    assert done.stdout.count(b"\n\ndata: ") == 0
    assert b'"status":"completed"' in done.stdout.splitlines()[-2]
