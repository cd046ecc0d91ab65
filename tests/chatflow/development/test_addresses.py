"""Where a site under development listens."""

import socket

import pytest

from chatflow.development import SiteFailed
from chatflow.development.addresses import allowed_hosts, bind
from tests.servers import HOST, free_port


def test_it_works() -> None:
    port = free_port()
    [bound] = bind(HOST, port)
    with bound:
        assert bound.getsockname() == (HOST, port)
        # It is the web server's to listen: until then nobody waits in vain.
        with socket.socket() as client:
            assert client.connect_ex((HOST, port)) != 0


def test_a_name_with_several_addresses() -> None:
    port = free_port()
    found = bind("localhost", port)
    try:
        assert {each.getsockname()[1] for each in found} == {port}
        assert len({each.family for each in found}) == len(found)
    finally:
        for each in found:
            each.close()


def test_a_port_in_use() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SiteFailed, match=f"port {port} on {HOST} is in use"):
            bind(HOST, port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine(host: str) -> None:
    with pytest.raises(SiteFailed, match=r"is not an address|cannot listen on"):
        bind(host, free_port())


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("0.0.0.0", "localhost,127.0.0.1,[::1]"),
        ("::", "localhost,127.0.0.1,[::1]"),
        ("fe80::1", "localhost,127.0.0.1,[::1],[fe80::1]"),
        ("chat.local", "localhost,127.0.0.1,[::1],chat.local"),
    ],
)
def test_the_names_of_a_host(host: str, names: str) -> None:
    assert allowed_hosts(host) == names
