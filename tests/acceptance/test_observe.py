"""Real processes as they are watched: metrics, traces, logs and errors, without anybody's words."""

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.collector import Collector
from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import ROOT, Site, eventually
from tests.acceptance.streams import read_stream
from tests.openai_server import OpenAIServer, error, text
from tests.servers import HOST, Nginx, free_port

APP = "tests.acceptance.apps.observed"
# What users and models say, and what nobody may read.
SAID, ANSWERED, KEY = "xylophone", "harpsichord", "sk-loopback-0123456789"
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, PARENT = GIVEN.split("-")[1:3]
TOKEN = "only-for-prometheus"
SERIES = re.compile(r"\bchatflow_\w+")


class Watched:
    """A site that is watched in every way, and what has happened there."""

    def __init__(self, site: Site, collector: Collector, model: OpenAIServer) -> None:
        self.site, self.collector, self.model = site, collector, model
        self.jobs: dict[str, str] = {}
        self.given_back = ""

    def act(self) -> None:
        """Let each kind of thing happen once or twice, in the web process and in both workers."""
        api = self.site.api("alice")
        self.model.script = [text(f"A {ANSWERED}."), text(f"One more {ANSWERED}."), error(418)]
        for name in ("thinking", "chat", "quoting", "aquoting", "expecting"):
            body = {"message": f"{name} {SAID}", "async": True, "workflow": name}
            headers = {"traceparent": GIVEN, "X-Request-ID": f"request-{name}"}
            answer = api.post("/ai-demo/chat/send", json=body, headers=headers)
            assert answer.status_code == 202, answer.text
            self.jobs[name] = answer.json()["job_id"]
            self.given_back = answer.headers["traceresponse"]
            assert answer.headers["X-Request-ID"] == f"request-{name}"
            read_stream(answer.json()["stream_url"])
        failed = api.post("/ai-demo/chat/send", json={"message": f"quoting {SAID}", "async": False})
        assert failed.status_code == 500
        api.get("/ai-demo/chat/history/none", params={"q": SAID})
        api.post("/ai-demo/chat/send", content=b'{"message": "%s' % SAID.encode())

    def scrape(self) -> dict[str, float]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.get(f"{self.site.url}/metrics", headers=headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        return {
            f"{sample.name}{json.dumps(sample.labels, sort_keys=True)}": sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def lines(self) -> list[dict[str, Any]]:
        """Return what all processes have logged; anything but JSON fails."""
        return [json.loads(line) for line in self.site.logs().splitlines()]


@pytest.fixture(scope="module")
def watched(databases: Any) -> Iterator[Watched]:
    with Collector() as collector, OpenAIServer() as model:
        options = {
            "AI_MODEL": "openai-chat:gpt-4o-mini",
            "LOG_FORMAT": "json",
            "METRICS_TOKEN": TOKEN,
            **model.environment,
            **collector.environment,
        }
        with databases.site("postgres", extra_apps=(APP,), **options) as site:
            site.start_web()
            site.start_web()
            site.start_cluster("--workers=2")
            watched = Watched(site, collector, model)
            watched.act()
            yield watched


def label(name: str, **labels: str) -> str:
    return f"{name}{json.dumps(labels, sort_keys=True)}"


def test_metrics_of_all_processes(watched: Watched) -> None:
    found = watched.scrape()
    ended = {
        (name, state): found.get(label("chatflow_jobs_ended_total", workflow=name, state=state))
        for name, state in (
            ("thinking", "completed"),
            ("chat", "completed"),
            ("quoting", "failed"),
            ("expecting", "failed"),
        )
    }
    # One of them in a worker, and one in the web process.
    assert list(ended.values()) == [1, 1, 2, 1]
    assert found[label("chatflow_job_waiting_seconds_count", queue="default")] == 6
    assert found[label("chatflow_job_pickup_seconds_count", queue="default")] >= 4
    assert found[label("chatflow_streams_opened_total", dialect="seed")] == 5
    assert found[label("chatflow_open_streams")] == 0
    assert found[label("chatflow_event_delivery_seconds_count", dialect="seed")] >= 4
    # As pydantic-ai calls it.
    model = "openai:gpt-4o-mini"
    assert found[label("chatflow_ai_tokens_total", model=model, direction="input")] == 200
    assert found[label("chatflow_ai_cost_usd_total", model=model)] > 0
    assert found[label("chatflow_ai_request_seconds_count", model=model, outcome="answered")] == 2
    # Whichever web process is asked, and as often as it is.
    other = watched.site.processes[1].url
    answer = httpx.get(
        f"{other}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
    )
    assert 'chatflow_jobs_ended_total{state="failed",workflow="quoting"} 2.0' in answer.text
    assert httpx.get(f"{other}/metrics", trust_env=False).status_code == 401


def test_a_dead_workers_counts_stay(watched: Watched) -> None:
    site = watched.site
    site.close_gate("lost-1")
    sent = site.send("alice", "gated lost", workflow="gated")
    site.wait_at_gate("lost-1")
    worker = site.busy_worker(sent["job_id"])
    before = watched.scrape()
    os.kill(worker, signal.SIGKILL)
    name = label("chatflow_lease_losses_total", cause="death")
    eventually(lambda: watched.scrape()[name] == 1)
    site.open_gate("lost-1")
    site.finished("alice", sent["job_id"])
    after = watched.scrape()
    grows = [key for key in before if "_total" in key or "_count" in key]
    fallen = [key for key in grows if after[key] < before[key]]
    assert not fallen


def test_the_dashboard_and_the_alerts_name_what_there_is(watched: Watched) -> None:
    there = {key.partition("{")[0] for key in watched.scrape()}
    board = json.loads((ROOT / "deploy/grafana/chatflow.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    queries += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    named = {name for query in queries for name in SERIES.findall(query)}
    assert len(queries) > 30
    assert named <= there, named - there


def test_one_trace_from_the_request_to_the_last_frame(watched: Watched) -> None:
    def of(job: str) -> dict[str, dict[str, Any]]:
        return {
            each["name"]: each
            for each in watched.collector.spans
            if each["trace"] == TRACE and each.get("chatflow.job", job) == job
        }

    thinking = watched.jobs["thinking"]
    wanted = {"queue", "workflow thinking", "step Think", "chat gpt-4o-mini", "stream"}
    eventually(lambda: wanted <= of(thinking).keys())
    found = of(thinking)
    requests = [each for each in watched.collector.spans if each["parent"] == PARENT]
    assert {each["name"] for each in requests} == {"POST /ai-demo/chat/send"}
    parents = {each["id"] for each in requests}
    for name in ("queue", "workflow thinking", "stream"):
        assert found[name]["parent"] in parents, name
    assert found["step Think"]["parent"] == found["workflow thinking"]["id"]
    assert found["workflow thinking"]["chatflow.state"] == "completed"
    assert found["stream"]["chatflow.last_event"] > 2
    asked = [each for each in watched.collector.spans if each["name"] == "chat gpt-4o-mini"]
    assert {each["gen_ai.usage.input_tokens"] for each in asked} == {100}
    inner = {found["step Think"]["id"]}
    assert [each for each in asked if each["parent"] in inner]
    # The model's server is a host of one's own, and is told.
    told = {each.split("-")[1] for each in watched.model.traceparents}
    assert told == {TRACE}
    assert watched.given_back.split("-")[1] == TRACE
    failed = of(watched.jobs["quoting"])
    eventually(lambda: "workflow quoting" in of(watched.jobs["quoting"]))
    assert of(watched.jobs["quoting"])["workflow quoting"]["failed"], failed


def test_errors_are_reported_once(watched: Watched) -> None:
    errors = watched.collector.errors

    def of(job: str) -> list[dict[str, Any]]:
        return [each for each in errors if each["tags"].get("job") == job]

    for name in ("quoting", "aquoting"):
        eventually(lambda: of(watched.jobs[name]))  # noqa: B023
        [event] = of(watched.jobs[name])
        assert event["tags"]["attempt"] == "1"
        assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert not of(watched.jobs["expecting"])
    # And the one of the web process; a worker that was killed is told of as well.
    raised = [each for each in errors if "exception" in each]
    assert len(raised) == 3


def test_nobodys_words_are_told(watched: Watched) -> None:
    lines = watched.lines()
    of_job = [each for each in lines if each.get("job") == watched.jobs["quoting"]]
    [raised] = [each for each in of_job if each["level"] == "ERROR"]
    assert raised["error"]["type"] == "RuntimeError"
    assert raised["error"]["from"]["type"] == "ValueError"
    assert raised["trace"] == TRACE
    assert {"attempt", "worker", "user"} <= raised.keys()
    assert {"request-thinking"} <= {each.get("request") for each in lines}
    token = watched.site.token("alice")
    told = watched.site.logs().encode() + b"".join(watched.collector.raw)
    told += json.dumps(watched.scrape()).encode()
    for word in (SAID, ANSWERED, KEY, token, TOKEN, "alice"):
        assert word.encode() not in told, word


class Holding(BaseHTTPRequestHandler):
    """A proxy that passes an answer on when it has all of it."""

    behind = ""

    def do_GET(self) -> None:
        answer = httpx.get(self.behind + self.path, headers={"Host": self.headers["Host"]})
        self.send_response(answer.status_code)
        for name in ("content-type", "content-length"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        self.wfile.write(answer.content)


def test_the_doctor_finds_a_proxy_that_buffers(make_site: MakeSite) -> None:
    site = make_site("sqlite")
    site.start_web()
    site.start_cluster("--workers=1")
    port = free_port()
    passing = f"location / {{ proxy_pass {site.url}; proxy_set_header Host $http_host; }}"

    def visit(number: int) -> dict[str, dict[str, Any]]:
        done = site.manage("doctor", "--json", "--url", f"http://{HOST}:{number}", check=False)
        found = {each["what"]: each for each in json.loads(done.stdout)}
        problems = [each for each in found.values() if each["level"] == "problem"]
        assert done.returncode == (1 if problems else 0), done.stderr
        return found

    with Nginx(f"server {{ listen {HOST}:{port}; {passing} }}", port=port):
        assert any("Nothing buffers" in what for what in visit(port))
    handler = type("Behind", (Holding,), {"behind": site.url})
    with ThreadingHTTPServer((HOST, 0), handler) as holding:
        threading.Thread(target=holding.serve_forever, args=(0.01,), daemon=True).start()
        [buffers] = [each for what, each in visit(holding.server_port).items() if "buffers" in what]
        holding.shutdown()
    assert buffers["level"] == "problem"
    assert "proxy_buffering off" in buffers["mend"]
    link = f"{site.url}/ai-demo/workflow/stream/probe"
    for query in ("", "?token=x"):
        assert httpx.get(link + query, trust_env=False).status_code == 404
