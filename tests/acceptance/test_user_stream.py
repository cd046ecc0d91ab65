"""A client of the user's stream is cut off again and again, and still has exactly what is true."""

import json
import random
import threading
from collections import defaultdict
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import SECONDS, Site, eventually

JOBS = 6


class Client(threading.Thread):
    """Watches all of Alice's conversations; leaves after a few frames, and comes back."""

    def __init__(self, site: Site, seed: int) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.url = f"{site.url}/ai-demo/chat/stream"
        self.headers = {"Authorization": f"Bearer {site.token('alice')}"}
        self.cursor = ""
        self.seqs: dict[str, list[int]] = defaultdict(list)
        self.sessions: dict[str, dict[str, Any]] = {}
        self.times = 0
        self.began = threading.Event()
        self.closing = False

    def run(self) -> None:
        while not self.closing:
            self.times += 1
            resumed = {"Last-Event-ID": self.cursor} if self.cursor else {}
            headers = {**self.headers, **resumed}
            try:
                with httpx.stream("GET", self.url, headers=headers, timeout=1) as response:
                    assert response.status_code == 200, response.read()
                    self.read(response, self.random.randint(1, 6))
            except httpx.ReadTimeout:
                continue

    def read(self, response: httpx.Response, most: int) -> None:
        """Read so many frames at most."""
        read, cursor = 0, ""
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                cursor = value
            elif name == "data":
                self.take(json.loads(value), cursor)
                read += 1
                if read > most:
                    return

    def take(self, data: dict[str, Any], cursor: str) -> None:
        # A place in the queue has none.
        self.cursor = cursor or data.get("cursor", self.cursor)
        if data["type"] == "session":
            self.sessions[data["session_id"]] = {k: v for k, v in data.items() if k != "type"}
        elif "seq" in data:
            self.seqs[data["job_id"]].append(data["seq"])
        self.began.set()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_it_is_exact_over_cuts(make_site: MakeSite, kind: str) -> None:
    site = make_site(kind)
    site.start_web()
    site.start_cluster("--workers=2")
    clients = [Client(site, seed) for seed in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        assert client.began.wait(SECONDS)
    site.close_gate("cuts-1")
    sent = [site.send("alice", "gated cuts", session_id=f"{n % 4}") for n in range(JOBS)]
    # What began and ended while a client was away is told by its conversation alone.
    eventually(lambda: all(client.cursor.count(":") == JOBS for client in clients))
    site.open_gate("cuts-1")
    for each in sent:
        site.finished("alice", each["job_id"])
    heads = dict(site.query("SELECT public_id, last_seq FROM workflows_job"))
    listed = site.api("alice").get("/ai-demo/chat/sessions").json()["sessions"]
    truth = {row["session_id"]: row for row in listed}
    for client in clients:

        def has_all(client: Client = client) -> bool:
            # A copy: the client goes on.
            ends = {job: seqs[-1] for job, seqs in list(client.seqs.items())}
            return client.sessions == truth and ends == heads

        assert eventually(has_all)
        client.closing = True
        client.join(SECONDS)
        for job, seqs in client.seqs.items():
            assert seqs == list(range(1, heads[job] + 1))
        assert client.times > 2
