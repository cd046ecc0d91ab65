"""The way from the public address: the doctor streams to itself through all proxies on it."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from chatflow.conf import conf
from chatflow.doctor.findings import Finding, Visit, note, ok, problem, unknown
from chatflow.streams import probe
from chatflow.workflows.exceptions import first_line

# Seconds for one step of the way.
PATIENCE = 15.0
# A frame may be so late, of the time that lies between the first and the last.
LATE = 0.5
BUFFERS = (
    "The proxy must not buffer {path}. nginx: proxy_buffering off; Apache: flushpackets=on;"
    " Cloudflare and most CDNs: neither cache nor compress this path"
)


@dataclass
class Heard:
    """What came back.

    Args:
        status: of the answer.
        headers: of it.
        arrivals: when each frame came, in seconds since the first.
        seen: the address at which the site was asked, as it says itself.
    """

    status: int
    headers: Any
    arrivals: list[float] = field(default_factory=list)
    seen: str = ""
    broke_off: str = ""


def look(visit: Visit) -> Iterator[Finding]:
    """Stream through the public address, and see when the frames come."""
    if not visit.url:
        yield unknown(
            "Proxies weren't looked at.", "manage.py doctor --url https://chat.example.com"
        )
        return
    path = probe.make_path()
    url = visit.url.rstrip("/") + path
    try:
        heard = listen(url)
    except httpx2.HTTPError as error:
        yield problem(
            f"{visit.url} can't be reached from here: {first_line(error)}",
            "Nobody reaches the site by it, or this host alone doesn't.",
            "Look at its name, certificate and port; curl -v the address from here and elsewhere.",
        )
        return
    shown = urlsplit(path).path
    yield from _judge(heard, visit.url.rstrip("/"), shown)
    yield from _look_at_metrics(visit.url.rstrip("/"))


def listen(url: str) -> Heard:
    """Ask for the probe's stream.

    Raises:
        httpx2.HTTPError: there was no answer.
    """
    with httpx2.Client(timeout=PATIENCE) as client, client.stream("GET", url) as answer:
        heard = Heard(answer.status_code, answer.headers)
        if answer.status_code != 200:
            return heard
        began, rest = 0.0, ""
        try:
            for piece in answer.iter_text():
                began = began or time.monotonic()
                *frames, rest = (rest + piece).split("\n\n")
                for frame in frames:
                    heard.arrivals.append(time.monotonic() - began)
                    if frame.startswith("data: "):
                        heard.seen = json.loads(frame.removeprefix("data: "))["seen"]
        except httpx2.HTTPError as error:
            heard.broke_off = first_line(error)
        return heard


def _judge(heard: Heard, url: str, path: str) -> Iterator[Finding]:
    server = heard.headers.get("server", "a proxy")
    if heard.status != 200:
        yield problem(
            f"{url}{path} answered {heard.status}, by {server}.",
            "The address leads to something else, to a site with another SECRET_KEY, or below"
            " another path.",
            "Let the proxy pass all of the site's paths on, and give --url with the prefix, if"
            " there is one.",
        )
        return
    if len(heard.arrivals) < probe.FRAMES:
        yield problem(
            f"The stream broke off after {len(heard.arrivals)} of {probe.FRAMES} frames"
            f" ({heard.broke_off or 'it was closed'}).",
            "Streams are cut; their clients come back again and again.",
            "Raise the proxy's read timeout well above 15 seconds.",
        )
        return
    wanted = probe.PAUSE * (probe.FRAMES - 1)
    took = heard.arrivals[-1] - heard.arrivals[0]
    said = f"{probe.FRAMES} frames, sent over {wanted:.1f} s, came within {took:.1f} s"
    if took < wanted * LATE:
        yield problem(
            f"The proxy buffers: {said} (by {server}).",
            "People see nothing of an answer until it is whole.",
            BUFFERS.format(path=path.rpartition("/")[0] + "/"),
        )
    else:
        yield ok(f"Nothing buffers: {said}.")
    if heard.headers.get("content-encoding", "identity") != "identity":
        yield problem(
            f"The stream came compressed ({heard.headers['content-encoding']}).",
            "Who compresses waits for more to compress.",
            "No compression of text/event-stream; nginx: gzip off",
        )
    if heard.seen and heard.seen != url:
        yield problem(
            f"The site takes its address for {heard.seen}.",
            "stream_url and status_url lead there; sign-ins from the real one are refused.",
            "Pass Host, X-Forwarded-Host and X-Forwarded-Proto on, as deploy/nginx.conf does"
            + ("" if conf.TRUST_PROXY else ", and TRUST_PROXY=true"),
        )


def _look_at_metrics(url: str) -> Iterator[Finding]:
    try:
        answer = httpx2.get(f"{url}/metrics", timeout=PATIENCE)
    except httpx2.HTTPError:
        return
    if answer.status_code == 200 and "chatflow_" in answer.text:
        yield note(
            f"{url}/metrics is answered without a token.",
            "If it is as well from elsewhere, anybody reads how much there is to do.",
            "METRICS_TOKEN=<a long random word>, or the location of deploy/nginx.conf",
        )
