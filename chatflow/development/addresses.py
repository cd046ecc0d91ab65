"""Where the site listens. The parent holds the sockets, so that a reload refuses nobody."""

import errno
import socket

from chatflow.development import SiteFailed

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def read_port(text: str, place: str) -> int:
    """Return a port.

    Args:
        text: as it was given.
        place: where, for people.

    Raises:
        SiteFailed: it is none.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise SiteFailed(f"PORT must be a number from 1 to 65535, not {text!r} ({place}).")
    return int(text)


def bind(host: str, port: int) -> list[socket.socket]:
    """Return a bound socket for each address of *host*. The first web server lets them listen.

    Raises:
        SiteFailed: one of them is in use, or none can be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SiteFailed(f"HOST {host!r} is not an address: {error.strerror}.") from None
    tried = [_try_to_bind(family, address) for family, *_, address in found]
    errors = [each for each in tried if isinstance(each, OSError)]
    if any(error.errno == errno.EADDRINUSE for error in errors):
        raise SiteFailed(
            f"port {port} on {host} is in use; choose another one, as in: make demo PORT=8001"
            " or manage.py dev --port 8001"
        )
    # A name such as localhost may stand for an IPv6 address too, which a machine need not have.
    if len(errors) == len(found):
        raise SiteFailed(f"cannot listen on {host}, port {port}: {errors[0].strerror}.")
    return [each for each in tried if isinstance(each, socket.socket)]


def _try_to_bind(family: int, address: tuple[object, ...]) -> socket.socket | OSError:
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            # Connections that are still closing do not count.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # IPv4 has a socket of its own.
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        return error
    return bound


def allowed_hosts(host: str) -> str:
    """Return the names of this machine, and the host that the site was told to listen on."""
    names = dict.fromkeys(["localhost", "127.0.0.1", "[::1]", bracketed(reachable(host))])
    return ",".join(names)


def reachable(host: str) -> str:
    """Return where the site can be reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def bracketed(host: str) -> str:
    """Return the host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
