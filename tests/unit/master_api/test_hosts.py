"""Where a master listens, and which of this machine's addresses it tells others."""

import ipaddress
from pathlib import Path

import aiohttp
import ifaddr
import pytest

from group_protocol.errors import ConfigurationError
from master_api.config import MasterConfig
from master_api.hosts import is_loopback, is_wildcard, join_authority, split_hosts
from master_api.listening import listen_on
from master_api.local_addresses import local_addresses
from system_ports.edge_messages import EdgeAnswer, EdgeRequest
from system_ports.edge_server import EdgeServer

ALL_IPV4 = "0.0.0.0"  # noqa: S104 - compared, not bound


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("*", (ALL_IPV4, "::")),
        ("::", ("::",)),
        ("[fd00::1]", ("fd00::1",)),
        ("10.0.0.1, fe80::1%eth0", ("10.0.0.1", "fe80::1%eth0")),
        ("10.0.0.1,10.0.0.1 *", ("10.0.0.1", ALL_IPV4, "::")),
        (" , ", ()),
    ],
)
def test_setting_host_names_one_address_several_or_all(text: str, hosts: tuple[str, ...]) -> None:
    assert split_hosts(text) == hosts


def test_wildcards_and_loopback_are_told_apart_from_addresses_and_names() -> None:
    assert [is_wildcard(host) for host in (ALL_IPV4, "::", "10.0.0.1", "ward.example")] == [True, True, False, False]
    assert [is_loopback(host) for host in ("127.0.0.2", "::1", "localhost", "10.0.0.1")] == [True, True, True, False]
    assert (join_authority("::1", 1), join_authority("a.b", 1)) == ("[::1]:1", "a.b:1")


class Adapter:
    def __init__(self, *ips: str | tuple[str, int, int]) -> None:
        self.ips = [ifaddr.IP(ip, 24, "x") for ip in ips]


ADAPTERS = [
    Adapter("127.0.0.1", ("::1", 0, 0)),
    Adapter("10.0.0.1", "169.254.3.4", ("fe80::1", 0, 2), ("2001:db8::5", 0, 0)),
]


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ((ALL_IPV4, "::"), ("10.0.0.1", "2001:db8::5", "169.254.3.4", "fe80::1")),
        ((ALL_IPV4,), ("10.0.0.1", "169.254.3.4")),
        (("::",), ("2001:db8::5", "fe80::1")),
        (("fe80::1%eth0", "10.0.0.1"), ("10.0.0.1", "fe80::1")),
        (("127.0.0.1", "::1"), ()),
        (("ward.example",), ()),
    ],
)
def test_loopback_is_told_to_nobody_and_a_scope_neither(
    monkeypatch: pytest.MonkeyPatch, hosts: tuple[str, ...], told: tuple[str, ...]
) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: ADAPTERS)
    assert local_addresses(hosts) == told
    assert all(ipaddress.ip_address(one) for one in told)


@pytest.mark.network
async def test_edge_answers_on_both_families_at_one_port() -> None:
    async def answer(_request: EdgeRequest) -> EdgeAnswer:
        return EdgeAnswer(b'"here"')

    edge = EdgeServer(answer, MasterConfig(data_dir=Path()))
    try:
        port = await listen_on(edge, "127.0.0.1, [::1]", 0)
        async with aiohttp.ClientSession() as http:
            for host in ("127.0.0.1", "[::1]"):
                async with http.get(f"http://{host}:{port}/") as response:
                    assert await response.json() == "here"
    finally:
        await edge.close(1)


@pytest.mark.network
async def test_address_that_is_not_this_machines_raises_configuration_error_and_leaves_nothing_open() -> None:
    async def answer(_request: EdgeRequest) -> EdgeAnswer:
        raise AssertionError("nobody asks")

    edge = EdgeServer(answer, MasterConfig(data_dir=Path()))
    with pytest.raises(ConfigurationError, match=r"cannot listen on \[2001:db8::1\]"):
        await listen_on(edge, "127.0.0.1,2001:db8::1", 0)
    assert not any(server.sockets for server in edge._listening)
