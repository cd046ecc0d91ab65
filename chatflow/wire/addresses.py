"""Addresses as clients see them: all that is known of the proxies in front of the site.

The site itself knows its own paths only, and stored links, such as an action's, hold those.
A request brings the host, the port and the prefix that its client came by; every address in its
answer has them.
"""

import re
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest
from django.urls import (
    NoReverseMatch,
    get_script_prefix,
    is_valid_path,
    reverse,
    set_script_prefix,
)

from chatflow.conf import conf
from chatflow.wire.asgi_types import Scope, Send

JSON = dict[str, Any]

# A proxy's prefix: nothing that needs quoting, and no host, as in //evil.example.
PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
# They never need to be written, and a proxy behind another one often names the wrong one of them.
STANDARD_PORTS = ("80", "443")
FORWARDED = (b"x-forwarded-proto", b"x-forwarded-for")
USED_UP = (b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix")


def seen_by_client(scope: Scope) -> Scope:
    """Return the request as its client made it: with the host, the port and the prefix it came by.

    Args:
        scope: as the server has it. ``root_path`` is the prefix, which ``path`` begins with, as
            ASGI wants it; servers and proxies that leave it out or write it twice are understood.
    """
    given = scope.get("root_path", "")
    forwarded = _forwarded(scope) if conf.TRUST_PROXY else {}
    prefix = _prefix(given, forwarded)
    if not (forwarded or prefix or given):
        return scope
    path = prefix + own_path(_without(given, scope["path"]), prefix)
    headers = _with_host(scope["headers"], forwarded) if forwarded else scope["headers"]
    if configured_prefix():
        headers = [_with_own_cookies(*each) for each in headers]
    return {**scope, "root_path": prefix, "path": path, "headers": headers}


def as_connected(scope: Scope, send: Send) -> Scope:
    """Return the request without what a proxy says of it, unless proxies are trusted.

    uvicorn believes any proxy on this host about the scheme and the client's address.

    Args:
        scope: the request.
        send: takes the answer; with uvicorn it leads to the connection.
    """
    if conf.TRUST_PROXY or not any(name in FORWARDED for name, _ in scope["headers"]):
        return scope
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return scope
    scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
    peer = transport.get_extra_info("peername")
    # A Unix socket's is a text.
    client = tuple(peer[:2]) if isinstance(peer, tuple) else None
    return {**scope, "scheme": scheme, "client": client}


def path_info(scope: Scope) -> str:
    """Return the path of a request on this site, as urls.py knows it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def client_address(request: HttpRequest) -> str | None:
    """Return the IP address that a request came from; of IPv6 the network, which has one owner.

    Returns:
        None where it isn't known, as of a request that no server has received.
    """
    told = request.META.get("HTTP_X_FORWARDED_FOR", "") if conf.TRUST_PROXY else ""
    # The proxy appends the address that it sees; in front of it stands what the client says.
    text = told.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if address.version == 4:
        return text
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def own_path(path: str, prefix: str) -> str:
    """Return *path* on this site, whether the proxy has taken the prefix away or handed it on."""
    rest = _without(prefix, path)
    return path if rest == path or is_valid_path(path) else rest


def _prefix(given: str, forwarded: dict[bytes, str]) -> str:
    """Return the prefix of the site's paths, such as ``/chat``, or nothing.

    Who runs the server is believed before a proxy is.
    """
    for prefix in (settings.FORCE_SCRIPT_NAME, given):
        if prefix and prefix.strip("/"):
            return f"/{prefix.strip('/')}"
    told = forwarded.get(b"x-forwarded-prefix", "").rstrip("/")
    return told if PREFIX.fullmatch(told) else ""


def _without(prefix: str, path: str) -> str:
    rest = path.removeprefix(prefix)
    whole = rest == "" or rest.startswith("/") or prefix.endswith("/")
    return f"/{rest.removeprefix('/')}" if whole else path


def _forwarded(scope: Scope) -> dict[bytes, str]:
    """Return the proxy's headers; of several proxies, the one that the client met counts."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in USED_UP:
            found.setdefault(name, value.decode("latin-1").partition(",")[0].strip())
    return found


def _with_host(
    headers: list[tuple[bytes, bytes]], forwarded: dict[bytes, str]
) -> list[tuple[bytes, bytes]]:
    own = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    host = _host(forwarded.get(b"x-forwarded-host") or own, forwarded.get(b"x-forwarded-port", ""))
    kept = [each for each in headers if each[0] not in (b"host", *USED_UP)]
    return [(b"host", host.encode("latin-1")), *kept] if host else kept


def _host(host: str, port: str) -> str:
    """Return *host* with the port that stands there already, or else with *port*."""
    name, _, written = host.rpartition(":") if re.search(r":\d*$", host) else (host, "", "")
    port = written or (port if re.fullmatch("[0-9]{1,5}", port) else "")
    return f"{name}:{port}" if name and port and port not in STANDARD_PORTS else name


def _with_own_cookies(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a header; of cookies with one name only the first, which has the longest path.

    Django would take the last one: that of another site, which stands at the root of the host.
    """
    if name != b"cookie":
        return name, value
    own: dict[bytes, bytes] = {}
    for cookie in value.split(b";"):
        own.setdefault(cookie.partition(b"=")[0].strip(), cookie.strip())
    return name, b"; ".join(own.values())


def configured_prefix() -> str:
    """Return the prefix that is known without any request: that of FORCE_SCRIPT_NAME."""
    return (settings.FORCE_SCRIPT_NAME or "").rstrip("/")


def request_prefix() -> str:
    """Return the prefix of the request that this thread is answering."""
    return get_script_prefix().rstrip("/")


def document_page(key: Any) -> str:
    """Return the path of the page that shows a document; empty where the API is not included.

    Args:
        key: the document's.
    """
    return _own("chatflow:document-page", key)


def job_page(key: Any) -> str:
    """Return the path of a job's page in the admin; empty where the site has no admin.

    Args:
        key: the job's primary key.
    """
    return _own("admin:chatflow_workflows_job_change", key)


def _own(name: str, key: Any) -> str:
    try:
        return site_path(name, key)
    except NoReverseMatch:
        return ""


def site_path(name: str, *args: Any) -> str:
    """Return a path as the site itself knows it, without any prefix, wherever this thread is.

    Args:
        name: of a URL pattern.
        args: its arguments.

    Raises:
        NoReverseMatch: there is no such pattern.
    """
    prefix = get_script_prefix()
    set_script_prefix("/")
    try:
        return reverse(name, args=args)
    finally:
        set_script_prefix(prefix)


def placed(cited: list[JSON], prefix: str | None = None) -> list[JSON]:
    """Return actions or sources such that their paths of this site lead there by the prefix.

    Args:
        cited: as they are stored; they stay as they are.
        prefix: by default that of the request that this thread is answering.
    """
    prefix = request_prefix() if prefix is None else prefix
    if not prefix:
        return cited
    return [
        {**each, "url": prefix + each["url"]} if _is_path(each.get("url")) else each
        for each in cited
    ]


def _is_path(url: Any) -> bool:
    return isinstance(url, str) and url.startswith("/") and not url.startswith("//")


class PrefixedStaticFiles(StaticFilesStorage):
    """Static files by the prefix of each request; Django would keep that of the first one."""

    def url(self, name: str | None) -> str:
        url = super().url(name)
        return request_prefix() + url if _is_path(url) else url
