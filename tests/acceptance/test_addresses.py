"""The shipped nginx.conf on a port of its own, at the root of its host and below a path."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.processes import ROOT, Databases, Site
from tests.acceptance.streams import Stream, read_stream
from tests.servers import HOST, Nginx, free_port

SHIPPED = (ROOT / "deploy/nginx.conf").read_text()


def edited(pattern: str, by: str, text: str, *, times: int = 1) -> str:
    text, count = re.subn(pattern, by, text, flags=re.DOTALL | re.MULTILINE)
    assert count == times, pattern
    return text


def adapted(port: int, web: str) -> str:
    """Return the file as somebody changes it who has another port and no certificate."""
    http = edited("127.0.0.1:8000", urlsplit(web).netloc, SHIPPED)
    http = edited(r"^server \{\s+listen 80;.*?^\}", "", http)
    http = edited("listen 443 ssl http2", f"listen {HOST}:{port}", http)
    http = edited(r"^ +(ssl_\w+|access_log|error_log) [^;]+;", "", http, times=5)
    return edited("^ +proxy_cookie_flags [^;]+;", "", http)


def below(prefix: str, http: str) -> str:
    """Return the file as docs/deploy.md puts it below a path."""
    http = edited('X-Forwarded-Prefix "";', f"X-Forwarded-Prefix {prefix};", http)
    for path, location in (("/", "/"), ("/ai-demo/workflow/stream/", "/ai-demo/workflow/stream/")):
        found = rf"location {path} \{{(\s+)proxy_pass http://chatflow;"
        put = rf"location {prefix}{location} {{\1proxy_pass http://chatflow{location};"
        http = edited(found, put, http)
    return http


@pytest.fixture(scope="module", params=["", "/chat"])
def prefix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def site(databases: Databases) -> Iterator[Site]:
    with databases.site("sqlite", TRUST_PROXY="true", ALLOWED_HOSTS=HOST) as site:
        site.start_web()
        site.start_cluster()
        yield site


@pytest.fixture
def front(site: Site, prefix: str) -> Iterator[str]:
    """Return where the site begins for those who come through nginx."""
    port = free_port()
    http = adapted(port, site.url)
    with Nginx(below(prefix, http) if prefix else http, port=port) as nginx:
        yield nginx.url + prefix


def test_every_link_leads_through_nginx(site: Site, front: str) -> None:
    site.close_gate("front")
    headers = {"Authorization": f"Bearer {site.token('alice')}"}
    # What a client says of itself is not believed.
    headers |= {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Port": "1", "X-Forwarded-Host": "evil"}
    body = {"message": "speaker front", "async": True}
    sent = httpx.post(f"{front}/ai-demo/chat/send", json=body, headers=headers).json()
    for link in (sent["stream_url"], sent["status_url"]):
        assert link.startswith(f"{front}/ai-demo/workflow/")
    with Stream(sent["stream_url"]) as stream:
        # It is live: the workflow is still where it was.
        assert stream.until(type="delta")["delta"] == "before "
        site.open_gate("front")
        assert stream.until("completed")["response"] == "before after"
    assert httpx.get(sent["status_url"]).json()["data"]["state"] == "completed"
    assert read_stream(sent["stream_url"])[-1]["status"] == "completed"


def test_a_browser_signs_in_through_nginx(site: Site, front: str) -> None:
    site.manage(
        "shell",
        "-c",
        "from django.contrib.auth import get_user_model as model;"
        "dora, _ = model().objects.get_or_create(username='dora');"
        "dora.set_password('a long secret'); dora.save()",
    )
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(front))
    with httpx.Client(follow_redirects=True, headers={"Origin": origin}) as browser:
        page = browser.get(f"{front}/")
        assert str(page.url).startswith(f"{front}/accounts/login/?next=")
        token = re.findall('csrfmiddlewaretoken" value="([^"]+)"', page.text)[0]
        form = {"csrfmiddlewaretoken": token, "username": "dora", "password": "a long secret"}
        page = browser.post(page.url, data=form)
        assert str(page.url) == f"{front}/ai-demo/chat/"
        files = re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js|svg))"', page.text)
        assert files
        for file in files:
            assert browser.get(origin + file).status_code == 200
        sent = browser.post(f"{front}/ai-demo/chat/send", json={"message": "hello"})
        assert sent.json()["success"] is True
