"""Nowhere but on loopback."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from measure.paper_baseline.client import PaperClient
from measure.paper_baseline.errors import NotLoopbackError
from measure.paper_baseline.loopback import is_loopback, require_loopback, url_host
from measure.paper_baseline.master import PaperMaster
from measure.paper_baseline.relay import relay_to
from measure.paper_baseline.server import refuse_beyond_loopback, serve

ELSEWHERE = [
    "0.0.0.0",  # noqa: S104 - what has to be refused
    "192.168.11.101",
    "128.0.0.1",
    "126.255.255.255",
    "::",
    "::2",
    "::ffff:127.0.0.1",
    "fe80::1",
    "localhost",
    "127.0.0.1.example",
    "127.1",
    "",
]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.254", "::1"])
def test_loopback_address_is_accepted(host: str) -> None:
    require_loopback(host)

    assert is_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_any_other_host_is_no_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
async def test_server_refuses_to_listen_elsewhere(master: PaperMaster, host: str) -> None:
    with pytest.raises(NotLoopbackError):
        async with serve(master, host):
            pytest.fail("it listens")


@pytest.mark.parametrize("host", ELSEWHERE)
def test_client_refuses_to_connect_elsewhere(host: str) -> None:
    with pytest.raises(NotLoopbackError):
        PaperClient(host, 3000)


async def test_relay_refuses_a_master_elsewhere() -> None:
    with pytest.raises(NotLoopbackError):
        async with relay_to("192.168.11.101", 3000):
            pytest.fail("it relays")


async def answer(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="answered")


def request_on(address: tuple[str, int] | None) -> web.Request:
    transport: Any = SimpleNamespace(get_extra_info=lambda name, _default=None: {"sockname": address}.get(name))
    return make_mocked_request("GET", "/getTicket", transport=transport)


@pytest.mark.parametrize("address", [("192.168.11.101", 3000), ("::ffff:127.0.0.1", 3000), None])
async def test_application_on_another_socket_answers_nobody(address: tuple[str, int] | None) -> None:
    with pytest.raises(NotLoopbackError):
        await refuse_beyond_loopback(request_on(address), answer)


async def test_application_on_a_loopback_socket_answers() -> None:
    response = await refuse_beyond_loopback(request_on(("127.0.0.1", 3000)), answer)

    assert response.status == 200


def test_ipv6_address_stands_in_brackets_in_a_url() -> None:
    assert url_host("::1") == "[::1]"
    assert url_host("127.0.0.1") == "127.0.0.1"
