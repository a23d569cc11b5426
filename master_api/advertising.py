"""Telling the local network where the master is, by mDNS and DNS-SD (``docs/protocol.md`` §4.1).

A laptop's addresses change while it runs: whenever they do, it is advertised anew.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from group_protocol.advertisement import SERVICE_TYPE, Advertisement
from master_api.hosts import has_ipv6, is_wildcard
from master_api.local_addresses import local_addresses

LOOK_S: Final = 5.0
"""How often this machine's addresses are looked at."""

_log = logging.getLogger("vgroup.master.mdns")


class Advertiser:
    """Advertises for as long as it runs; what goes wrong is logged, and stops nothing.

    Args:
        advertisement: What is told.
        hosts: Where the master listens.
        port: The edge's.
        look_s: How often the addresses are looked at.
    """

    def __init__(
        self, advertisement: Advertisement, hosts: Sequence[str], port: int, *, look_s: float = LOOK_S
    ) -> None:
        self._advertisement = advertisement
        self._hosts = hosts
        self._port = port
        self._look_s = look_s
        self._complaint = ""

    async def run(self) -> None:
        """Advertise until cancelled; then the network hears that it is over."""
        while True:
            addresses = local_addresses(self._hosts)
            if not addresses:
                await asyncio.sleep(self._look_s)
                continue
            try:
                async with self._advertised(addresses):
                    self._complaint = ""
                    await self._wait_for_others_than(addresses)
            except Exception as exc:  # noqa: BLE001 - a hint that cannot be given may stop nothing
                self._complain(str(exc) or type(exc).__name__)
                await asyncio.sleep(self._look_s)

    async def _wait_for_others_than(self, addresses: Sequence[str]) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            if local_addresses(self._hosts) != addresses:
                return

    @asynccontextmanager
    async def _advertised(self, addresses: Sequence[str]) -> AsyncIterator[None]:
        from zeroconf import InterfaceChoice, IPVersion  # noqa: PLC0415 - 4 MB, of use only where others can hear it
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf  # noqa: PLC0415 - as above

        info = AsyncServiceInfo(
            SERVICE_TYPE,
            self._advertisement.instance,
            port=self._port,
            properties=self._advertisement.to_properties(),
            server=self._advertisement.server,
            parsed_addresses=list(addresses),
        )
        listens_everywhere = any(map(is_wildcard, self._hosts))
        zeroconf = AsyncZeroconf(
            interfaces=InterfaceChoice.All if listens_everywhere else list(addresses),
            ip_version=IPVersion.All if has_ipv6() else IPVersion.V4Only,
        )
        logging.getLogger("zeroconf").setLevel(logging.ERROR)  # it warns of each network that takes no multicast
        try:
            # Somebody who took the name does not keep us from another one.
            await (await zeroconf.async_register_service(info, allow_name_change=True))
            fields = {"name": info.name, "addresses": ",".join(addresses), "port": self._port}
            _log.info("advertised by mDNS", extra={"fields": fields})
            yield
        finally:
            await zeroconf.async_close()

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            _log.warning("not advertised by mDNS; typed addresses work", extra={"fields": {"error": complaint}})
            self._complaint = complaint
