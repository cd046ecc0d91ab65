"""Sync sends of a trivial workflow, in requests a second."""

import json

from bench import load
from bench.processes import Web, uvicorn
from bench.site import Site, python
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50

SECONDS = 2.5
WARM_UP = 0.7


def measure(stage: Stage) -> list[Line]:
    site = stage.on_postgres
    queries: list[str] = site.inside("sync_send_queries")
    bare = {
        "DATABASE_URL": stage.postgres.create_database("bare_view"),
        "DJANGO_SETTINGS_MODULE": "bench.peers.bare_view.settings",
        "QUERIES": ",".join(queries),
    }
    python("-m", "django", "migrate", "--verbosity=0", environment=bare)
    rates, bare_rates, own_rates = [], [], []
    with (
        site.web() as web,
        site.web("bench.peers.own_handler:application") as own_web,
        uvicorn("bench.peers.bare_view.asgi:application", bare) as bare_web,
    ):
        for round_number in range(ROUNDS):
            rates.append(measure_sends(web, site, f"chatflow-{round_number}"))
            bare_rates.append(measure_bare_view(bare_web))
            own_rates.append(measure_sends(own_web, site, f"own-{round_number}"))
    rate, bare_rate, own_rate = p50(rates), p50(bare_rates), p50(own_rates)
    name = f"bare DRF view, {len(queries)} queries"
    return [
        line("sync sends, PostgreSQL", rate, "/s", peer=bare_rate, peer_name=name,
             bar="≥ 0.5× peer", held=rate >= 0.5 * bare_rate),
        line("sync sends, PostgreSQL", rate, "/s", peer=own_rate,
             peer_name="under Django's ASGI handler",
             bar="≥ 3× peer", held=rate >= 3 * own_rate),
    ]  # fmt: skip


def measure_sends(web: Web, site: Site, name: str) -> float:
    """Each connection has a session: within one, messages wait for each other."""
    requests = []
    for number in range(load.CONNECTIONS):
        body = {"message": "Hello", "session_id": f"{name}-{number}", "workflow": "bench_noop"}
        encoded = json.dumps(body).encode()
        requests.append(load.post("/ai-demo/chat/send", encoded, site.headers))
    return measure_rate(web, requests)


def measure_bare_view(web: Web) -> float:
    request = load.post("/send", json.dumps({"message": "Hello"}).encode(), {})
    return measure_rate(web, [request] * load.CONNECTIONS)


def measure_rate(web: Web, requests: list[bytes]) -> float:
    load.requests_per_second(web.port, requests, WARM_UP)
    return load.requests_per_second(web.port, requests, SECONDS)
