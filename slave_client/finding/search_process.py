"""Listens for masters on the local network: the program of a process of its own, which ends after some seconds.

``python -m slave_client.finding.search_process SECONDS`` prints one line of JSON for each master that is advertised:
``{"name", "master", "port", "hosts"}``. What strangers multicast is taken apart here, beside no key and no reading; and
the 4 MB that zeroconf takes, of which the daemon has no use from one search to the next, go with the process.
"""

import asyncio
import ipaddress
import json
import logging
import socket
import sys
from typing import Final

from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from group_protocol.advertisement import SERVICE_TYPE, parse_advertisement
from group_protocol.errors import DecodingError

_DETAILS_MS: Final = 2_000
_MASTERS_MAX: Final = 256
_HOSTS_MAX: Final = 16
_NAME_MAX_CHARACTERS: Final = 80


class Listener:
    """Takes what is advertised and prints what is well-formed, up to a bound."""

    def __init__(self, zeroconf: AsyncZeroconf) -> None:
        self._zeroconf = zeroconf
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._told: set[str] = set()

    def changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """A service came, changed or went. zeroconf calls it by these names."""
        del zeroconf, service_type
        task = self._asking.get(name)
        is_asked = task is not None and not task.done()
        if state_change is ServiceStateChange.Removed or is_asked or len(self._asking) >= _MASTERS_MAX:
            return
        self._asking[name] = asyncio.create_task(self._ask(name))

    async def _ask(self, name: str) -> None:
        info = AsyncServiceInfo(SERVICE_TYPE, name)
        if not await info.async_request(self._zeroconf.zeroconf, _DETAILS_MS) or not info.port:
            return
        try:
            advertised = parse_advertisement(info.decoded_properties)
        except (DecodingError, UnicodeDecodeError):
            return
        hosts = [_with_link_name(host) for host in info.parsed_scoped_addresses(IPVersion.All)]
        line = json.dumps(
            {
                "name": name.removesuffix(f".{SERVICE_TYPE}")[:_NAME_MAX_CHARACTERS],
                "master": advertised.master.hex(),
                "port": info.port,
                "hosts": hosts[:_HOSTS_MAX],
            }
        )
        if line not in self._told:
            self._told.add(line)
            print(line, flush=True)  # noqa: T201 - this program's output


def _with_link_name(host: str) -> str:
    """``fe80::1%2`` as ``fe80::1%eth0``: a number changes when the machine restarts."""
    address, percent, scope = host.partition("%")
    if not percent or not scope.isdigit():
        return str(ipaddress.ip_address(host))
    try:
        return f"{address}%{socket.if_indextoname(int(scope))}"
    except OSError:
        return host


async def search(seconds: float) -> None:
    """Listen and print. A machine without a network has nothing to print."""
    logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
    zeroconf = _open()
    try:
        listener = Listener(zeroconf)
        browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE_TYPE, handlers=[listener.changed])
        await asyncio.sleep(seconds)
        await browser.async_cancel()
    finally:
        await zeroconf.async_close()


def _open() -> AsyncZeroconf:
    try:
        return AsyncZeroconf(ip_version=IPVersion.All)
    except OSError:
        return AsyncZeroconf(ip_version=IPVersion.V4Only)  # a kernel without IPv6


if __name__ == "__main__":
    asyncio.run(search(float(sys.argv[1])))
